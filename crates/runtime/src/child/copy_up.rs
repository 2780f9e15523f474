//! `tmpcopyup`: what a directory holds, copied into the tmpfs that is about to cover it.
//!
//! Both sides are walked by descriptors, entry by entry, and no link is followed: the tree is the image's. Owner, mode,
//! times and extended attributes are kept; hard links become files of their own, sockets are left out.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, Stat, Timespec, Timestamps, XattrFlags, chownat, fchmod, fchown,
    fgetxattr, flistxattr, fsetxattr, fstat, futimens, mkdirat, mknodat, openat, readlinkat_raw, sendfile,
    statat, symlinkat, utimensat,
};
use rustix::io::{Errno, Result};
use rustix::process::{Gid, Uid};

/// How deep a tree may be: each level takes descriptors and stack.
const MAX_DEPTH: u32 = 64;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Copies what is in directory `source` into the root of the file system `target`, which takes over its owner too when
/// `own` says so.
pub(super) fn copy_up(source: BorrowedFd<'_>, target: BorrowedFd<'_>, own: bool) -> Result<()> {
    let source = openat(source, c".", DIRECTORY, Mode::empty())?;
    let target = openat(target, c".", DIRECTORY, Mode::empty())?;
    let stat = fstat(&source)?;
    copy_entries(source.as_fd(), target.as_fd(), 0)?;
    if own {
        fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    }
    futimens(&target, &times(&stat)?)
}

fn copy_entries(source: BorrowedFd<'_>, target: BorrowedFd<'_>, depth: u32) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(source, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            copy_entry(source, target, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, depth: u32) -> Result<()> {
    let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let from = openat(source, name, DIRECTORY, Mode::empty())?;
            mkdirat(target, name, Mode::RWXU)?;
            let to = openat(target, name, DIRECTORY, Mode::empty())?;
            copy_entries(from.as_fd(), to.as_fd(), depth + 1)?;
            copy_attributes(&from, &to, &fstat(&from)?)
        }
        FileType::RegularFile => copy_file(source, target, name),
        FileType::Symlink => copy_link(source, target, name, &stat),
        kind @ (FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo) => {
            mknodat(target, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev)?;
            copy_owner(target, name, &stat)
        }
        FileType::Socket | FileType::Unknown => Ok(()),
    }
}

fn copy_file(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // Not blocking: by now it may be a FIFO.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let from = openat(source, name, flags, Mode::empty())?;
    let stat = fstat(&from)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::AGAIN);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = openat(target, name, flags, Mode::RUSR | Mode::WUSR)?;
    while sendfile(&to, &from, None, 1 << 30)? > 0 {}
    copy_attributes(&from, &to, &stat)
}

fn copy_link(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
    // PATH_MAX: the kernel makes no longer ones. The last byte stays zero.
    let mut bytes = [0_u8; 4096];
    let last = bytes.len() - 1;
    readlinkat_raw(source, name, &mut bytes[..last])?;
    let link = CStr::from_bytes_until_nul(&bytes).map_err(|_| Errno::NAMETOOLONG)?;
    symlinkat(link, target, name)?;
    copy_owner(target, name, stat)
}

/// Owner and times of what has no descriptor.
fn copy_owner(target: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    utimensat(target, name, &times(stat)?, AtFlags::SYMLINK_NOFOLLOW)
}

/// Owner first: a change of it takes set-user-id bits and file capabilities away.
fn copy_attributes(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> Result<()> {
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    copy_extended(from, to)?;
    futimens(to, &times(stat)?)
}

fn copy_extended(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let mut names = [0_u8; 4096];
    let len = match flistxattr(from, &mut names) {
        Err(Errno::NOTSUP) => return Ok(()),
        result => result?,
    };
    for name in names[..len].split_inclusive(|&byte| byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::RANGE)?;
        // The label of a file in the new file system is the business of that.
        if name == c"security.selinux" {
            continue;
        }
        let mut value = [0_u8; 4096];
        let len = fgetxattr(from, name, &mut value)?;
        match fsetxattr(to, name, &value[..len], XattrFlags::empty()) {
            // tmpfs knows user.* since 6.6; trusted.* is not for user namespaces.
            Err(Errno::NOTSUP | Errno::PERM) => {}
            result => result?,
        }
    }
    Ok(())
}

fn times(stat: &Stat) -> Result<Timestamps> {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let nanoseconds = |value| i64::try_from(value).map_err(|_| Errno::RANGE);
    Ok(Timestamps {
        last_access: time(stat.st_atime, nanoseconds(stat.st_atime_nsec)?),
        last_modification: time(stat.st_mtime, nanoseconds(stat.st_mtime_nsec)?),
    })
}
