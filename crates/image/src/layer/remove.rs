//! Removing trees that others made: of any depth, with any names, never following a link, with few descriptors.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Directories held open at once. What lies deeper is moved up first.
const DEPTH: usize = 64;

/// Removes `name` in `parent`, with all that is in it. Nothing there is no error.
///
/// For trees that a container or an image has made: what the standard library offers recurses as deep as they are.
pub fn remove_tree(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let top = open(parent, name)?;
    let mut moved = 0;
    loop {
        empty(&top, &top, &mut moved, DEPTH)?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {}
            done => return done,
        }
    }
}

fn open(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn empty(dir: &OwnedFd, top: &OwnedFd, moved: &mut u64, depth: usize) -> rustix::io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(errno),
        }
        // A directory may be filled faster than one pass reads it only by whoever still writes to it.
        loop {
            match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) if depth == 0 => {
                    move_up(dir, name, top, moved)?;
                    break;
                }
                Err(Errno::NOTEMPTY) => empty(&open(dir, name)?, top, moved, depth - 1)?,
                Ok(()) | Err(Errno::NOENT) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

fn move_up(dir: &OwnedFd, name: &[u8], top: &OwnedFd, moved: &mut u64) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        let free = format!(".ross-removed-{moved}");
        match rustix::fs::renameat_with(dir, name, top, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
}
