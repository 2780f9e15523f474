//! The image store: the door of this crate.

mod hold;
mod image_store;
mod inner;
mod lease;
mod names;
mod prune;
mod remove;
mod usage;

pub(crate) use hold::{LeasedImages, lease_images};
pub(crate) use image_store::blocking;
pub use image_store::{Hold, ImageStore, StoreConfig};
pub(crate) use inner::Inner;
pub(crate) use lease::{Fate, Lease, Swept, Wants};
pub(crate) use names::{Named, find};
pub use prune::Pruned;
pub(crate) use remove::wants_of;
pub use usage::{DiskUse, ImageDiskUse, LayerUse};
