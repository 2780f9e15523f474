//! Single steps of making an inode from an archive member.

use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::EntryFlaw;
use super::archive::{Archive, Kind, Member};
use super::fault::{Doing, Fault, Result};
use super::ledger::{Late, Ledger};
use super::name;
use super::tree::open_beneath;

/// Access and modification time both take the archive's, as containerd has it.
pub(super) fn times(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

/// The attributes of a directory nobody describes: mode 0755, owner 0:0, and always the same time.
pub(super) fn late_default() -> Late {
    Late { mode: None, mtime: Some(Timespec { tv_sec: 0, tv_nsec: 0 }), default_acl: None }
}

/// The member's owner; -1 would mean "leave it" to the kernel.
pub(super) fn owner(member: &Member) -> Result<(u32, u32)> {
    let id = |id: i64| match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(EntryFlaw::Owner(id)),
    };
    Ok((id(member.uid)?, id(member.gid)?))
}

pub(super) fn set_owner_at(dir: impl AsFd, file: &[u8], owner: (u32, u32)) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    rustix::fs::chownat(dir, file, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).doing("set its owner")
}

/// Makes a new file; whatever has the name, even a link, is an error.
pub(super) fn create(dir: impl AsFd, file: &[u8], mode: Mode) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, file, flags, mode)
}

/// The file type and device number of a special file.
pub(super) fn device(member: &Member) -> Result<(FileType, u64)> {
    let kind = match member.kind {
        Kind::Fifo => return Ok((FileType::Fifo, 0)),
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::CharacterDevice,
    };
    let (major, minor) = member.device;
    // The kernel has 12 bits for the one and 20 for the other (include/linux/kdev_t.h).
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(0), Ok(0)) if kind == FileType::CharacterDevice => Err(EntryFlaw::WhiteoutDevice.into()),
        (Ok(major), Ok(minor)) if major < 1 << 12 && minor < 1 << 20 => {
            Ok((kind, rustix::fs::makedev(major, minor)))
        }
        _ => Err(EntryFlaw::DeviceNumber(major.cast_unsigned(), minor.cast_unsigned()).into()),
    }
}

/// Moves the member's data from the archive into the file, straight from the stream's buffers.
pub(super) fn content<R: BufRead>(file: &OwnedFd, member: &Member, archive: &mut Archive<R>) -> Result<()> {
    let Some(segments) = &member.sparse else { return run(file, member.stored, archive) };
    for segment in segments {
        rustix::fs::seek(file, rustix::fs::SeekFrom::Start(segment.offset)).doing("write the file")?;
        run(file, segment.len, archive)?;
    }
    rustix::fs::ftruncate(file, member.real_size).doing("set the file's size")
}

fn run<R: BufRead>(file: &OwnedFd, mut len: u64, archive: &mut Archive<R>) -> Result<()> {
    while len > 0 {
        let data = archive.data().map_err(Fault::from)?;
        let data = &data[..usize::try_from(len).map_or(data.len(), |len| len.min(data.len()))];
        let written = match rustix::io::write(file, data) {
            Err(Errno::INTR) => continue,
            written => written.doing("write the file")?,
        };
        archive.consume(written);
        len -= written as u64;
    }
    Ok(())
}

/// Gives all directories the attributes that had to wait.
pub(super) fn finish_directories(
    root: &OwnedFd,
    ledger: &Ledger,
) -> std::result::Result<(), (Vec<u8>, Fault)> {
    let mut parent: Option<(&[u8], OwnedFd)> = None;
    for (path, late) in &ledger.directories {
        let result = match name::split(path) {
            None => apply_late(root, b".", late),
            Some((dir, file)) => {
                if parent.as_ref().is_none_or(|(open, _)| *open != dir) {
                    let opened = open_beneath(root, dir).doing("open its parent directory");
                    parent = Some((dir, opened.map_err(|fault| (path.clone(), fault))?));
                }
                let (_, fd) = parent.as_ref().expect("opened above");
                apply_late(fd, file, late)
            }
        };
        result.map_err(|fault| (path.clone(), fault))?;
    }
    Ok(())
}

fn apply_late(dir: &OwnedFd, file: &[u8], late: &Late) -> Result<()> {
    if let Some(acl) = &late.default_acl {
        super::xattr::set_at(dir, file, super::xattr::DEFAULT_ACL, acl)?;
    }
    if let Some(mode) = late.mode {
        // Only directories are in the ledger, and nobody else writes to the tree: this follows no link.
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::chmodat(dir, file, mode, AtFlags::empty()).doing("set its mode")?;
    }
    match late.mtime {
        Some(time) => {
            rustix::fs::utimensat(dir, file, &times(time), AtFlags::SYMLINK_NOFOLLOW).doing("set its times")
        }
        None => Ok(()),
    }
}
