//! Snapshots: a stack of layers with a writable directory on top.

use std::path::{Path, PathBuf};

use super::SnapshotError;
use crate::layer::{LayerKey, LayerStore};

/// Makes snapshots over the layers of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    layers: LayerStore,
}

/// A writable view of a stack of layers: `upper/` and `work/` in a container's directory. Holds no resource.
#[derive(Debug, Clone)]
pub struct Snapshot {
    snapshots: Snapshots,
    dir: PathBuf,
    stack: Vec<LayerKey>,
}

/// How a snapshot is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// Nothing can be written through this mount.
    pub read_only: bool,
    /// Nothing is ever synced: faster, and lost as a whole when the host crashes (overlay's `volatile`).
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
    pub fn prepare(&self, dir: &Path, layers: &[LayerKey]) -> Result<Snapshot, SnapshotError> {
        Ok(self.open(dir, layers))
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
        let _ = (target, options, &self.snapshots.layers, &self.stack);
        unimplemented!()
    }

    /// Unmounts `target`; not being mounted is no error.
    pub fn unmount(&self, target: &Path) -> Result<(), SnapshotError> {
        let _ = target;
        unimplemented!()
    }

    /// Disk use of what was written over the layers.
    pub fn usage(&self) -> Result<Usage, SnapshotError> {
        unimplemented!()
    }

    /// What differs from the layers, sorted by path.
    pub fn changes(&self) -> Result<Vec<Change>, SnapshotError> {
        unimplemented!()
    }

    /// Removes `upper/` and `work/`, whatever state a crash left them in. It must not be mounted.
    pub fn remove(&self) -> Result<(), SnapshotError> {
        let _ = &self.dir;
        unimplemented!()
    }
}
