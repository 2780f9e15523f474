//! clone3(2): a child in new namespaces and a given cgroup, with a pidfd, running a closure on a copied stack.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, Result};

use crate::error::last_errno;

/// Namespaces of a child, and other flags of clone3(2) that leave memory unshared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloneFlags(u64);

impl CloneFlags {
    /// `CLONE_NEWNS`
    pub const NEWNS: Self = Self(libc::CLONE_NEWNS as u64);
    /// `CLONE_NEWPID`
    pub const NEWPID: Self = Self(libc::CLONE_NEWPID as u64);
    /// `CLONE_NEWNET`
    pub const NEWNET: Self = Self(libc::CLONE_NEWNET as u64);
    /// `CLONE_NEWIPC`
    pub const NEWIPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// `CLONE_NEWUTS`
    pub const NEWUTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// `CLONE_NEWUSER`
    pub const NEWUSER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// `CLONE_NEWCGROUP`
    pub const NEWCGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);
    /// `CLONE_PARENT`: the child is a sibling.
    pub const PARENT: Self = Self(libc::CLONE_PARENT as u64);

    /// No flags.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for CloneFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for CloneFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// `CLONE_INTO_CGROUP`, which libc has in too narrow a type.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// A child process.
#[derive(Debug)]
pub struct Child {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// Its handle, close-on-exec.
    pub pidfd: OwnedFd,
}

/// `struct clone_args` of the kernel, version 2 (5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Starts a child that runs `child` and exits with the status it returns; SIGCHLD tells of its end.
///
/// The child has a copy of the caller's memory and one thread. When the caller has other threads, a lock one of them
/// held stays locked in the child for ever, the allocator's among them: `child` must neither allocate nor lock.
///
/// # Errors
/// As clone3(2).
pub fn spawn(
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> i32,
) -> Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: flags.0 | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd).expose_provenance() as u64,
        // CLONE_PARENT takes the parent's exit signal and refuses another.
        exit_signal: if flags.contains(CloneFlags::PARENT) { 0 } else { libc::SIGCHLD as u64 },
        ..CloneArgs::default()
    };
    if let Some(dir) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = u64::from(dir.as_raw_fd().unsigned_abs());
    }
    // SAFETY: `args` is a valid clone_args of the size given, its pidfd points to a live c_int. Without CLONE_VM and
    // with no stack the child goes on here on its own copy of this stack, as after fork(2). Neither nix nor rustix
    // has clone3.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of::<CloneArgs>()) };
    // Seccomp profiles answer ENOSYS to clone3, whose flags they cannot see, and allow clone without namespaces: a
    // hook started under the container's filter comes by that.
    let plain = flags == CloneFlags::empty() && cgroup.is_none();
    let pid = match pid {
        -1 if plain && last_errno() == Errno::NOSYS => {
            let flags = libc::c_ulong::from((libc::CLONE_PIDFD | libc::SIGCHLD).unsigned_abs());
            let no_stack = std::ptr::null_mut::<libc::c_void>();
            // SAFETY: without CLONE_VM and a stack this is fork(2); the third argument, on every architecture the
            // parent's tid, is where CLONE_PIDFD stores the descriptor, a live c_int; no flag reads the others.
            unsafe {
                libc::syscall(
                    libc::SYS_clone,
                    flags,
                    no_stack,
                    std::ptr::from_mut(&mut pidfd),
                    no_stack,
                    no_stack,
                )
            }
        }
        pid => pid,
    };
    match pid {
        -1 => Err(last_errno()),
        0 => crate::exec::exit(child()),
        pid => Ok(Child {
            pid: i32::try_from(pid).expect("process ids fit 22 bits"),
            // SAFETY: the kernel stored a new descriptor there, which nothing else knows.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn runs_the_child() {
        let child = spawn(CloneFlags::empty(), None, || 7).unwrap();
        use std::os::fd::AsFd;
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(7));
    }
}
