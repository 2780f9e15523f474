//! Namespaces: leaving one's own for new ones, and what a namespace file is.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Result;
use rustix::thread::UnshareFlags;

use crate::error::last_errno;

/// Moves this thread into new namespaces.
///
/// # Errors
/// As unshare(2); `EINVAL` when `flags` has others than namespaces.
pub fn unshare(flags: UnshareFlags) -> Result<()> {
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWCGROUP
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWTIME
        | UnshareFlags::NEWUSER
        | UnshareFlags::NEWUTS;
    if !namespaces.contains(flags) {
        return Err(rustix::io::Errno::INVAL);
    }
    // SAFETY: the function is unsafe for CLONE_FILES, which the check above excludes.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// The `CLONE_NEW*` flag of the namespace a file stands for.
///
/// # Errors
/// `ENOTTY` when the file is no namespace.
pub fn kind(namespace: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: NS_GET_NSTYPE takes no argument and returns a number. rustix has no ioctl for namespaces.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) };
    u32::try_from(kind).map_err(|_| last_errno())
}
