//! The one error type of this crate: what was being done, to what, and why it failed.

use ross_types::ErrorKind;

use crate::RecordsError;

/// A network operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    kind: ErrorKind,
    text: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that needs no cause: the sentence says all.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// What a caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<RecordsError> for Error {
    fn from(source: RecordsError) -> Self {
        Self {
            kind: source.kind(),
            text: "keep the endpoint's record".into(),
            source: Some(Box::new(source)),
        }
    }
}
