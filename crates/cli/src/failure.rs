//! Everything that can make a command fail, the sentence it prints and the exit code it leaves.

mod field;

use std::io;
use std::path::PathBuf;

use ross_types::ErrorKind;
use tonic::{Code, Status};

use crate::credentials::CredentialsError;
use crate::value::BadValue;

/// Metadata of a status: the word of `ErrorKind::reason` that the code alone cannot tell.
const REASON: &str = "ross-reason";

/// Metadata of a status: what it is about; a field of the API, if the request was wrong.
const OBJECT: &str = "ross-object";

/// Exit code of a process whose standard output was closed: as if SIGPIPE had ended it.
const BROKEN_PIPE: u8 = 128 + 13;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A flag's value makes no sense.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// The command as a whole makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file named on the command line.
    #[error("{what} `{}`: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// Credentials that can be neither found nor kept.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// There is no talking to a daemon.
    #[error("{0}")]
    Connect(String),
    /// The daemon says no.
    #[error("{}", sentence(.0))]
    Refused(#[from] Status),
    /// The daemon answered against its own protocol.
    #[error("rossd answered out of turn: {0}")]
    Protocol(&'static str),
    /// The terminal or a stream of this process.
    #[error("{what}: {source}")]
    Stream { what: &'static str, source: io::Error },
    /// Whoever read the output has left; there is nobody to tell.
    #[error("standard output was closed")]
    BrokenPipe,
    /// A signal came, of this number; who sent it knows.
    #[error("signal {0} ended the command")]
    Signalled(u8),
    /// Some of several objects failed and each was reported already.
    #[error("some of the objects could not be handled")]
    Reported,
}

impl Failure {
    /// A failure to write to standard output or error.
    pub fn output(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::Stream { what: "cannot write the output", source }
    }

    /// Whether there is something left to say.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::BrokenPipe | Self::Signalled(_) | Self::Reported)
    }

    /// Whether the daemon knows no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }

    /// Whether the daemon says that this cannot name such an object.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::InvalidArgument)
    }

    /// Whether the daemon went away.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Refused(status) if is_lost(status))
    }

    /// The exit code of a command that stands for a program: 125, or what the shell gives a missing program.
    pub fn exit_code_of_run(&self) -> u8 {
        match self {
            Self::BrokenPipe => BROKEN_PIPE,
            Self::Refused(status) => kind_of_run(status).exit_code(),
            _ => ErrorKind::Internal.exit_code(),
        }
    }

    /// The exit code of any other command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BrokenPipe => BROKEN_PIPE,
            Self::Signalled(number) => 128 + number,
            _ => 1,
        }
    }
}

fn kind_of_run(status: &Status) -> ErrorKind {
    let reason = status.metadata().get(REASON).and_then(|reason| reason.to_str().ok());
    [ErrorKind::CannotExecute, ErrorKind::ProgramNotFound]
        .into_iter()
        .find(|kind| Some(kind.reason()) == reason)
        .unwrap_or(ErrorKind::Internal)
}

/// What a status says to people.
fn sentence(status: &Status) -> String {
    if is_lost(status) {
        return "the connection to rossd was lost; containers go on running without it".to_owned();
    }
    match status.message() {
        message if status.metadata().get(REASON).is_none() && status.code() == Code::Internal => {
            format!("rossd and this ross do not understand each other: {message}")
        }
        "" => format!("rossd refused without saying why ({:?})", status.code()),
        message => with_flag(status, message),
    }
}

/// Whether it was the connection that spoke, not rossd.
fn is_lost(status: &Status) -> bool {
    status.metadata().get(REASON).is_none()
        && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

/// `message` with the flag in place of the field that it is about. Objects are containers and images, too, and may have
/// the name of a field: only the two sentences about fields are touched.
fn with_flag(status: &Status, message: &str) -> String {
    let flagged = || {
        let field = status.metadata().get(OBJECT)?.to_str().ok()?;
        let flag = field::flag_of(field)?;
        if let Some(reason) = message.strip_prefix("invalid ").and_then(|rest| rest.strip_prefix(field)) {
            return reason.starts_with(": ").then(|| format!("invalid {flag}{reason}"));
        }
        let reason = message.strip_prefix(field)?;
        reason.starts_with(" cannot be enforced").then(|| format!("{flag}{reason}"))
    };
    flagged().unwrap_or_else(|| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, reason: &'static str) -> Failure {
        let mut status = Status::new(code, "exec /bin/x: no such file or directory");
        status.metadata_mut().insert(REASON, reason.parse().unwrap());
        Failure::Refused(status)
    }

    #[test]
    fn exit_codes() {
        let check = |failure: Failure, of_run: u8, other: u8| {
            assert_eq!((failure.exit_code_of_run(), failure.exit_code()), (of_run, other), "{failure:?}");
        };
        check(refused(Code::FailedPrecondition, "program-not-found"), 127, 1);
        check(refused(Code::FailedPrecondition, "cannot-execute"), 126, 1);
        check(refused(Code::FailedPrecondition, "failed-precondition"), 125, 1);
        check(refused(Code::NotFound, "not-found"), 125, 1);
        check(Failure::Usage(String::new()), 125, 1);
        check(Failure::BrokenPipe, 141, 141);
        check(Failure::Signalled(2), 125, 130);
    }

    #[test]
    fn sentences() {
        assert_eq!(
            refused(Code::NotFound, "not-found").to_string(),
            "exec /bin/x: no such file or directory"
        );
        let lost = Failure::Refused(Status::unavailable("broken"));
        assert!(lost.to_string().starts_with("the connection to rossd was lost"), "{lost}");
        assert!(!lost.to_string().contains("broken"), "{lost}");
        let check = |object: &'static str, message: &str, expected: &str| {
            let mut status = Status::invalid_argument(message);
            status.metadata_mut().insert(REASON, "invalid-argument".parse().unwrap());
            status.metadata_mut().insert(OBJECT, object.parse().unwrap());
            assert_eq!(Failure::Refused(status).to_string(), expected);
        };
        check("memory_bytes", "invalid memory_bytes: out of range", "invalid --memory: out of range");
        check("nano_cpus", "nano_cpus cannot be enforced: no", "--cpus cannot be enforced: no");
        check("user", "No such container: user", "No such container: user");
        check("cmd", "container cmd is not running", "container cmd is not running");
        let odd = Failure::Refused(Status::internal("failed to decode"));
        assert!(odd.to_string().ends_with("failed to decode"), "{odd}");
        assert!(Failure::Refused(Status::not_found("")).to_string().contains("NotFound"));
    }
}
