//! Snapshots: a stack of layers with a writable directory on top.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::mount::{Named, Overlay};
use super::{SnapshotError, changes, usage};
use crate::layer::merged::Level;
use crate::layer::{LayerError, LayerKey, LayerStore, remove};

/// Overlay stacks 500 lower directories at most (`OVL_MAX_STACK`); the upper one may be among them.
const STACK_MAX: usize = 499;

/// Whether a container can be made of so many layers.
pub(crate) fn check_depth(layers: usize) -> Result<(), SnapshotError> {
    if layers > STACK_MAX { Err(SnapshotError::TooManyLayers(layers)) } else { Ok(()) }
}

pub(super) const UPPER: &str = "upper";
const WORK: &str = "work";
/// An empty directory, to stand where overlay wants one more layer than there is.
const EMPTY: &str = "empty";

/// Makes snapshots over the layers of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    pub(super) layers: LayerStore,
}

/// A writable view of a stack of layers: `upper/` and `work/` in a container's directory. Holds no resource.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) snapshots: Snapshots,
    dir: PathBuf,
    pub(super) stack: Vec<LayerKey>,
}

/// How a snapshot is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// Nothing can be written through this mount.
    pub read_only: bool,
    /// Nothing is ever synced: faster, and lost as a whole when the host crashes (overlay's `volatile`). Whoever asks
    /// for it answers for never mounting after a crash of the host what was mounted so before.
    pub volatile: bool,
}

/// Disk use of a snapshot's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes allocated on disk.
    pub bytes: u64,
    /// Files, directories and other inodes.
    pub inodes: u64,
}

/// A path of a snapshot that differs from its layers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The absolute path in the container.
    pub path: PathBuf,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a path differs from the layers; shown as `A`, `C`, `D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is not in the layers.
    Added,
    /// It is in the layers, with other content or attributes.
    Modified,
    /// It is in the layers and was removed.
    Deleted,
}

impl Snapshots {
    /// Snapshots over the layers of `layers`.
    #[must_use]
    pub fn new(layers: LayerStore) -> Self {
        Self { layers }
    }

    /// Makes `upper/` and `work/` in `dir` (which exists), over `layers`, lowest first.
    ///
    /// The root directory gets the attributes that the highest layer which describes it gives it: what a container
    /// sees of its root is `upper/` itself.
    pub fn prepare(&self, dir: &Path, layers: &[LayerKey]) -> Result<Snapshot, SnapshotError> {
        check_depth(layers.len())?;
        let described = self.described(layers)?;
        let snapshot = self.open(dir, layers);
        let made = snapshot.make(described.as_deref());
        if made.is_err() {
            // What was asked for failed; that the clean-up may fail too adds nothing the next start will not mend.
            let _ = snapshot.remove();
        }
        made.map(|()| snapshot)
    }

    /// The tree of the highest of `layers` that says what the root directory is like.
    pub(super) fn described(&self, layers: &[LayerKey]) -> Result<Option<PathBuf>, SnapshotError> {
        let mut described = None;
        for key in layers.iter().rev() {
            let record = self.layers.record(key)?.ok_or_else(|| SnapshotError::MissingLayer(key.clone()))?;
            if record.root_entry && described.is_none() {
                described = Some(self.layers.tree(key));
            }
        }
        Ok(described)
    }

    /// The snapshot that was prepared in `dir` over `layers`, lowest first.
    #[must_use]
    pub fn open(&self, dir: &Path, layers: &[LayerKey]) -> Snapshot {
        Snapshot { snapshots: self.clone(), dir: dir.to_owned(), stack: layers.to_vec() }
    }
}

impl Snapshot {
    /// Mounts the snapshot at `target`, an existing directory, in the caller's mount namespace.
    pub fn mount(&self, target: &Path, options: MountOptions) -> Result<(), SnapshotError> {
        let mut lower = self.lower()?;
        let upper = self.named(UPPER)?;
        let writable = if options.read_only {
            // Overlay wants two lower directories when there is no upper one; and what was written is to be seen.
            lower.insert(0, upper);
            None
        } else {
            let work = self.named(WORK)?;
            if options.volatile {
                forget_volatile(&work.fd).map_err(|errno| failure("prepare", &work.path, errno))?;
            }
            Some((upper, work))
        };
        if lower.len() < 2 && (options.read_only || lower.is_empty()) {
            lower.push(self.named(EMPTY)?);
        }
        let overlay = Overlay { lower, writable, volatile: options.volatile && !options.read_only };
        overlay.mount(target).map_err(|errno| failure("mount a snapshot at", target, errno))
    }

    /// Unmounts `target`; not being mounted is no error.
    ///
    /// When something still uses it, it disappears from view at once and is given back when the last user ends.
    pub fn unmount(&self, target: &Path) -> Result<(), SnapshotError> {
        let unmount = |flags| match rustix::mount::unmount(target, UnmountFlags::NOFOLLOW | flags) {
            Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            done => done,
        };
        match unmount(UnmountFlags::empty()) {
            Err(Errno::BUSY) => unmount(UnmountFlags::DETACH),
            done => done,
        }
        .map_err(|errno| failure("unmount", target, errno))
    }

    /// Disk use of what was written over the layers.
    pub fn usage(&self) -> Result<Usage, SnapshotError> {
        let upper = self.named(UPPER)?;
        usage::measure(&upper.fd).map_err(|errno| failure("measure", &upper.path, errno))
    }

    /// Bytes of file content in the layers below, as recorded when they were unpacked. A layer that is gone counts
    /// nothing.
    pub fn layers_size(&self) -> Result<u64, SnapshotError> {
        let mut size = 0;
        for key in &self.stack {
            size += self.snapshots.layers.get(key)?.map_or(0, |layer| layer.size);
        }
        Ok(size)
    }

    /// What differs from the layers, sorted by path.
    pub fn changes(&self) -> Result<Vec<Change>, SnapshotError> {
        let upper = self.named(UPPER)?;
        let lower = Level::of_roots(self.snapshots.layers.open_stack(&self.stack)?);
        changes::list(&upper.fd, &lower)
            .map_err(|errno| failure("compare with its layers", &upper.path, errno))
    }

    /// Removes `upper/` and `work/`, whatever state a crash left them in. It must not be mounted.
    pub fn remove(&self) -> Result<(), SnapshotError> {
        let dir = match open(&self.dir) {
            Err(Errno::NOENT) => return Ok(()),
            dir => dir.map_err(|errno| failure("open", &self.dir, errno))?,
        };
        for name in [UPPER, WORK, EMPTY] {
            remove::remove_tree(&dir, name.as_bytes())
                .map_err(|errno| failure("remove", &self.dir.join(name), errno))?;
        }
        Ok(())
    }

    fn make(&self, described: Option<&Path>) -> Result<(), SnapshotError> {
        for name in [UPPER, WORK, EMPTY] {
            let path = self.dir.join(name);
            rustix::fs::mkdir(&path, Mode::RWXU).map_err(|errno| failure("make", &path, errno))?;
        }
        let path = self.dir.join(UPPER);
        let upper = open(&path).map_err(|errno| failure("open", &path, errno))?;
        let set = || match described {
            None => rustix::fs::fchmod(&upper, Mode::from_raw_mode(0o755)),
            Some(tree) => {
                let status = rustix::fs::stat(tree)?;
                let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
                rustix::fs::fchown(&upper, Some(uid), Some(gid))?;
                rustix::fs::fchmod(&upper, Mode::from_raw_mode(status.st_mode & 0o7777))
            }
        };
        set().map_err(|errno| failure("set the owner of", &path, errno))
    }

    /// The trees of the layers, highest first.
    fn lower(&self) -> Result<Vec<Named>, SnapshotError> {
        let roots = match self.snapshots.layers.open_stack(&self.stack) {
            Err(LayerError::NotFound(key)) => return Err(SnapshotError::MissingLayer(key)),
            roots => roots?,
        };
        let paths = self.stack.iter().rev().map(|key| self.snapshots.layers.tree(key));
        Ok(roots.into_iter().zip(paths).map(|(fd, path)| Named { fd, path }).collect())
    }

    pub(super) fn named(&self, name: &str) -> Result<Named, SnapshotError> {
        let path = self.dir.join(name);
        let fd = open(&path).map_err(|errno| failure("open", &path, errno))?;
        Ok(Named { fd, path })
    }
}

pub(super) fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

pub(super) fn failure(action: &'static str, path: &Path, errno: Errno) -> SnapshotError {
    SnapshotError::Kernel { action, path: path.to_owned(), source: errno.into() }
}

/// Removes the mark that a volatile mount leaves behind: with it the kernel refuses the next mount, since it cannot know
/// that the host has not crashed since (overlayfs.rst, "Volatile mount").
fn forget_volatile(work: &OwnedFd) -> rustix::io::Result<()> {
    for (mark, flags) in
        [("work/incompat/volatile/dirty", AtFlags::empty()), ("work/incompat/volatile", AtFlags::REMOVEDIR)]
    {
        match rustix::fs::unlinkat(work, mark, flags) {
            Err(Errno::NOENT) => {}
            done => done?,
        }
    }
    Ok(())
}
