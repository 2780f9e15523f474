//! Why a container could not be created, started or changed.

use std::path::PathBuf;

use ross_sys::SysError;
use ross_sys::error::describe;
use ross_types::ErrorKind;
use rustix::io::Errno;

use crate::cgroup::CgroupError;
use crate::seccomp::SeccompError;
use crate::spec::InvalidSpec;
use crate::state::Status;

/// A failed operation of the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name no container can have.
    #[error("invalid container ID format: `{0}`, use [A-Za-z0-9_+.-], the first not a dot")]
    InvalidId(String),
    /// No container has this name.
    #[error("container does not exist: `{0}`")]
    NotFound(String),
    /// A container has this name already.
    #[error("container with given ID already exists: `{0}`")]
    AlreadyExists(String),
    /// The container is not in a state that allows this.
    #[error("{}", wrong_status(operation, id, *status))]
    WrongStatus {
        /// Container.
        id: String,
        /// What was asked for.
        operation: &'static str,
        /// What it is.
        status: Status,
    },
    /// `config.json`, or a process given by JSON, is wrong.
    #[error("{}: {source}", file.display())]
    Spec {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        source: InvalidSpec,
    },
    /// Options that contradict the configuration or each other.
    #[error("{0}")]
    Options(String),
    /// A file could not be read or written.
    #[error("{operation} {}: {}", path.display(), describe(*errno))]
    File {
        /// Such as `open`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The state file of a container cannot be understood.
    #[error("state of container `{id}` is damaged: {reason}")]
    DamagedState {
        /// Container.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The seccomp profile.
    #[error("linux.seccomp: {0}")]
    Seccomp(#[source] SeccompError),
    /// The cgroup.
    #[error("cgroup: {0}")]
    Cgroup(#[source] CgroupError),
    /// Shares of caches and memory bandwidth.
    #[error("linux.intelRdt: {0}")]
    IntelRdt(String),
    /// A system call of the runtime itself.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// A step of the set-up inside the container.
    #[error("{step}: {}", describe(*errno))]
    Setup {
        /// What was being done, such as `mount proc on /proc`.
        step: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// The child died before it said what was wrong, for instance of the memory limit.
    #[error("the container's process died during {0}")]
    Died(&'static str),
    /// The program could not be executed.
    #[error("exec {program}: {}", exec_reason(program, *errno))]
    Exec {
        /// The first argument.
        program: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// A hook failed.
    #[error("hook {kind} {path}: {reason}")]
    Hook {
        /// Such as `createRuntime`.
        kind: &'static str,
        /// The program.
        path: String,
        /// How it failed.
        reason: String,
    },
}

/// In the words of runc, which containerd and podman look for: "container not running" above all.
fn wrong_status(operation: &str, id: &str, status: Status) -> String {
    match (operation, status) {
        ("start", Status::Stopped) => format!("cannot start a container that has stopped: `{id}`"),
        ("start", Status::Running) => format!("cannot start an already running container: `{id}` is running"),
        ("start", _) => format!("cannot start a container in the {status} state: `{id}`"),
        ("exec", Status::Stopped) => format!("cannot exec in a stopped container: `{id}`"),
        ("exec", Status::Paused) => {
            format!("cannot exec in a paused container (use --ignore-paused to override): `{id}` is paused")
        }
        ("delete", _) => format!("cannot delete container `{id}` that is not stopped: it is {status}"),
        ("resume", _) => format!("container not paused: `{id}` is {status}"),
        _ => format!("container not running: cannot {operation} `{id}` that is {status}"),
    }
}

/// How it is told that a program is there and the interpreter of its `#!` line or ELF header is not. execve(2) says
/// `ENOENT` of both, and never this.
pub(crate) const NO_INTERPRETER: Errno = Errno::LIBACC;

fn exec_reason(program: &str, errno: Errno) -> String {
    match errno {
        Errno::NOENT if !program.contains('/') => "executable file not found in $PATH".to_owned(),
        NO_INTERPRETER => {
            "no such file or directory: the interpreter that it names is not in the container".to_owned()
        }
        _ => describe(errno),
    }
}

impl Error {
    /// What a caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidId(_) | Self::Spec { .. } | Self::Options(_) => ErrorKind::InvalidArgument,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::AlreadyExists(_) => ErrorKind::AlreadyExists,
            Self::WrongStatus { .. } => ErrorKind::FailedPrecondition,
            Self::IntelRdt(_) => ErrorKind::FailedPrecondition,
            Self::DamagedState { .. } => ErrorKind::DataLoss,
            Self::Seccomp(error) => error.kind(),
            Self::Cgroup(error) => error.kind(),
            Self::File { errno, .. } | Self::Setup { errno, .. } => errno_kind(*errno),
            Self::Sys(error) => errno_kind(error.errno),
            Self::Exec { errno, .. } if matches!(*errno, Errno::NOENT | Errno::NOTDIR | NO_INTERPRETER) => {
                ErrorKind::ProgramNotFound
            }
            Self::Exec { .. } => ErrorKind::CannotExecute,
            Self::Hook { .. } | Self::Died(_) => ErrorKind::Internal,
        }
    }
}

fn errno_kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::PermissionDenied,
        Errno::NOMEM | Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::DQUOT => {
            ErrorKind::ResourceExhausted
        }
        Errno::INVAL | Errno::LOOP | Errno::NAMETOOLONG => ErrorKind::InvalidArgument,
        Errno::TIMEDOUT => ErrorKind::DeadlineExceeded,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_callers_look_for() {
        let check = |operation, status, words: &str| {
            let error = Error::WrongStatus { id: "c".into(), operation, status }.to_string();
            assert!(error.contains(words) && error.contains("`c`"), "{error}");
        };
        check("start", Status::Stopped, "cannot start a container that has stopped");
        check("start", Status::Running, "cannot start an already running container");
        check("start", Status::Paused, "cannot start a container in the paused state");
        check("exec", Status::Stopped, "cannot exec in a stopped container");
        check("exec", Status::Paused, "cannot exec in a paused container (use --ignore-paused to override)");
        check("kill", Status::Stopped, "container not running");
        check("pause", Status::Stopped, "container not running");
        check("update", Status::Stopped, "container not running");
        check("resume", Status::Running, "container not paused");
        check("delete", Status::Running, "that is not stopped");
        assert!(Error::NotFound("c".into()).to_string().contains("container does not exist"));
        let taken = Error::AlreadyExists("c".into()).to_string();
        assert!(taken.contains("container with given ID already exists"));
        assert!(Error::InvalidId("/".into()).to_string().contains("invalid container ID format"));
    }
}
