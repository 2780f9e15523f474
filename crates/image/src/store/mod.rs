//! The image store: the door of this crate.

mod image_store;
mod inner;
mod lease;
mod names;
mod prune;
mod remove;
mod usage;

pub(crate) use image_store::blocking;
pub use image_store::{Hold, ImageStore, StoreConfig};
pub(crate) use inner::Inner;
pub(crate) use lease::{Lease, Wants};
pub use prune::Pruned;
pub use usage::{DiskUse, ImageDiskUse, LayerUse};
