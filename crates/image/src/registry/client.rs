//! One HTTP exchange after the other: redirects, status codes, and when to try again.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use ross_types::ErrorKind;
use serde::Deserialize;

use super::connections::Connections;
use super::endpoint::{may_follow, same_origin};
use super::payload::{self, Payload};
use super::{RegistryConfig, RegistryError};
use crate::manifest::printable;

/// A chain of redirects longer than this is a loop.
const MAX_REDIRECTS: usize = 10;

/// An error body is read no further than this.
const MAX_ERROR_BODY: usize = 16 * 1024;

/// The way to all servers.
#[derive(Debug)]
pub(super) struct HttpClient {
    pub(super) config: RegistryConfig,
    connections: Connections,
}

/// A request, without what authorizes it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Payload>,
}

impl Request {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }

    pub(super) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An answer, and whether it came from the server that was asked rather than from one it redirected to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) from_origin: bool,
}

impl HttpClient {
    pub(super) fn new(config: RegistryConfig) -> Self {
        Self { config, connections: Connections::default() }
    }

    /// Sends `request` and follows redirects. `authorization` goes to the server of `request.url` alone, and not
    /// even there once another server was in between. Any final status is an answer.
    pub(super) async fn exchange(
        &self,
        object: &str,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut url = request.url.clone();
        let mut from_origin = true;
        for _ in 0..=MAX_REDIRECTS {
            let client = self.connections.client(&self.config, object, &url)?;
            let mut builder = client.request(request.method.clone(), url.clone());
            builder = builder.headers(request.headers.clone());
            if let (Some(value), true) = (authorization, from_origin) {
                builder = builder.header(reqwest::header::AUTHORIZATION, value);
            }
            if let Some(body) = &request.body {
                builder = body.attach(builder);
            }
            let response = match payload::answer(&self.config, request.body.as_ref(), builder.send()).await {
                Some(sent) => sent.map_err(|error| RegistryError::of_transport(object, error))?,
                None => return Err(no_answer(object)),
            };
            if !is_redirect(&request.method, response.status()) {
                return Ok(Answer { response, from_origin });
            }
            let lasting = |text: String| RegistryError::lasting(object, ErrorKind::Unavailable, text);
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let target = target.and_then(|target| url.join(target).ok());
            let target = target.ok_or_else(|| lasting("the registry redirects to nowhere".into()))?;
            may_follow(&request.url, &target)
                .and_then(|()| may_follow(&url, &target))
                .map_err(|why| lasting(format!("the registry redirects {why}")))?;
            from_origin &= same_origin(&request.url, &target);
            if !from_origin && matches!(request.body, Some(Payload::Secret(_))) {
                return Err(lasting("the token service sends what is secret to another server".into()));
            }
            url = target;
        }
        let text = format!("more than {MAX_REDIRECTS} redirects: the registry redirects in a loop");
        Err(RegistryError::lasting(object, ErrorKind::Unavailable, text))
    }

    /// The whole body, which may have `limit` bytes.
    pub(super) async fn read_bounded(
        &self,
        object: &str,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || {
            let text = format!("the registry sends more than {limit} bytes for it");
            RegistryError::lasting(object, ErrorKind::ResourceExhausted, text)
        };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let read = async {
            while let Some(chunk) =
                response.chunk().await.map_err(|error| RegistryError::of_transport(object, error))?
            {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(())
        };
        let patience = self.config.stall_window + self.config.response_timeout;
        match tokio::time::timeout(patience, read).await {
            Ok(read) => read.map(|()| bytes),
            Err(_) => {
                let text = "the registry sends it too slowly";
                Err(RegistryError::passing(object, ErrorKind::DeadlineExceeded, text))
            }
        }
    }

    /// The failures of a request from its first attempt on.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts { http: self, failures: 0 }
    }

    /// How long to wait after the `failures`th failure in a row (1 is the first): what the registry asks for, or a
    /// delay that doubles; jittered, so that many clients do not come back at once.
    pub(super) fn delay(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let exponent = failures.saturating_sub(1).min(16);
        let base = self.config.backoff.saturating_mul(1 << exponent).min(self.config.backoff_max);
        let jittered = base.mul_f64(0.5 + 0.5 * random_fraction());
        asked.map_or(jittered, |asked| asked.min(self.config.backoff_max).max(jittered))
    }
}

/// A request that is tried again while its failures may pass.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    http: &'a HttpClient,
    failures: u32,
}

impl Attempts<'_> {
    /// Waits until it is time for another attempt; hands the failure back when there is to be none.
    pub(super) async fn after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        self.failures += 1;
        if !error.is_passing() || self.failures >= self.http.config.attempts {
            return Err(error.after(self.failures));
        }
        tokio::time::sleep(self.http.delay(self.failures, error.asked())).await;
        Ok(())
    }

    /// There was progress: the failures before it do not count.
    pub(super) fn forget(&mut self) {
        self.failures = 0;
    }
}

pub(super) fn no_answer(object: &str) -> RegistryError {
    RegistryError::passing(object, ErrorKind::DeadlineExceeded, "the registry does not answer in time")
}

/// Whether the same request is to be made elsewhere: one with a body only where it keeps its method (RFC 9110 §15.4).
fn is_redirect(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        307 | 308 => true,
        _ => false,
    }
}

fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the delay is only less well spread.
    let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK);
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}

/// The wait that an answer asks for: seconds, or a date (RFC 9110 §10.2.3). A date is held against the server's own
/// clock where the answer tells it, as two clocks seldom agree.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// What an answer that is no success means.
pub(super) async fn failure(object: &str, authenticated: bool, response: Response) -> RegistryError {
    let status = response.status();
    let asked = retry_after(response.headers(), SystemTime::now());
    let (kind, passing, text) = match status.as_u16() {
        401 if authenticated => {
            (ErrorKind::Unauthenticated, false, "the registry refuses these credentials".to_owned())
        }
        401 => (
            ErrorKind::Unauthenticated,
            false,
            "the registry wants a login, or the repository does not exist".to_owned(),
        ),
        403 => (ErrorKind::PermissionDenied, false, "the registry denies access".to_owned()),
        404 => (ErrorKind::NotFound, false, "not found at the registry".to_owned()),
        429 => (ErrorKind::ResourceExhausted, true, "the registry's rate limit is reached".to_owned()),
        408 | 425 | 500..=599 => (ErrorKind::Unavailable, true, format!("the registry fails: {status}")),
        _ => (ErrorKind::Unavailable, false, format!("unexpected answer of the registry: {status}")),
    };
    let details = details(response).await;
    let text = if details.is_empty() { text } else { format!("{text}: {details}") };
    if passing {
        RegistryError::passing(object, kind, text).asking(asked)
    } else {
        RegistryError::lasting(object, kind, text)
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorDetail>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What the registry itself says of a failure, as far as it can be had quickly.
async fn details(mut response: Response) -> String {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BODY {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    let Ok(parsed) = serde_json::from_slice::<ErrorBody>(&body) else { return String::new() };
    let first = parsed.errors.into_iter().next();
    first
        .map(|error| printable(if error.message.is_empty() { &error.code } else { &error.message }))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tls_is_not_spoken_by_all() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/v2/", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let client = HttpClient::new(RegistryConfig::default());
        let error = client.exchange("it", &Request::get(url.parse().unwrap()), None).await.unwrap_err();
        assert!(error.to_string().contains("does not speak TLS"), "{error:?}");
        assert!(!error.is_passing(), "trying again does not help");
        serving.join().unwrap();
    }

    #[test]
    fn waits_that_are_asked_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let check = |asked: Option<&str>, date: Option<&str>, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, asked), (DATE, date)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{asked:?} {date:?}");
        };
        let (date, later) = ("Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:47:00 GMT");
        check(None, Some(date), None);
        check(Some("7"), None, Some(7));
        check(Some(" 0 "), None, Some(0));
        check(Some(later), None, Some(20));
        check(Some(date), None, Some(0));
        check(Some("Sat, 08 Sep 2001 01:46:40 GMT"), None, Some(0));
        check(Some(later), Some("Sun, 09 Sep 2001 01:46:55 GMT"), Some(5));
        check(Some(later), Some("soon"), Some(20));
        check(Some("Sunday, 09-Sep-01 01:47:00 GMT"), None, Some(20));
        check(Some("soon"), None, None);
        check(Some("-1"), None, None);
    }

    #[test]
    fn delays() {
        let config = RegistryConfig {
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            ..RegistryConfig::default()
        };
        let client = HttpClient::new(config);
        let check = |failures, asked: Option<u64>, low, high| {
            let delay = client.delay(failures, asked.map(Duration::from_secs)).as_millis();
            assert!((low..=high).contains(&delay), "{failures} {asked:?}: {delay}");
        };
        check(1, None, 50, 100);
        check(2, None, 100, 200);
        check(30, None, 1000, 2000);
        check(u32::MAX, None, 1000, 2000);
        check(1, Some(1), 1000, 1000);
        check(1, Some(0), 50, 100);
        check(1, Some(u64::MAX), 2000, 2000);
    }
}
