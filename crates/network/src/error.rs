//! The one error type of this crate: what was being done, to what, and why it failed.

use std::io;

use ross_types::ErrorKind;
use rustix::io::Errno;

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

    /// `operation` failed because the kernel said so.
    pub(crate) fn io(operation: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match (Errno::from_io_error(&source), source.kind()) {
            (Some(Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::NOMEM), _) => {
                ErrorKind::ResourceExhausted
            }
            (_, io::ErrorKind::PermissionDenied) => ErrorKind::PermissionDenied,
            _ => ErrorKind::Internal,
        };
        Self { kind, text: operation.into(), source: Some(Box::new(source)) }
    }

    /// `operation` went on to its end, whatever of it failed.
    pub(crate) fn unless_none(operation: impl Into<String>, failures: Vec<Self>) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self::several(operation, failures)) }
    }

    /// `operation` went on to its end, and these steps of it failed.
    pub(crate) fn several(operation: impl Into<String>, failures: Vec<Self>) -> Self {
        let kind = failures.first().map_or(ErrorKind::Internal, |first| first.kind);
        let chain = |error: &Self| match &error.source {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let list = failures.iter().map(chain).collect::<Vec<_>>().join("; ");
        Self { kind, text: operation.into(), source: Some(list.into()) }
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
