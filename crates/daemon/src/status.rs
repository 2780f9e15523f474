//! Failures as statuses: code, sentence, and in metadata the reason and the object.

use std::error::Error as StdError;

use ross_engine::EngineError;
use ross_types::ErrorKind;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Metadata key of [`ErrorKind::reason`].
const REASON: &str = "ross-reason";

/// Metadata key of the object a failure is about, where it has a name in ASCII.
const OBJECT: &str = "ross-object";

/// A status of `kind` about `object`.
pub fn status(kind: ErrorKind, object: &str, sentence: impl Into<String>) -> Status {
    let mut status = Status::new(Code::from_i32(kind.grpc_code()), sentence);
    let metadata = status.metadata_mut();
    metadata.insert(REASON, MetadataValue::from_static(kind.reason()));
    if let Ok(object) = MetadataValue::try_from(object)
        && !object.is_empty()
    {
        metadata.insert(OBJECT, object);
    }
    status
}

/// The status of an engine failure.
pub fn of_engine(error: &EngineError) -> Status {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(object = error.object(), error = error.sentence(), "internal failure");
    }
    status(error.kind(), error.object(), error.sentence())
}

/// The status of an image failure about `object`.
pub fn of_image(error: &ross_image::Error, object: &str) -> Status {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(object, error = chain(error), "internal failure");
    }
    status(error.kind(), object, chain(error))
}

/// A request that is wrong in itself.
pub fn invalid(field: &str, reason: impl std::fmt::Display) -> Status {
    status(ErrorKind::InvalidArgument, field, format!("invalid {field}: {reason}"))
}

/// Something ross will do one day.
pub fn unimplemented(what: &str, instead: &str) -> Status {
    status(ErrorKind::Unimplemented, what, format!("{what} is not supported yet: {instead}"))
}

/// A stream or a wait cut short because the daemon ends.
pub fn stopping() -> Status {
    status(ErrorKind::Unavailable, "", "rossd is stopping; containers go on running")
}

/// A failure of the daemon itself.
pub fn internal(sentence: impl Into<String>) -> Status {
    let sentence = sentence.into();
    tracing::error!(error = sentence, "internal failure");
    status(ErrorKind::Internal, "", sentence)
}

/// An error with its sources, each said once.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_code_reason_and_object() {
        let error = EngineError::new(ErrorKind::ProgramNotFound, "web", "exec /x: no such file or directory");
        let status = of_engine(&error);
        assert_eq!(
            (status.code(), status.message()),
            (Code::FailedPrecondition, "exec /x: no such file or directory")
        );
        assert_eq!(status.metadata().get(REASON).unwrap(), "program-not-found");
        assert_eq!(status.metadata().get(OBJECT).unwrap(), "web");
        let odd = EngineError::new(ErrorKind::NotFound, "wëb\n", "none");
        assert!(of_engine(&odd).metadata().get(OBJECT).is_none());
    }

    #[test]
    fn every_kind_has_its_code() {
        let check = |kind: ErrorKind, code: Code| assert_eq!(status(kind, "", "").code(), code, "{kind:?}");
        check(ErrorKind::InvalidArgument, Code::InvalidArgument);
        check(ErrorKind::NotFound, Code::NotFound);
        check(ErrorKind::AlreadyExists, Code::AlreadyExists);
        check(ErrorKind::FailedPrecondition, Code::FailedPrecondition);
        check(ErrorKind::CannotExecute, Code::FailedPrecondition);
        check(ErrorKind::Unauthenticated, Code::Unauthenticated);
        check(ErrorKind::PermissionDenied, Code::PermissionDenied);
        check(ErrorKind::ResourceExhausted, Code::ResourceExhausted);
        check(ErrorKind::Unavailable, Code::Unavailable);
        check(ErrorKind::DeadlineExceeded, Code::DeadlineExceeded);
        check(ErrorKind::Cancelled, Code::Cancelled);
        check(ErrorKind::DataLoss, Code::DataLoss);
        check(ErrorKind::Unimplemented, Code::Unimplemented);
        check(ErrorKind::Internal, Code::Internal);
    }
}
