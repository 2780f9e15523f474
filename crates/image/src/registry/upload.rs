//! A blob on its way to a registry: whole where it may, in chunks where it must, going on where it was cut.
//!
//! Source: OCI distribution specification, "Pushing blobs", "Pushing a blob in chunks", "Mounting a blob from another
//! repository". A registry says where each next request of an upload goes: that address may be relative, on another
//! host, and a lie; what is secret goes to the registry's own origin alone.

use std::fs::File;
use std::sync::Arc;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use ross_types::{Digest, ErrorKind};

use super::blob::PROGRESS;
use super::client::Request;
use super::payload::{Part, Payload, Position};
use super::{RegistryError, Repository, endpoint};

/// Chunks do not get smaller than this, in bytes, however much a registry dislikes them.
const SMALLEST_CHUNK: u64 = 1024 * 1024;

/// How a blob came to be in its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Uploaded {
    /// From this repository of the same registry, without being sent.
    Mounted(String),
    /// It was sent.
    Sent,
}

/// A failed step of an upload.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) error: RegistryError,
    /// The registry's answer, if there was one.
    pub(super) status: Option<StatusCode>,
}

impl Setback {
    pub(super) fn of(error: RegistryError) -> Self {
        Self { error, status: None }
    }

    /// Whether the registry wants these bytes, but not all of them at once.
    fn refuses_size(&self) -> bool {
        self.status.is_some_and(|status| {
            let other = [401, 403, 408, 425, 429].contains(&status.as_u16());
            status.is_client_error() && !other || status == StatusCode::NOT_IMPLEMENTED
        })
    }
}

/// An upload that the registry knows of.
#[derive(Debug, Clone)]
struct Session {
    /// Where its next request goes.
    location: Url,
    /// Bytes the registry has.
    offset: u64,
    /// Bytes of the smallest chunk it takes, but for the last.
    least: u64,
}

/// A blob to upload.
pub(crate) struct Upload<'a> {
    repository: &'a Repository,
    object: String,
    digest: &'a Digest,
    size: u64,
    file: Arc<File>,
    position: Position,
    /// Bytes of one request; a blob that is no larger is sent whole.
    chunk: u64,
    session: Option<Session>,
}

/// The digest that an answer is about, where it says one.
pub(super) fn digest_of(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// How many bytes an upload has: `0-N` says N + 1, but `0-0` is what registries say of none.
fn received(response: &Response) -> Option<u64> {
    let range = response.headers().get(RANGE)?.to_str().ok()?;
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { u64::checked_add(last, 1)? })
}

impl<'a> Upload<'a> {
    /// The upload of `file`, which has `size` bytes that should have this digest.
    pub(crate) fn new(
        repository: &'a Repository,
        digest: &'a Digest,
        size: u64,
        file: File,
        position: Position,
    ) -> Self {
        let object = repository.object(&format!("blob {digest}"));
        let chunk = repository.http.config.upload_chunk.max(1);
        Self { repository, object, digest, size, file: Arc::new(file), position, chunk, session: None }
    }

    /// Has the registry take the blob from one of these other repositories, or sends it.
    pub(crate) async fn run(mut self, others: &[String]) -> Result<Uploaded, RegistryError> {
        for other in others {
            if self.mount(other).await {
                return Ok(Uploaded::Mounted(other.clone()));
            }
        }
        let mut attempts = self.repository.http.attempts();
        let mut whole = self.size <= self.chunk;
        // Up to where it was when failures were last forgotten; it never falls, so that the work ends.
        let mut reached = 0;
        loop {
            let setback = match self.attempt(whole).await {
                Ok(()) => return Ok(Uploaded::Sent),
                Err(setback) => setback,
            };
            if setback.refuses_size() {
                if whole {
                    whole = false;
                    self.abandon().await;
                    continue;
                }
                if setback.status == Some(StatusCode::PAYLOAD_TOO_LARGE) && self.chunk > SMALLEST_CHUNK {
                    self.chunk = (self.chunk / 4).max(SMALLEST_CHUNK);
                    self.abandon().await;
                    continue;
                }
            }
            attempts.after(self.lost(setback.error, setback.status)).await?;
            if self.resume().await {
                return Ok(Uploaded::Sent);
            }
            let offset = self.session.as_ref().map_or(0, |session| session.offset);
            whole &= offset == 0;
            if offset >= reached + PROGRESS {
                reached = offset;
                attempts.forget();
            }
        }
    }

    /// An upload that the registry has lost, or sees elsewhere than this side does, may be begun again.
    fn lost(&self, error: RegistryError, status: Option<StatusCode>) -> RegistryError {
        let lost = matches!(status, Some(StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE));
        if lost { error.that_passes() } else { error }
    }

    /// Whether the registry takes the blob from `other`. Whatever stands against it, the blob can still be sent.
    async fn mount(&mut self, other: &str) -> bool {
        let mut url = self.repository.origin().url("blobs", "uploads/");
        url.query_pairs_mut().append_pair("mount", &self.digest.to_string()).append_pair("from", other);
        let mut request = Request::new(Method::POST, url);
        request.body = Some(Payload::empty());
        let wanted = [StatusCode::CREATED, StatusCode::ACCEPTED];
        let Ok(response) = self.repository.try_once(&self.object, &request, &wanted).await else {
            return false;
        };
        if response.status() == StatusCode::CREATED {
            return digest_of(&response).is_none_or(|mounted| mounted == *self.digest);
        }
        // It has begun an upload instead, which serves as well as another.
        match self.session_of(&response, 0) {
            Ok(session) if self.session.is_none() => self.session = Some(session),
            Ok(session) => self.delete(session.location).await,
            Err(_) => {}
        }
        false
    }

    /// Sends what the registry does not have yet.
    async fn attempt(&mut self, whole: bool) -> Result<(), Setback> {
        let mut session = match &self.session {
            Some(session) => session.clone(),
            None => self.begin().await?,
        };
        self.session = Some(session.clone());
        if whole && session.offset == 0 {
            return self.finish(&session, self.part(0, self.size)).await;
        }
        while session.offset < self.size {
            session = self.send_chunk(&session).await?;
            self.session = Some(session.clone());
        }
        self.finish(&session, Payload::empty()).await
    }

    fn part(&self, start: u64, length: u64) -> Payload {
        if length == 0 {
            return Payload::empty();
        }
        Payload::Part(Part::new(self.file.clone(), start, length, self.position.clone()))
    }

    async fn begin(&self) -> Result<Session, Setback> {
        let mut request = Request::new(Method::POST, self.repository.origin().url("blobs", "uploads/"));
        request.body = Some(Payload::empty());
        let response = self.repository.try_once(&self.object, &request, &[StatusCode::ACCEPTED]).await?;
        self.session_of(&response, 0)
    }

    /// The upload that an answer tells of, at `offset`.
    fn session_of(&self, response: &Response, offset: u64) -> Result<Session, Setback> {
        let wrong =
            |text: String| Setback::of(RegistryError::lasting(&self.object, ErrorKind::Unavailable, text));
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| response.url().join(location).ok());
        let location =
            location.ok_or_else(|| wrong("the registry begins an upload and does not say where".into()))?;
        endpoint::may_follow(self.repository.origin().base(), &location)
            .and_then(|()| endpoint::may_follow(response.url(), &location))
            .map_err(|why| wrong(format!("the registry sends the upload {why}")))?;
        let least = response.headers().get("oci-chunk-min-length");
        let least = least.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        Ok(Session { location, offset, least })
    }

    fn octets(method: Method, url: Url, body: Payload) -> Request {
        let octets = HeaderValue::from_static("application/octet-stream");
        let mut request = Request::new(method, url).header(CONTENT_TYPE, octets);
        request.body = Some(body);
        request
    }

    async fn send_chunk(&self, session: &Session) -> Result<Session, Setback> {
        let length = self.chunk.max(session.least).min(self.size - session.offset);
        let end = session.offset + length;
        let range = HeaderValue::try_from(format!("{}-{}", session.offset, end - 1))
            .expect("digits are a header value");
        let part = self.part(session.offset, length);
        let request =
            Self::octets(Method::PATCH, session.location.clone(), part).header(CONTENT_RANGE, range);
        let wanted = [StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        let response = self.repository.try_once(&self.object, &request, &wanted).await?;
        if let Some(received) = received(&response)
            && received != end
        {
            let text = format!("the registry says to have {received} bytes of it where {end} were sent");
            return Err(Setback::of(RegistryError::passing(&self.object, ErrorKind::DataLoss, text)));
        }
        let mut next = match response.headers().contains_key(LOCATION) {
            true => self.session_of(&response, end)?,
            false => Session { offset: end, ..session.clone() },
        };
        next.least = next.least.max(session.least);
        Ok(next)
    }

    async fn finish(&self, session: &Session, rest: Payload) -> Result<(), Setback> {
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let request = Self::octets(Method::PUT, url, rest);
        let response = self.repository.try_once(&self.object, &request, &[StatusCode::CREATED]).await?;
        match digest_of(&response) {
            Some(stored) if stored != *self.digest => {
                let text = format!("the registry stored it as {stored}");
                Err(Setback::of(RegistryError::lasting(&self.object, ErrorKind::DataLoss, text)))
            }
            _ => Ok(()),
        }
    }

    /// Asks how far the upload has come, after a failure; says whether it is at its end.
    async fn resume(&mut self) -> bool {
        let Some(session) = self.session.take() else { return false };
        let request = Request::get(session.location.clone());
        let wanted = [StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::ACCEPTED];
        match self.repository.try_once(&self.object, &request, &wanted).await {
            Ok(response) => {
                let offset = received(&response).unwrap_or(0);
                let next = match response.headers().contains_key(LOCATION) {
                    true => self.session_of(&response, offset).ok(),
                    false => Some(Session { offset, ..session.clone() }),
                };
                self.session = next.filter(|next| next.offset <= self.size);
                if let Some(next) = &mut self.session {
                    next.least = next.least.max(session.least);
                }
                false
            }
            // An upload that is over is forgotten: the answer that said so may have been lost.
            Err(setback) if setback.status == Some(StatusCode::NOT_FOUND) => {
                self.repository.has_blob(self.digest, self.size).await.unwrap_or(false)
            }
            Err(_) => false,
        }
    }

    /// Gives the upload up, so that the registry need not keep it.
    async fn abandon(&mut self) {
        if let Some(session) = self.session.take() {
            self.delete(session.location).await;
        }
    }

    async fn delete(&self, location: Url) {
        // What a registry has this host remove elsewhere may be no upload.
        if !endpoint::same_origin(self.repository.origin().base(), &location) {
            return;
        }
        let request = Request::new(Method::DELETE, location);
        // Who does not take it clears up by itself in time.
        let _ = self.repository.try_once(&self.object, &request, &[StatusCode::NO_CONTENT]).await;
    }
}
