//! Copying a directory of an image: content, owners, modes, times, extended attributes.
//!
//! Entries are reached by fd and name and no link is ever followed. Hard links become files of their own.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat,
    fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, mkdirat, mknodat, openat, readlinkat,
    statat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// How deep directories may be nested. A container can nest them without end, and each level costs stack and
/// descriptors here.
const MAX_DEPTH: usize = 256;

/// Copies the directory `source` to `target`, which does not exist. Directories nested too deep are an error.
pub(super) fn copy_tree(source: OwnedFd, target: &Path) -> io::Result<()> {
    mkdirat(CWD, target, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = openat(CWD, target, flags, Mode::empty())?;
    copy_dir(source, target, MAX_DEPTH)
}

/// Gives the directory `target` the owner, mode, times and extended attributes of the directory `source`.
pub(super) fn copy_attributes_of(source: &Path, target: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = openat(CWD, source, flags, Mode::empty())?;
    let target = openat(CWD, target, flags, Mode::empty())?;
    copy_attributes(source.as_fd(), target.as_fd(), &fstat(&source)?)
}

fn copy_dir(source: OwnedFd, target: OwnedFd, levels: usize) -> io::Result<()> {
    let Some(below) = levels.checked_sub(1) else {
        return Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep")));
    };
    let stat = fstat(&source)?;
    for entry in Dir::read_from(&source)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            copy_entry(source.as_fd(), target.as_fd(), entry.file_name(), below)?;
        }
    }
    copy_attributes(source.as_fd(), target.as_fd(), &stat)
}

fn copy_entry(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, levels: usize) -> io::Result<()> {
    let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(target, name, Mode::RWXU)?;
            let from = openat(source, name, open | OFlags::DIRECTORY, Mode::empty())?;
            let to = openat(target, name, open | OFlags::DIRECTORY, Mode::empty())?;
            copy_dir(from, to, levels)
        }
        FileType::RegularFile => {
            let from = openat(source, name, open, Mode::empty())?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let to = openat(target, name, create, Mode::RUSR | Mode::WUSR)?;
            let (mut from, mut to) = (File::from(from), File::from(to));
            io::copy(&mut from, &mut to)?;
            copy_attributes(from.as_fd(), to.as_fd(), &stat)
        }
        FileType::Symlink => {
            symlinkat(readlinkat(source, name, Vec::new())?.as_c_str(), target, name)?;
            own_at(target, name, &stat)
        }
        kind @ (FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket) => {
            mknodat(target, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?;
            own_at(target, name, &stat)
        }
        FileType::Unknown => Ok(()),
    }
}

fn own_at(dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(utimensat(dir, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn copy_attributes(source: BorrowedFd<'_>, target: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    // The owner first: changing it takes away set-user-ID bits and file capabilities.
    fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    copy_xattrs(source, target)?;
    Ok(futimens(target, &times(stat))?)
}

fn copy_xattrs(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let len = match flistxattr(source, &mut names[..]) {
        Ok(len) => len,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = Vec::new();
    for name in names[..len].split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        // Overlay's own, and labels that belong to a place.
        if name.to_bytes().starts_with(b"trusted.overlay.") || name.to_bytes() == b"security.selinux" {
            continue;
        }
        value.resize(64 << 10, 0);
        let len = fgetxattr(source, name, &mut value[..])?;
        match fsetxattr(target, name, &value[..len], XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_copied_to_a_bounded_depth() {
        let check = |depth: usize, copied: bool| {
            let dir = tempfile::tempdir().unwrap();
            let source = dir.path().join("source");
            // The source itself is the first level. Short names, so that the path stays below PATH_MAX.
            let deepest = (1..depth).fold(source.clone(), |path, _| path.join("d"));
            std::fs::create_dir_all(&deepest).unwrap();
            std::fs::write(deepest.join("file"), "deep").unwrap();
            let fd = openat(CWD, &source, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            let target = dir.path().join("target");
            let done = copy_tree(fd, &target);
            assert_eq!(done.is_ok(), copied, "{depth}: {done:?}");
            let there = target.join(deepest.strip_prefix(&source).unwrap()).join("file");
            assert_eq!(there.exists(), copied, "{depth}");
        };
        check(1, true);
        check(MAX_DEPTH, true);
        check(MAX_DEPTH + 1, false);
    }
}
