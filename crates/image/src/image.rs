//! An image of the store: its record and its configuration.

use crate::manifest::ImageConfig;
use crate::record::ImageRecord;

/// An image that is on disk.
#[derive(Debug, Clone)]
pub struct Image {
    /// What is recorded of it.
    pub record: ImageRecord,
    /// Its configuration. Empty where `damaged` says that it cannot be read.
    pub config: ImageConfig,
    /// The configuration's bytes, whose digest is the image id.
    pub raw_config: Vec<u8>,
    /// Why the configuration could not be read; only [`ImageStore::list`](crate::ImageStore::list) hands out
    /// such an image, so that it can be seen and removed.
    pub damaged: Option<String>,
}

/// A container that keeps an image from being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's name or short id, for people.
    pub container: String,
    /// Whether it runs (or is paused): then `force` does not help.
    pub running: bool,
}

/// One step of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// This reference, in its familiar form, is gone.
    Untagged(String),
    /// This image is gone.
    Deleted(ross_types::Digest),
}

/// An image that came out of an archive.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The image, with all names that lead to it.
    pub image: Image,
    /// The names that the archive gives it.
    pub names: Vec<ross_types::ImageRef>,
}

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The image id.
    pub id: ross_types::Digest,
    /// What the reference leads to at the registry now: the digest of the image's manifest.
    pub digest: ross_types::Digest,
    /// The manifest's size in bytes.
    pub manifest_size: u64,
}

/// What a pull came to.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The image the reference now leads to.
    pub image: Image,
    /// Whether anything changed: false says that the reference led to this very image before.
    pub updated: bool,
    /// What the reference resolved to: the digest of a manifest or an index.
    pub digest: ross_types::Digest,
}
