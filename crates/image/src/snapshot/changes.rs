//! What an upper directory changes in the layers below it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Change, ChangeKind};
use crate::layer::merged::{self, Found, Level, stat};

/// Each level costs descriptors and stack of this process, and a container makes as many as it likes.
const DEPTH_MAX: usize = 256;

/// Lists the changes of `upper`, whose lower layers are `lower`, sorted by path. What a container that runs removes or
/// replaces meanwhile does not count.
pub(super) fn list(upper: &OwnedFd, lower: &Level) -> rustix::io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    walk(upper, Some(lower), Path::new("/"), &mut changes, DEPTH_MAX)?;
    changes.sort();
    Ok(changes)
}

fn walk(
    upper: &OwnedFd,
    lower: Option<&Level>,
    path: &Path,
    changes: &mut Vec<Change>,
    depth: usize,
) -> rustix::io::Result<()> {
    for name in names(upper)? {
        let status = match stat(upper, &name) {
            Err(Errno::NOENT) => continue,
            status => status?,
        };
        let path = path.join(OsStr::from_bytes(&name));
        let found = lower.map_or(Ok(Found::Nothing), |lower| lower.step(&name))?;
        if merged::is_whiteout(&status) {
            if !matches!(found, Found::Nothing) {
                changes.push(Change { path, kind: ChangeKind::Deleted });
            }
            continue;
        }
        let kind = if matches!(found, Found::Nothing) { ChangeKind::Added } else { ChangeKind::Modified };
        changes.push(Change { path: path.clone(), kind });
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(upper, name.as_slice(), flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            dir => dir?,
        };
        if depth == 0 {
            return Err(Errno::NAMETOOLONG);
        }
        let below = match found {
            Found::Directory(below, _) => Some(below),
            Found::Nothing | Found::Other(..) => None,
        };
        let below = below.as_ref();
        if merged::is_opaque(&dir)? {
            deleted_by_opaque(&dir, below, &path, changes)?;
            walk(&dir, None, &path, changes, depth - 1)?;
        } else {
            walk(&dir, below, &path, changes, depth - 1)?;
        }
    }
    Ok(())
}

/// An opaque directory deletes what the layers have in it and it does not.
fn deleted_by_opaque(
    upper: &OwnedFd,
    lower: Option<&Level>,
    path: &Path,
    changes: &mut Vec<Change>,
) -> rustix::io::Result<()> {
    let Some(lower) = lower else { return Ok(()) };
    let kept: BTreeSet<Vec<u8>> = names(upper)?.into_iter().collect();
    let mut gone = BTreeSet::new();
    for dir in lower.all() {
        gone.extend(names(dir)?.into_iter().filter(|name| !kept.contains(name)));
    }
    for name in gone {
        if !matches!(lower.step(&name)?, Found::Nothing) {
            let path: PathBuf = path.join(OsStr::from_bytes(&name));
            changes.push(Change { path, kind: ChangeKind::Deleted });
        }
    }
    Ok(())
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
