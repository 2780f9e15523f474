//! What went wrong, as a caller may act on it.

/// The kind of a failure: the one classification that gRPC status, HTTP status and exit codes derive from.
///
/// Names follow the canonical gRPC codes where one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong, whatever the state of the system.
    InvalidArgument,
    /// The object named does not exist.
    NotFound,
    /// The name or resource is taken.
    AlreadyExists,
    /// The object exists, and is not in a state that allows this (running, in use, paused).
    FailedPrecondition,
    /// Credentials are missing or refused, by ross or by a registry.
    Unauthenticated,
    /// The caller, or ross itself, may not do this.
    PermissionDenied,
    /// A limit was reached: disk, memory, addresses, ports, a registry's rate.
    ResourceExhausted,
    /// Something outside ross cannot be reached now; trying again may help.
    Unavailable,
    /// A deadline passed.
    DeadlineExceeded,
    /// The caller went away or asked to stop.
    Cancelled,
    /// Content does not match its digest or its format: corrupt, or made to deceive.
    DataLoss,
    /// ross does not do this.
    Unimplemented,
    /// A program in the container cannot be executed (exit code 126).
    CannotExecute,
    /// A program in the container was not found (exit code 127).
    ProgramNotFound,
    /// A bug, or the kernel refused what must work.
    Internal,
}

impl ErrorKind {
    const ALL: [Self; 15] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::AlreadyExists,
        Self::FailedPrecondition,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::DataLoss,
        Self::Unimplemented,
        Self::CannotExecute,
        Self::ProgramNotFound,
        Self::Internal,
    ];

    /// The kind with this [`reason`](Self::reason); one that this build does not know is `Internal`.
    #[must_use]
    pub fn from_reason(reason: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.reason() == reason).unwrap_or(Self::Internal)
    }

    /// The numeric gRPC status code (`google.rpc.Code`).
    #[must_use]
    pub fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition | Self::CannotExecute | Self::ProgramNotFound => 9,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::DataLoss => 15,
            Self::Unauthenticated => 16,
        }
    }

    /// The HTTP status the Docker Engine API gives such a failure.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::CannotExecute | Self::ProgramNotFound => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::FailedPrecondition => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
            Self::DataLoss | Self::Internal => 500,
        }
    }

    /// The exit code of `ross run` and `ross exec` for such a failure.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::CannotExecute => 126,
            Self::ProgramNotFound => 127,
            _ => 125,
        }
    }

    /// The word that travels beside a gRPC status where the code alone is too coarse.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid-argument",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::FailedPrecondition => "failed-precondition",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::ResourceExhausted => "resource-exhausted",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Cancelled => "cancelled",
            Self::DataLoss => "data-loss",
            Self::Unimplemented => "unimplemented",
            Self::CannotExecute => "cannot-execute",
            Self::ProgramNotFound => "program-not-found",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_travel() {
        for (place, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(ErrorKind::from_reason(kind.reason()), kind);
            // The list is in the order of the enum and ends with its last variant: it lacks none.
            assert_eq!(kind as usize, place);
        }
        assert_eq!(ErrorKind::ALL.last(), Some(&ErrorKind::Internal));
        assert_eq!(ErrorKind::from_reason("from the future"), ErrorKind::Internal);
    }
}
