//! Snapshots: writable root file systems over stacks of layers, by overlayfs.

mod error;
mod store;

pub use error::SnapshotError;
pub use store::{Change, ChangeKind, MountOptions, Snapshot, Snapshots, Usage};
