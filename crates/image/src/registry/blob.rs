//! A blob's bytes, in order and without gaps, over as many connections as it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};
use ross_types::{Digest, ErrorKind};

use super::client::{self, Request};
use super::{RegistryError, Repository};

/// So many new bytes make the failures before them forgotten: the connection works, if badly.
pub(super) const PROGRESS: u64 = 4 * 1024 * 1024;

/// The bytes of one blob from some offset on. After a failure that may pass it goes on where it was.
///
/// Hands out as many bytes as the descriptor says, never more; does not look at what they are.
#[derive(Debug)]
pub(crate) struct BlobStream {
    repository: Arc<Repository>,
    /// The number of the server that is asked.
    source: usize,
    /// Whether a mirror has sent some of the bytes.
    mirrored: bool,
    object: String,
    digest: Digest,
    size: u64,
    /// Bytes handed out, those before the first offset included.
    position: u64,
    body: Option<Body>,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
}

#[derive(Debug)]
struct Body {
    response: Response,
    /// Bytes to pass over, where the registry does not do ranges.
    skip: u64,
    /// Bytes that came within the current stall window, and how long was waited for them.
    received: u64,
    waited: Duration,
}

impl BlobStream {
    pub(crate) fn new(repository: Arc<Repository>, digest: &Digest, size: u64, offset: u64) -> Self {
        let object = repository.object(&format!("blob {digest}"));
        Self {
            source: repository.first(),
            mirrored: false,
            repository,
            object,
            digest: digest.clone(),
            size,
            position: offset,
            body: None,
            failures: 0,
            failed_at: offset,
        }
    }

    /// The next bytes; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let error = match self.step().await {
                Ok(Some(bytes)) if bytes.is_empty() => continue,
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            self.body = None;
            let moved = self.position > self.failed_at;
            if self.position >= self.failed_at + PROGRESS {
                self.failures = 0;
            }
            self.failed_at = self.position;
            self.failures += 1;
            let http = &self.repository.http;
            let is_mirror = self.repository.is_mirror(self.source);
            // A mirror that sends nothing is not waited for: there are others to ask.
            if error.is_passing() && self.failures < http.config.attempts && (moved || !is_mirror) {
                tokio::time::sleep(http.delay(self.failures, error.asked())).await;
            } else if is_mirror {
                self.repository.pass_over(self.source, &error);
                self.source = self.repository.first();
                self.failures = 0;
            } else {
                return Err(error.after(self.failures));
            }
        }
    }

    /// Whether a mirror has sent some of the bytes, so that the registry itself may have others.
    pub(crate) fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    async fn step(&mut self) -> Result<Option<Bytes>, RegistryError> {
        if self.body.is_none() {
            if self.position == self.size && self.size > 0 {
                return Ok(None);
            }
            self.body = Some(self.connect().await?);
        }
        let Some(body) = &mut self.body else { unreachable!("it was just set") };
        let Some(mut chunk) = body.chunk(&self.object, &self.repository.http.config).await? else {
            if self.position == self.size {
                return Ok(None);
            }
            let text = format!("the connection ended after {} of {} bytes", self.position, self.size);
            return Err(RegistryError::passing(&self.object, ErrorKind::DataLoss, text));
        };
        let skipped = usize::try_from(body.skip).unwrap_or(usize::MAX).min(chunk.len());
        body.skip -= skipped as u64;
        let _ = chunk.split_to(skipped);
        if chunk.len() as u64 > self.size - self.position {
            let text = format!("the registry sends more than the {} bytes declared", self.size);
            return Err(RegistryError::lasting(&self.object, ErrorKind::DataLoss, text));
        }
        self.position += chunk.len() as u64;
        self.mirrored |= self.repository.is_mirror(self.source);
        Ok(Some(chunk))
    }

    async fn connect(&self) -> Result<Body, RegistryError> {
        let source = self.repository.source(self.source);
        let mut request = Request::get(source.url("blobs", &self.digest.to_string()));
        if self.position > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.position))
                .expect("digits are a header value");
            request = request.header(RANGE, range);
        }
        let response = source.send(&self.object, &request).await?;
        let wrong = |text: String| Err(RegistryError::lasting(&self.object, ErrorKind::DataLoss, text));
        let skip = match response.status() {
            StatusCode::OK => self.position,
            StatusCode::PARTIAL_CONTENT => {
                let expected = format!("bytes {}-", self.position);
                let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
                if !range.is_some_and(|range| range.starts_with(&expected)) {
                    return wrong(format!(
                        "asked for bytes from {} on, the registry sends others",
                        self.position
                    ));
                }
                0
            }
            _ => return Err(client::failure(&self.object, source.is_known(), response).await),
        };
        let expected = self.size - self.position + skip;
        if let Some(length) = response.content_length()
            && length != expected
        {
            return wrong(format!("the registry announces {length} bytes where {expected} are declared"));
        }
        Ok(Body { response, skip, received: 0, waited: Duration::ZERO })
    }
}

impl Body {
    /// The next bytes. Only time spent waiting here counts against the registry: a slow disk is not its fault.
    async fn chunk(
        &mut self,
        object: &str,
        config: &super::RegistryConfig,
    ) -> Result<Option<Bytes>, RegistryError> {
        let started = Instant::now();
        let chunk = match tokio::time::timeout(config.response_timeout, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| RegistryError::of_transport(object, error))?,
            Err(_) => return Err(stalled(object)),
        };
        self.waited += started.elapsed();
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.waited >= config.stall_window {
            if chunk.is_some() && self.received < config.stall_bytes {
                return Err(stalled(object));
            }
            (self.waited, self.received) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }
}

fn stalled(object: &str) -> RegistryError {
    RegistryError::passing(object, ErrorKind::DeadlineExceeded, "the transfer stalled")
}
