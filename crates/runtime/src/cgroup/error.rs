//! What goes wrong with a cgroup.

use ross_types::ErrorKind;
use rustix::io::Errno;

use super::Controller;

/// A failure of a cgroup operation. Fields are named as `config.json` has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// A path that names no cgroup.
    #[error("cgroup path {path:?} {reason}")]
    InvalidPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has no cgroup v2.
    #[error("no cgroup2 file system at /sys/fs/cgroup or /sys/fs/cgroup/unified")]
    NoHierarchy,
    /// A field that only cgroup v1 has a meaning for.
    #[error("{field}: cgroup v2 has no such limit")]
    OnlyVersion1 {
        /// The field.
        field: &'static str,
    },
    /// A value that means nothing, or contradicts another.
    #[error("{field}: {reason}")]
    InvalidValue {
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit that nothing would enforce.
    #[error("{field}: the {controller} controller is not available to cgroup {path}")]
    NoController {
        /// The field that asks for the limit.
        field: String,
        /// The controller it needs.
        controller: Controller,
        /// The cgroup.
        path: String,
    },
    /// A limit for which the kernel, as it is configured, has no file.
    #[error("{field}: the kernel has no {file}")]
    NoFile {
        /// The field that asks for the limit.
        field: String,
        /// The file.
        file: String,
    },
    /// A limit that the kernel refuses.
    #[error("{field}: write {value:?} to {file} of cgroup {path}")]
    Limit {
        /// The field that asks for the limit.
        field: String,
        /// The file.
        file: String,
        /// What was written to it.
        value: String,
        /// The cgroup.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// Another operation.
    #[error("{operation} of cgroup {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The cgroup.
        path: String,
        /// Why it failed.
        #[source]
        source: Errno,
    },
    /// There are processes in the cgroup a container was to be made in.
    #[error("cgroup {path} has processes in it")]
    InUse {
        /// The cgroup.
        path: String,
    },
    /// The cgroup a container was to be made in is frozen: its process would not start.
    #[error("cgroup {path} is frozen")]
    Frozen {
        /// The cgroup.
        path: String,
    },
    /// systemd, or the way to it.
    #[error("{operation} unit {unit}: {reason}")]
    Systemd {
        /// What was asked for.
        operation: &'static str,
        /// The unit.
        unit: String,
        /// What came back.
        reason: String,
    },
    /// Processes did not stop or leave in time.
    #[error("cgroup {path} was not {state} in time")]
    TimedOut {
        /// The state waited for.
        state: &'static str,
        /// The cgroup.
        path: String,
    },
}

impl CgroupError {
    /// Whether it says that there is no such cgroup.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source: Errno::NOENT, .. })
    }

    /// What a caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidPath { .. } | Self::OnlyVersion1 { .. } | Self::InvalidValue { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::NoHierarchy | Self::NoController { .. } | Self::NoFile { .. } => ErrorKind::Unimplemented,
            Self::InUse { .. } | Self::Frozen { .. } => ErrorKind::FailedPrecondition,
            Self::TimedOut { .. } => ErrorKind::DeadlineExceeded,
            Self::Systemd { .. } => ErrorKind::Internal,
            Self::Limit { source, .. } | Self::Io { source, .. } => kind_of(*source),
        }
    }
}

fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::INVAL | Errno::RANGE | Errno::NODEV | Errno::DOM => ErrorKind::InvalidArgument,
        Errno::PERM | Errno::ACCESS | Errno::ROFS => ErrorKind::PermissionDenied,
        Errno::BUSY => ErrorKind::FailedPrecondition,
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::AlreadyExists,
        Errno::NOMEM | Errno::NOSPC | Errno::AGAIN => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Internal,
    }
}
