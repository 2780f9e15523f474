//! Signals by number, real-time ones included, to a process held by its pidfd.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Result;

use crate::error::last_errno;

/// Sends a signal; 0 only checks that the process is there.
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: the siginfo pointer may be NULL. rustix takes the named signals only.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sends a signal to a process by its number, which must be known not to have been reused.
///
/// # Errors
/// As kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: no memory is passed.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(last_errno()) }
}
