//! mount_setattr(2), the one call of the mount API that rustix lacks.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Result;

use crate::error::last_errno;

/// Attributes of a mount, as mount_setattr(2) and fsmount(2) take them.
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// No set-user-id.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// No devices.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// No execution.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// The field of the access time settings; to be cleared when one of them is set.
    pub const ATIME: u64 = libc::MOUNT_ATTR__ATIME;
    /// Update access times relative to modification; the value 0.
    pub const RELATIME: u64 = libc::MOUNT_ATTR_RELATIME;
    /// Never update access times.
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    /// Always update access times.
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    /// Never update access times of directories.
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    /// Map ids by a user namespace.
    pub const IDMAP: u64 = libc::MOUNT_ATTR_IDMAP;
    /// Do not follow symbolic links.
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
}

/// Propagation types of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Events go both ways.
    Shared,
    /// Events come in.
    Slave,
    /// No events.
    Private,
    /// No events, and it cannot be bind-mounted.
    Unbindable,
}

/// What [`set`] changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountChange<'fd> {
    /// Attributes to set, of [`attr`].
    pub set: u64,
    /// Attributes to clear, of [`attr`].
    pub clear: u64,
    /// New propagation type.
    pub propagation: Option<Propagation>,
    /// User namespace for [`attr::IDMAP`].
    pub userns: Option<i32>,
    /// Makes the lifetime of `userns` visible to the borrow checker.
    pub marker: std::marker::PhantomData<&'fd ()>,
}

impl<'fd> MountChange<'fd> {
    /// A change of ids by `userns`.
    #[must_use]
    pub fn id_map(userns: BorrowedFd<'fd>) -> Self {
        Self { set: attr::IDMAP, userns: Some(userns.as_raw_fd()), ..Self::default() }
    }

    /// A change of propagation.
    #[must_use]
    pub fn propagation(propagation: Propagation) -> Self {
        Self { propagation: Some(propagation), ..Self::default() }
    }

    /// Attributes set, and nothing else.
    #[must_use]
    pub fn attributes(set: u64) -> Self {
        Self { set, ..Self::default() }
    }
}

/// Changes the mount whose root `mount` is, and those below it when `recursive`.
///
/// # Errors
/// As mount_setattr(2).
pub fn set(mount: BorrowedFd<'_>, recursive: bool, change: &MountChange<'_>) -> Result<()> {
    set_at(mount, c"", recursive, change)
}

/// Changes the mount whose root `path` is, and those below it when `recursive`.
///
/// # Errors
/// As mount_setattr(2).
pub fn set_at(dir: BorrowedFd<'_>, path: &CStr, recursive: bool, change: &MountChange<'_>) -> Result<()> {
    let propagation = match change.propagation {
        None => 0,
        Some(Propagation::Shared) => libc::MS_SHARED,
        Some(Propagation::Slave) => libc::MS_SLAVE,
        Some(Propagation::Private) => libc::MS_PRIVATE,
        Some(Propagation::Unbindable) => libc::MS_UNBINDABLE,
    };
    let change = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation,
        userns_fd: change.userns.map_or(0, |fd| u64::from(fd.unsigned_abs())),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, and `change` a mount_attr of the size given. Neither nix nor rustix has
    // mount_setattr.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(&change),
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
