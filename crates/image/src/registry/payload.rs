//! What a request carries: bytes at hand, or a part of a blob that is read from the disk while it is sent.
//!
//! A payload can be sent more than once: after a challenge, a redirect or a failure. A blob is never in memory.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, RequestBuilder, Response};

use super::RegistryConfig;

/// Bytes read from the disk at once.
const READ: usize = 256 * 1024;

/// Bytes handed to the connection at once. Small, so that a slow line is seen to move.
const PIECE: usize = 64 * 1024;

/// A registry that has all bytes of a blob may read them once more before it answers; at least so many in a second.
const COMMIT_RATE: u64 = 10 * 1024 * 1024;

/// The body of a request.
#[derive(Clone)]
pub(super) enum Payload {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A form with a password or a token in it, for the server that is asked and no other.
    Secret(Bytes),
    /// Bytes on disk.
    Part(Part),
}

/// Is told how far into a blob the connection has come, in bytes; it must not block.
pub(crate) type Position = Arc<dyn Fn(u64) + Send + Sync>;

/// Some bytes of a blob's file.
#[derive(Clone)]
pub(super) struct Part {
    file: Arc<File>,
    start: u64,
    length: u64,
    /// Bytes handed to the connection, of the last attempt to send them.
    handed: Arc<AtomicU64>,
    position: Position,
}

impl fmt::Debug for Payload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => out.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Secret(_) => out.write_str("Secret(..)"),
            Self::Part(part) => part.fmt(out),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Part")
            .field("start", &self.start)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Part {
    pub(super) fn new(file: Arc<File>, start: u64, length: u64, position: Position) -> Self {
        Self { file, start, length, handed: Arc::default(), position }
    }

    fn body(&self) -> Body {
        self.handed.store(0, Ordering::Relaxed);
        let part = self.clone();
        Body::wrap_stream(stream::try_unfold((0, Bytes::new()), move |(done, mut ahead)| {
            let part = part.clone();
            async move {
                if done == part.length {
                    return Ok(None);
                }
                if ahead.is_empty() {
                    let (file, at) = (part.file.clone(), part.start + done);
                    let wanted = usize::try_from(part.length - done).unwrap_or(READ).min(READ);
                    let reading = tokio::task::spawn_blocking(move || read(&file, at, wanted));
                    ahead = reading.await.map_err(io::Error::other)??;
                }
                let piece = ahead.split_to(ahead.len().min(PIECE));
                let done = done + piece.len() as u64;
                part.handed.store(done, Ordering::Relaxed);
                (part.position)(part.start + done);
                Ok::<_, io::Error>(Some((piece, (done, ahead))))
            }
        }))
    }
}

fn read(file: &File, at: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

impl Payload {
    /// No bytes: for a request whose method usually has some.
    pub(super) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// Gives `builder` this body, with its length.
    pub(super) fn attach(&self, builder: RequestBuilder) -> RequestBuilder {
        let (length, body) = match self {
            Self::Bytes(bytes) | Self::Secret(bytes) => (bytes.len() as u64, Body::from(bytes.clone())),
            Self::Part(part) => (part.length, part.body()),
        };
        // Of a stream it is not known otherwise, and not every registry takes a body without.
        builder.header(CONTENT_LENGTH, length).body(body)
    }
}

/// The answer to a request that carries `payload`; none when the connection takes no bytes any more, or no answer
/// comes in time.
pub(super) async fn answer(
    config: &RegistryConfig,
    payload: Option<&Payload>,
    sending: impl Future<Output = reqwest::Result<Response>>,
) -> Option<reqwest::Result<Response>> {
    let mut sending = std::pin::pin!(sending);
    let mut patience = config.connect_timeout + config.response_timeout;
    if let Some(Payload::Part(part)) = payload {
        let mut before = 0;
        loop {
            if let Ok(sent) = tokio::time::timeout(config.stall_window, &mut sending).await {
                return Some(sent);
            }
            let handed = part.handed.load(Ordering::Relaxed);
            if handed == part.length {
                break;
            }
            // Sent once more, it begins anew.
            if handed.abs_diff(before) < config.stall_bytes {
                return None;
            }
            before = handed;
        }
        patience += Duration::from_secs((part.start + part.length) / COMMIT_RATE);
    }
    tokio::time::timeout(patience, sending).await.ok()
}
