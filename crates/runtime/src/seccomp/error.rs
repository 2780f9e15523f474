//! Why a profile cannot become a filter.

use ross_types::ErrorKind;

/// A profile that cannot be compiled. Paths are those of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeccompError {
    /// A condition names an argument no system call has.
    #[error("linux.seccomp.syscalls[{rule}].args: index {index} is not one of the arguments 0 to 5")]
    ArgumentIndex {
        /// Index of the rule.
        rule: usize,
        /// The index it gives.
        index: u32,
    },
    /// An errno beyond what the kernel can return (4095, or 65535 as data for a tracer).
    #[error("{path}: errno {errno} is out of range")]
    ErrnoRange {
        /// The field.
        path: String,
        /// Its value.
        errno: u32,
    },
    /// An errno is given to an action that takes none.
    #[error("{path}: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno")]
    ErrnoUnused {
        /// The field.
        path: String,
    },
    /// A default of SCMP_ACT_NOTIFY would stop the container before its listener can be handed over.
    #[error("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default")]
    NotifyByDefault,
    /// A call that the runtime itself needs after the filter is installed.
    #[error("linux.seccomp.syscalls[{rule}]: SCMP_ACT_NOTIFY cannot be used for {name}")]
    NotifyUnsafe {
        /// Index of the rule.
        rule: usize,
        /// The call.
        name: &'static str,
    },
    /// There are notifications, and nobody to send them to.
    #[error("linux.seccomp.listenerPath: required by SCMP_ACT_NOTIFY")]
    NoListener,
    /// Metadata for a listener that is not there.
    #[error("linux.seccomp.listenerMetadata: set without a listenerPath")]
    MetadataWithoutListener,
    /// A flag that only means something to notifications.
    #[error("linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY")]
    WaitKillableWithoutNotify,
    /// The kernel takes at most 4096 instructions.
    #[error("linux.seccomp: the profile needs {instructions} instructions, the kernel takes 4096")]
    TooLong {
        /// How many it would need.
        instructions: usize,
    },
    /// ross has no system call numbers for the machine it runs on.
    #[error("linux.seccomp: filters are not supported on {architecture}")]
    UnsupportedMachine {
        /// The machine.
        architecture: &'static str,
    },
}

impl SeccompError {
    /// What a caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedMachine { .. } => ErrorKind::Unimplemented,
            _ => ErrorKind::InvalidArgument,
        }
    }
}
