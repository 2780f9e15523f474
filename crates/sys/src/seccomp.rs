//! Installing seccomp filters: `seccomp(2)` with its flags.
//!
//! Nothing here allocates, locks or logs, so that it can be called between clone and exec. What the
//! program means is not this module's concern: ross-runtime compiles it.
//! rustix leaves seccomp out on purpose (it may make later calls of the process fail).

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::error::last_errno;

/// One instruction of classic BPF: the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Operation, see linux/bpf_common.h.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{:#04x} {} {} {:#x}}}", self.code, self.jt, self.jf, self.k)
    }
}

const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
const _: () = assert!(align_of::<Instruction>() >= align_of::<libc::sock_filter>());

/// Flags of `SECCOMP_SET_MODE_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// All threads of the process get the filter.
    pub const TSYNC: Self = Self(1);
    /// Every action but ALLOW is logged, as far as `actions_logged` permits.
    pub const LOG: Self = Self(1 << 1);
    /// No speculative store bypass mitigation for the sake of this filter.
    pub const SPEC_ALLOW: Self = Self(1 << 2);
    /// The call returns a listener for USER_NOTIF actions.
    pub const NEW_LISTENER: Self = Self(1 << 3);
    /// With TSYNC and NEW_LISTENER together: a thread that cannot follow is ESRCH, not its id.
    pub const TSYNC_ESRCH: Self = Self(1 << 4);
    /// A notification that was received can only be interrupted by a fatal signal (Linux 5.19).
    pub const WAIT_KILLABLE: Self = Self(1 << 5);

    /// No flag.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits as the kernel takes them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

const SET_MODE_FILTER: libc::c_uint = 1;
const GET_ACTION_AVAIL: libc::c_uint = 2;

/// Installs `program` on the calling thread; with NEW_LISTENER the listener is returned (close-on-exec).
///
/// The caller has either no_new_privs or CAP_SYS_ADMIN in its user namespace, otherwise this is EACCES.
/// A program longer than 65535 instructions is E2BIG (the kernel itself takes 4096).
pub fn load(program: &[Instruction], flags: Flags) -> Result<Option<OwnedFd>, Errno> {
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::TOOBIG) };
    let fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `fprog` points at `len` initialised instructions of the layout asserted above, which the
    // kernel only reads, and both outlive the call. nix and rustix have no seccomp(2).
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags.0, &raw const fprog) };
    if ret < 0 {
        return Err(last_errno());
    }
    if !flags.contains(Flags::NEW_LISTENER) {
        // TSYNC without TSYNC_ESRCH answers with the id of a thread that could not follow.
        return if ret == 0 { Ok(None) } else { Err(Errno::SRCH) };
    }
    let Ok(fd) = i32::try_from(ret) else { return Err(Errno::BADF) };
    // SAFETY: the call succeeded with NEW_LISTENER, so its result is a new descriptor nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Whether the kernel knows the action (the upper half of a filter's return value).
#[must_use]
pub fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads one u32 through the pointer. nix and rustix have no seccomp(2).
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0_u32, &raw const action) };
    ret == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RET: u16 = 0x06;

    #[test]
    fn a_filter_is_installed_on_a_thread() {
        // Only the thread made here is filtered, and it ends at once.
        std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            let allow = [Instruction { code: RET, jt: 0, jf: 0, k: 0x7fff_0000 }];
            assert!(load(&allow, Flags::SPEC_ALLOW).unwrap().is_none());
            let listener = load(&allow, Flags::NEW_LISTENER).unwrap();
            assert!(listener.is_some());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_wrong_program_is_refused() {
        std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            assert_eq!(load(&[], Flags::empty()).unwrap_err(), Errno::INVAL);
            let open_end = [Instruction { code: 0x20, jt: 0, jf: 0, k: 0 }];
            assert_eq!(load(&open_end, Flags::empty()).unwrap_err(), Errno::INVAL);
            let long = vec![Instruction { code: RET, jt: 0, jf: 0, k: 0 }; 70_000];
            assert_eq!(load(&long, Flags::empty()).unwrap_err(), Errno::TOOBIG);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn actions_are_probed() {
        assert!(action_available(0x7fff_0000));
        assert!(!action_available(0x1234_0000));
    }
}
