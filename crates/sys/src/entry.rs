//! The beginning of a program that is started for every container: without the preparations of Rust's runtime.
//!
//! Before `main` those read /proc/self/maps and give the thread an alternative signal stack, to word the message of a
//! stack overflow, which then is a plain SIGSEGV; ross-runtime would pay for it twice, since it executes itself again. The
//! two that matter are made up for by [`prepare`]: standard streams that are closed are opened, and SIGPIPE is ignored.
//! Arguments and environment are there as always (glibc hands them to `.init_array`).

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// Makes the function, which takes nothing and returns the exit code as an `u8`, the beginning of the program. It calls
/// [`prepare`](crate::entry::prepare) before it opens a file to keep or writes anything. The crate has `#![no_main]`. Nothing that is buffered for standard output is written at the end: flush it.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(
            _count: ::std::ffi::c_int,
            _arguments: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            let code: u8 = $main();
            ::std::ffi::c_int::from(code)
        }
    };
}

/// Does what a program must not go without.
///
/// # Errors
/// When /dev/null cannot be opened in place of a closed stream.
pub fn prepare() -> Result<(), Errno> {
    open_standard_streams()?;
    // SAFETY: SIG_IGN is a valid disposition of SIGPIPE. rustix has no sigaction outside its runtime feature.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    Ok(())
}

/// Opens /dev/null in place of those that are closed: the next file opened would be taken for one of them.
fn open_standard_streams() -> Result<(), Errno> {
    let none = PollFlags::empty();
    let mut streams = [
        PollFd::from_borrowed_fd(rustix::stdio::stdin(), none),
        PollFd::from_borrowed_fd(rustix::stdio::stdout(), none),
        PollFd::from_borrowed_fd(rustix::stdio::stderr(), none),
    ];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    while let Err(errno) = poll(&mut streams, Some(&now)) {
        if errno != Errno::INTR {
            return Err(errno);
        }
    }
    for stream in &streams {
        if stream.revents().contains(PollFlags::NVAL) {
            // The lowest number that is free is that of this stream. It stays open for good.
            std::mem::forget(open(c"/dev/null", OFlags::RDWR, Mode::empty())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;
    use crate::clone::{CloneFlags, spawn};
    use crate::fd::{close_all_but, is_open};

    #[test]
    fn closed_streams_are_opened() {
        let child = spawn(CloneFlags::empty(), None, || {
            if close_all_but(0, &[rustix::stdio::stdout()]).is_err() {
                return 100;
            }
            if open_standard_streams().is_err() {
                return 101;
            }
            let open = [0, 1, 2, 3].map(is_open);
            i32::from(open != [true, true, true, false])
        })
        .unwrap();
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
