//! Why a manifest, index or configuration cannot be used.

use ross_types::ErrorKind;

/// A document that ross cannot use, or that tries to deceive.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ManifestError {
    kind: ErrorKind,
    text: String,
    source: Option<serde_json::Error>,
}

impl ManifestError {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    pub(crate) fn malformed(what: &str, source: serde_json::Error) -> Self {
        Self { kind: ErrorKind::DataLoss, text: format!("{what}: malformed"), source: Some(source) }
    }

    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
