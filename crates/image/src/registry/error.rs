//! What a registry, or the way to it, came to.

use std::error::Error as StdError;
use std::time::Duration;

use ross_types::ErrorKind;

/// A registry did not hand out what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {text}")]
pub struct RegistryError {
    object: String,
    text: String,
    kind: ErrorKind,
    /// Whether the same request may succeed a moment later.
    passing: bool,
    /// How long the server asks its clients to wait.
    asked: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RegistryError {
    /// A failure that will be the same next time.
    pub(crate) fn lasting(object: &str, kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { object: object.to_owned(), text: text.into(), kind, passing: false, asked: None, source: None }
    }

    /// A failure that may pass.
    pub(crate) fn passing(object: &str, kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { passing: true, ..Self::lasting(object, kind, text) }
    }

    /// What the HTTP client reports of a request for `object`.
    pub(crate) fn of_transport(object: &str, error: reqwest::Error) -> Self {
        // The URL may carry a signature, and `object` says better what was asked for.
        let error = error.without_url();
        let (kind, text) = if error.is_timeout() {
            (ErrorKind::DeadlineExceeded, "the registry does not answer in time")
        } else if error.is_connect() {
            (ErrorKind::Unavailable, "cannot connect to the registry")
        } else {
            (ErrorKind::Unavailable, "the connection broke")
        };
        let (passing, text) = match tls_failure(&error) {
            Some(rustls::Error::InvalidMessage(_)) => (
                false,
                "the registry does not speak TLS; list it under the insecure registries to use plain HTTP",
            ),
            Some(_) => (false, "no TLS connection that can be trusted"),
            None => (true, text),
        };
        Self { passing, source: Some(Box::new(error)), ..Self::lasting(object, kind, text) }
    }

    /// The same failure, with what to do about it.
    pub(crate) fn advise(mut self, advice: &str) -> Self {
        self.text = format!("{}; {advice}", self.text);
        self
    }

    /// The same failure, as one that may pass.
    pub(crate) fn that_passes(self) -> Self {
        Self { passing: true, ..self }
    }

    /// The same failure of a server that asks to be left alone for so long.
    pub(crate) fn asking(self, asked: Option<Duration>) -> Self {
        Self { asked, ..self }
    }

    /// See [`Self::asking`].
    pub(crate) fn asked(&self) -> Option<Duration> {
        self.asked
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.passing
    }

    /// The same failure, said once more after `attempts` attempts.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        if attempts > 1 {
            self.text = format!("{} ({attempts} attempts)", self.text);
        }
        self
    }

    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

fn tls_failure<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // An io::Error hides what it wraps from `source`, and they come within each other.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
