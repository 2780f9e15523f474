//! A snapshot as an archive: what it changes, as a layer; or all that is seen through it, as one tar.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::store::{UPPER, failure, open};
use super::{MountOptions, Snapshot, SnapshotError};
use crate::layer::merged::Level;
use crate::layer::{Below, pack_changes, pack_root};

/// `OVERLAYFS_SUPER_MAGIC` of linux/magic.h.
const OVERLAY: rustix::fs::FsWord = 0x794c_7630;

/// All files of a snapshot at one place, for reading. Nothing is mounted where anybody could see it.
#[derive(Debug)]
pub struct MergedRoot {
    root: OwnedFd,
}

impl Snapshot {
    /// Writes what differs from the layers as the archive of a layer; says how many entries it has.
    ///
    /// `mount_points` are absolute paths on which something is mounted while the container runs: what was made
    /// there only to be mounted on is no change. The snapshot may be mounted, and written to meanwhile: what is
    /// written then may be in the archive or not.
    pub fn pack_changes(&self, mount_points: &[PathBuf], out: &mut dyn Write) -> Result<u64, SnapshotError> {
        let upper = self.named(UPPER)?;
        let level = Level::of_roots(self.snapshots.layers.open_stack(&self.stack)?);
        let root = match self.snapshots.described(&self.stack)? {
            Some(tree) => Some(open(&tree).map_err(|errno| failure("open", &tree, errno))?),
            None => None,
        };
        let mount_points: BTreeSet<Vec<u8>> = mount_points.iter().map(|path| below_root(path)).collect();
        let below = Below { level, root, mount_points: &mount_points };
        Ok(pack_changes(&upper.fd, &below, out)?)
    }

    /// All files of a snapshot that is not mounted. `at` is an empty directory that is used for a moment.
    pub fn open_merged(&self, at: &Path) -> Result<MergedRoot, SnapshotError> {
        self.mount(at, MountOptions { read_only: true, volatile: false })?;
        let opened = open(at).map_err(|errno| failure("open", at, errno));
        // The descriptor alone keeps it from here on.
        rustix::mount::unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|errno| failure("unmount", at, errno))?;
        opened.map(|root| MergedRoot { root })
    }
}

impl MergedRoot {
    /// All files below `path`, where a snapshot is mounted.
    pub fn of_mounted(path: &Path) -> Result<Self, SnapshotError> {
        let open = || {
            let root = open(path)?;
            // Without its mount it is a directory with nothing in it, and would be taken for one.
            let is_overlay = rustix::fs::fstatfs(&root)?.f_type == OVERLAY;
            if is_overlay { Ok(root) } else { Err(Errno::NOENT) }
        };
        open().map(|root| Self { root }).map_err(|errno| failure("find a snapshot at", path, errno))
    }

    /// Writes all files as one archive; says how many entries it has. Other mounts are not followed.
    pub fn pack(&self, out: &mut dyn Write) -> Result<u64, SnapshotError> {
        Ok(pack_root(&self.root, out)?)
    }
}

/// An absolute path as one below the root, without empty components.
fn below_root(path: &Path) -> Vec<u8> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    parts.filter(|part| !matches!(*part, b"" | b".")).collect::<Vec<_>>().join(&b'/')
}
