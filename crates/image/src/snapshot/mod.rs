//! Snapshots: writable root file systems over stacks of layers, by overlayfs.
//!
//! A snapshot is `upper/`, `work/` and `empty/` in a directory of its owner's, over layers named by key. It is mounted
//! where the owner says and holds nothing while it is not; the module keeps no state of its own and knows nothing of
//! containers. Upper directories are plain: no redirects, no metadata-only copies, so that one can become a layer.

mod changes;
mod error;
mod mount;
mod pack;
mod store;
mod usage;

pub use error::SnapshotError;
pub use pack::MergedRoot;
pub(crate) use store::check_depth;
pub use store::{Change, ChangeKind, MountOptions, Snapshot, Snapshots, Usage};
pub use usage::measure_directory;
