//! Which extended attributes an archive may set, and setting them.

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::EntryFlaw;
use super::fault::{Doing, Fault, Result};

/// The default ACL of a directory, which must wait until nothing is made in it any more.
pub(super) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
/// `XATTR_NAME_MAX` and `XATTR_SIZE_MAX` of limits.h.
const NAME_MAX: usize = 255;
const VALUE_MAX: usize = 64 << 10;

/// Whether an attribute is content of an image.
///
/// File capabilities, ACLs and the user's own are. `trusted.*` is overlay's, and would let an archive forge
/// whiteouts and redirects; `security.selinux`, `.ima`, `.evm` and the like belong to the host that packed it.
pub(crate) fn is_content(name: &[u8]) -> bool {
    match name {
        b"security.capability" | b"system.posix_acl_access" | DEFAULT_ACL => true,
        _ => name.starts_with(b"user.") && !name.starts_with(b"user.overlay."),
    }
}

/// The attributes of `all` that are content, refusing what no file system can hold.
pub(super) fn content(
    all: Vec<(Vec<u8>, Vec<u8>)>,
) -> impl Iterator<Item = std::result::Result<(Vec<u8>, Vec<u8>), EntryFlaw>> {
    all.into_iter().filter(|(name, _)| is_content(name)).map(|(name, value)| {
        if name.len() > NAME_MAX || value.len() > VALUE_MAX || name.contains(&0) {
            Err(EntryFlaw::AttributeTooLong(super::name::show(&name)))
        } else {
            Ok((name, value))
        }
    })
}

/// Sets an attribute on an open file or directory.
pub(super) fn set(fd: impl AsFd, name: &[u8], value: &[u8]) -> Result<()> {
    settle(name, rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))
}

/// Sets those of `all` that are content on an open directory. A default ACL, which has to wait, is returned instead.
pub(super) fn set_content(dir: impl AsFd, all: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Option<Vec<u8>>> {
    let mut default_acl = None;
    for attribute in content(all) {
        let (name, value) = attribute?;
        if name == DEFAULT_ACL {
            default_acl = Some(value);
        } else {
            set(&dir, &name, &value)?;
        }
    }
    Ok(default_acl)
}

/// Sets an attribute on `name` in `dir`, which may be a link or a device and is not opened.
pub(super) fn set_at(dir: impl AsFd, file: &[u8], name: &[u8], value: &[u8]) -> Result<()> {
    // setxattrat(2) came with Linux 6.13; /proc leads to the open directory without any name being looked up.
    let mut path = format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(file);
    settle(name, rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()))
}

/// `user.*` is lost where neither the file system nor the file's type can carry it; all else must hold.
fn settle(name: &[u8], result: rustix::io::Result<()>) -> Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) if name.starts_with(b"user.") => Ok(()),
        Err(errno) => Err(Fault::Kernel { action: "set its extended attributes", errno }),
        Ok(()) => Ok(()),
    }
}

/// The attributes of `fd` that are content, sorted. It may be open as a path, and then must be no link.
pub(super) fn of(fd: impl AsFd) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Attributes cannot be asked for of a descriptor that is only a path.
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    // Most files have none: the length alone says so.
    let len = match rustix::fs::listxattr_query(&path) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        len => len?,
    };
    let mut names = vec![0; len.max(VALUE_MAX)];
    let len = rustix::fs::listxattr(&path, names.as_mut_slice())?;
    let mut all = Vec::new();
    for name in names[..len].split(|byte| *byte == 0).filter(|name| is_content(name)) {
        let mut value = vec![0; VALUE_MAX];
        match rustix::fs::getxattr(&path, name, value.as_mut_slice()) {
            // Removed meanwhile.
            Err(Errno::NODATA) => {}
            len => {
                value.truncate(len?);
                all.push((name.to_vec(), value));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// Copies the attributes that are content from one open file to another; a default ACL is returned instead.
pub(super) fn copy(from: impl AsFd, to: impl AsFd) -> Result<Option<Vec<u8>>> {
    let action = "read its extended attributes";
    let mut default_acl = None;
    let mut names = vec![0; VALUE_MAX];
    let len = match rustix::fs::flistxattr(&from, names.as_mut_slice()) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => return Ok(None),
        Err(errno) => return Err(errno).doing(action),
    };
    for name in names[..len].split(|byte| *byte == 0).filter(|name| is_content(name)) {
        let mut value = vec![0; VALUE_MAX];
        let len = rustix::fs::fgetxattr(&from, name, value.as_mut_slice()).doing(action)?;
        value.truncate(len);
        if name == DEFAULT_ACL {
            default_acl = Some(value);
        } else {
            set(&to, name, &value)?;
        }
    }
    Ok(default_acl)
}
