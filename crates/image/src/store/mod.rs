//! The image store: the door of this crate.

mod hold;
mod image_store;
mod inner;
mod lease;
mod names;
mod remove;

pub(crate) use hold::{LeasedImages, lease_images};
pub(crate) use image_store::blocking;
pub use image_store::{Hold, ImageStore, StoreConfig};
pub(crate) use inner::Inner;
pub(crate) use lease::{Lease, Wants};
pub(crate) use names::{Named, find};
pub(crate) use remove::wants_of;
