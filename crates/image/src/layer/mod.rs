//! Layers: tar streams turned into directories that overlay can stack.
//!
//! [`LayerStore::apply`] takes an uncompressed stream and ends with a folder under `layers/` that is whole and on
//! disk, or with an error and nothing. Layers unpack in parallel and do not wait for each other; those that turn out
//! to depend on the layers below come back as [`Applied::NeedsParents`] and are completed when those are in place.
//!
//! ```text
//! layers/<key>/tree/        the root: whiteouts are char 0:0, opaque directories have trusted.overlay.opaque=y
//! layers/<key>/layer.json   the commit record (see `record`)
//! layers/.staging/<n>/      the same while it is not whole; emptied when the store is opened
//! ```
//!
//! Archives are hostile until they have ended: nothing is resolved outside the tree's root descriptor, memory and
//! disk are bounded by [`UnpackLimits`], and no name of an archive reaches the host's name space.
//! `pack` goes the other way. The module knows nothing of registries, compression, images or containers.

mod archive;
mod check;
mod compare;
mod error;
mod fault;
mod fixup;
mod key;
mod ledger;
mod limits;
pub(crate) mod merged;
mod name;
mod number;
mod pack;
mod pax;
mod record;
pub(crate) mod remove;
mod sparse;
mod staging;
mod store;
mod stream;
mod sync;
mod tree;
mod unpack;
mod write;
mod xattr;

pub(crate) use archive::{Archive, Kind, Member};
pub(crate) use check::{Checked, Subject};
pub(crate) use compare::Difference;
pub(crate) use error::kind_of_io;
pub use error::{ArchiveFlaw, EntryFlaw, LayerError};
pub use key::{InvalidLayerKey, LayerKey};
pub use limits::UnpackLimits;
pub use pack::PackError;
pub(crate) use pack::{Below, pack_changes, pack_root};
pub use remove::remove_tree;
pub(crate) use store::GoneLayer;
pub use store::{Applied, Layer, LayerStore, Pending};
