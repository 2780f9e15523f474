//! Descriptors by number: those a caller hands to a program, and all beyond them.

use std::os::fd::RawFd;

use rustix::io::Result;

use crate::error::last_errno;

/// Marks all descriptors from `first` on close-on-exec: close_range(2), Linux 5.11.
///
/// # Errors
/// As close_range(2).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: the call marks descriptors and closes none. rustix has no close_range.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Lets the descriptor of this number survive exec.
///
/// # Errors
/// `EBADF` when there is none.
pub fn keep_across_exec(fd: RawFd) -> Result<()> {
    // SAFETY: F_SETFD changes one flag of a descriptor, whoever owns it, and closes nothing. rustix wants a
    // BorrowedFd, which cannot be had safely from a number.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Whether a descriptor of this number is open.
#[must_use]
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only reads a flag.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}
