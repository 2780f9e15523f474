//! Signals as something to read: all blocked, the ends of children through a descriptor; and signals by number.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor that is readable when a child of this process has changed its state (`signalfd(2)`).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks every signal that can be blocked in this thread, and has `SIGCHLD` read from a descriptor instead.
    ///
    /// Threads and programs started later inherit the mask; who starts a program resets it.
    ///
    /// # Errors
    /// When the kernel has no descriptor to give.
    pub fn block_all_and_watch_children() -> io::Result<Self> {
        let (all, children) = (full_set(), set_of(libc::SIGCHLD));
        // SAFETY: `all` is an initialized set, and a null pointer for the old one is allowed. rustix offers this only as
        // an unsafe function.
        let blocked =
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        // SAFETY: `children` is an initialized set; -1 asks for a new descriptor. rustix has no signalfd.
        let fd = unsafe { libc::signalfd(-1, &raw const children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd returned a descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes what has arrived, so that the descriptor is readable again only for something new.
    ///
    /// Several children that ended together may be reported once: reap until there is none left.
    pub fn clear(&self) {
        let mut buffer = [0_u8; 4 * size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|read| read == buffer.len()) {}
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends the signal with this number, real-time ones too, to a process (`pidfd_send_signal(2)`).
///
/// # Errors
/// `ESRCH` when it was reaped, `EINVAL` when there is no such signal.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and a null pointer asks for the usual siginfo. rustix takes named signals only.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0_u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn full_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to memory of the right size, which the call fills.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: sigfillset initialized it.
    unsafe { set.assume_init() }
}

fn set_of(signal: i32) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to memory of the right size, which the call fills.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was initialized by sigemptyset.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: sigemptyset initialized it.
    unsafe { set.assume_init() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    // One test, because the signal mask belongs to the thread and SIGCHLD to the process.
    #[test]
    fn children_are_reported_and_signalled() {
        let signals = SignalFd::block_all_and_watch_children().unwrap();
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert!(pidfd_send_signal(pidfd.as_fd(), 12_345).is_err());
        pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).is_err());
        // SIGCHLD goes to whichever thread of the test program does not block it; only clearing is to be seen here.
        signals.clear();
        let mut ready = [PollFd::new(&signals, PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut ready, Some(&now)).unwrap(), 0);
    }
}
