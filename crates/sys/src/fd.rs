//! Descriptors by number: those a caller hands to a program, and all beyond them.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::{Errno, Result};

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

/// Closes all descriptors from `first` on but those in `kept`, at most 16: close_range(2), Linux 5.9.
///
/// For a child that is about to execute a program, and exits without destructors when it cannot: who owns one of the
/// closed descriptors must neither use nor drop it.
///
/// # Errors
/// As close_range(2); `E2BIG` when more are to be kept.
pub fn close_all_but(first: u32, kept: &[BorrowedFd<'_>]) -> Result<()> {
    let mut numbers = [u32::MAX; 16];
    if kept.len() > numbers.len() {
        return Err(Errno::TOOBIG);
    }
    for (number, fd) in numbers.iter_mut().zip(kept) {
        *number = fd.as_raw_fd().cast_unsigned();
    }
    numbers.sort_unstable();
    let mut next = first;
    for number in numbers.into_iter().filter(|&number| number >= first) {
        if number > next {
            let last = if number == u32::MAX { number } else { number - 1 };
            // SAFETY: the caller promises that nobody counts on these descriptors any more. rustix has no close_range.
            if unsafe { libc::syscall(libc::SYS_close_range, next, last, 0_u32) } != 0 {
                return Err(last_errno());
            }
        }
        next = number.saturating_add(1);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;
    use crate::clone::{CloneFlags, spawn};

    #[test]
    fn closes_around_what_is_kept() {
        let open: Vec<OwnedFd> = (0..8).map(|_| File::open("/dev/null").unwrap().into()).collect();
        let child = spawn(CloneFlags::empty(), None, || {
            // In any order, and one of them twice.
            let kept = [open[5].as_fd(), open[2].as_fd(), open[3].as_fd(), open[5].as_fd()];
            if close_all_but(3, &kept).is_err() {
                return 100;
            }
            let wrong = |index: &usize| is_open(open[*index].as_raw_fd()) != [2, 3, 5].contains(index);
            i32::from((0..8).any(|index| wrong(&index)) || is_open(200))
        })
        .unwrap();
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
