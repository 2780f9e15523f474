//! Descriptors of the set-up: not closed one by one, but all at once before the program gets its credentials.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Those with a higher number are closed at once, so that a container with hundreds of mounts stays within the limit of
/// open files.
const LEFT_OPEN: RawFd = 64;

/// A descriptor that is left open when it goes out of scope: `steps` closes whatever is not to be kept with one
/// close_range(2), before hooks are run, which may unmount what it leads to, and before the process becomes the user.
#[derive(Debug)]
pub(super) struct SetupFd(Option<OwnedFd>);

impl From<OwnedFd> for SetupFd {
    fn from(fd: OwnedFd) -> Self {
        Self(Some(fd))
    }
}

impl AsFd for SetupFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("only drop takes it").as_fd()
    }
}

impl Drop for SetupFd {
    fn drop(&mut self) {
        if let Some(fd) = self.0.take()
            && fd.as_raw_fd() < LEFT_OPEN
        {
            std::mem::forget(fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use ross_sys::clone::{CloneFlags, spawn};
    use ross_sys::fd::is_open;
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn only_low_numbers_are_left_open() {
        // In a process of its own: other tests take and free numbers meanwhile.
        let child = spawn(CloneFlags::empty(), None, || {
            if ross_sys::fd::close_all_but(3, &[]).is_err() {
                return 100;
            }
            let is_left = |number| match fcntl_dupfd_cloexec(rustix::stdio::stdout(), number) {
                Ok(fd) => {
                    drop(SetupFd::from(fd));
                    is_open(number)
                }
                Err(_) => false,
            };
            i32::from([3, LEFT_OPEN - 1, LEFT_OPEN].map(is_left) != [true, true, false])
        })
        .unwrap();
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
