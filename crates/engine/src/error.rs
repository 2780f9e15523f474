//! The one error of the engine: which object, what kind, what people read.
//!
//! Texts that Docker users know are kept word for word, because people and scripts look for them.

use std::error::Error as StdError;

use ross_types::ErrorKind;

/// What comes back instead of a value.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A failure of an engine call.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct EngineError {
    object: String,
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl EngineError {
    /// A failure of `kind` about `object`, told by `text`.
    pub fn new(kind: ErrorKind, object: impl Into<String>, text: impl Into<String>) -> Self {
        Self { object: object.into(), kind, text: text.into(), source: None }
    }

    /// The same failure with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How a caller may act on it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The container, image, field or path it is about.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The text with those of its sources, joined by colons: what a user is shown.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = self.text.clone();
        let mut source = self.source();
        while let Some(cause) = source {
            let part = cause.to_string();
            // Some libraries repeat their source in their own text.
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            source = cause.source();
        }
        text
    }

    /// A field of a request that cannot be what it is.
    pub fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, field, format!("invalid {field}: {reason}"))
    }

    pub(crate) fn no_container(name: &str) -> Self {
        Self::new(ErrorKind::NotFound, name, format!("No such container: {name}"))
    }

    pub(crate) fn no_exec(id: &str) -> Self {
        Self::new(ErrorKind::NotFound, id, format!("No such exec instance: {id}"))
    }

    pub(crate) fn not_running(name: &str) -> Self {
        Self::new(ErrorKind::FailedPrecondition, name, format!("container {name} is not running"))
    }

    pub(crate) fn unimplemented(what: &str) -> Self {
        Self::new(ErrorKind::Unimplemented, what, format!("{what} is not supported yet"))
    }

    pub(crate) fn internal(object: &str, text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, object, text)
    }

    /// A failed file operation.
    pub(crate) fn io(call: &str, path: &std::path::Path, error: impl Into<std::io::Error>) -> Self {
        let error = error.into();
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                ErrorKind::ResourceExhausted
            }
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Internal,
        };
        let path = path.display().to_string();
        let text = format!("{call} {path}");
        Self::new(kind, path, text).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_join_their_causes_once() {
        let inner =
            EngineError::new(ErrorKind::Internal, "x", "inner").caused_by(std::io::Error::other("root"));
        let outer = EngineError::new(ErrorKind::Internal, "y", "outer").caused_by(inner);
        assert_eq!(outer.sentence(), "outer: inner: root");
        let repeating = EngineError::new(ErrorKind::Internal, "y", "outer: root")
            .caused_by(std::io::Error::other("root"));
        assert_eq!(repeating.sentence(), "outer: root");
    }
}
