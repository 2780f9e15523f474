//! Disk use of a directory tree.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::store::{failure, open};
use super::{SnapshotError, Usage};
use crate::layer::merged::stat;

/// Each level costs a descriptor and stack of this process, and a container makes as many as it likes: what lies
/// deeper is not counted.
const DEPTH_MAX: usize = 256;

/// Disk use of a directory with all that is below it, such as that of a volume. What lies deeper than 256 directories
/// is not counted.
pub fn measure_directory(path: &Path) -> Result<Usage, SnapshotError> {
    let measured = open(path).and_then(|dir| measure(&dir));
    measured.map_err(|errno| failure("measure", path, errno))
}

/// Adds up what `dir` and all below it take on disk. What vanishes meanwhile does not count.
pub(super) fn measure(dir: &OwnedFd) -> rustix::io::Result<Usage> {
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    walk(dir, &mut usage, &mut seen, DEPTH_MAX)?;
    Ok(usage)
}

fn walk(
    dir: &OwnedFd,
    usage: &mut Usage,
    seen: &mut HashSet<(u64, u64)>,
    depth: usize,
) -> rustix::io::Result<()> {
    let mut below = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b".." {
            continue;
        }
        let status = match stat(dir, name) {
            Ok(status) => status,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        if name == b"." || !directory {
            if status.st_nlink > 1 && !directory && !seen.insert((status.st_dev, status.st_ino)) {
                continue;
            }
            usage.bytes += status.st_blocks.cast_unsigned() * 512;
            usage.inodes += 1;
        } else {
            below.push(name.to_vec());
        }
    }
    for name in below {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name.as_slice(), flags, Mode::empty()) {
            Ok(dir) if depth > 0 => walk(&dir, usage, seen, depth - 1)?,
            Ok(_) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
