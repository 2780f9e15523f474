//! What is remembered of an image, and the capability that remembers it.
//!
//! The store of records is the caller's (ross-engine keeps them in its database). ross-image writes a record
//! last, when every layer it names is on disk, and every blob but those of layers that were here already (another
//! image may have brought the same layer in another blob). It removes the record first.

use std::fmt::Debug;

use ross_types::{ChainId, DiffId, Digest, ErrorKind, ImageRef, Platform};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// One image, by the digest of its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The digest of the configuration blob: what people know as the image id.
    pub id: Digest,
    /// The digest of the image's own manifest (never of an index).
    pub manifest: Digest,
    /// The media type of that manifest.
    pub media_type: String,
    /// What the image is for, as its configuration says.
    pub platform: Platform,
    /// Its layers, lowest first.
    pub layers: Vec<LayerRecord>,
    /// Bytes of the configuration and the blobs of all layers, as transferred.
    pub size: u64,
    /// RFC 3339 time of creation, as its configuration says.
    pub created: Option<String>,
    /// When it was last pulled or loaded, in nanoseconds since 1970.
    pub pulled_at: i64,
    /// Tags and digest references that lead here. Ignored by [`ImageRecords::put_image`].
    pub references: Vec<ImageRef>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The digest of the uncompressed archive.
    pub diff_id: DiffId,
    /// The digest of this layer and all below it.
    pub chain_id: ChainId,
    /// The digest of the blob as transferred.
    pub blob: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// The layer's name in the layer store: `layers/<key>`.
    pub key: String,
}

impl ImageRecord {
    /// Whether the image has this manifest, configuration or layer as transferred.
    pub(crate) fn names_blob(&self, digest: &Digest) -> bool {
        self.id == *digest
            || self.manifest == *digest
            || self.layers.iter().any(|layer| layer.blob == *digest)
    }

    /// Takes over how `known`, a record of the same image, came here: its manifest and the blobs of its layers. Where
    /// the layers are on disk stays as it is.
    pub(crate) fn keep_blobs_of(&mut self, known: &Self) {
        self.manifest = known.manifest.clone();
        self.media_type = known.media_type.clone();
        self.size = known.size;
        // The id is the digest of a configuration that lists the layers, so these are the same ones.
        for (own, known) in self.layers.iter_mut().zip(&known.layers) {
            own.blob = known.blob.clone();
            own.size = known.size;
        }
    }
}

/// A store of image records and tags. Calls may block on a disk; each is atomic and durable when it returns.
pub trait ImageRecords: Send + Sync + Debug {
    /// Adds the image, or replaces the one with this id; its references stay as they are.
    ///
    /// # Errors
    /// When the record could not be made durable.
    fn put_image(&self, image: &ImageRecord) -> Result<(), RecordsError>;

    /// Makes `reference` lead to the image `id`, whatever it led to before. `manifest` is what the reference
    /// resolved to at the registry: a manifest or an index.
    ///
    /// # Errors
    /// When there is no such image, or the change could not be made durable.
    fn set_tag(&self, reference: &ImageRef, id: &Digest, manifest: &Digest) -> Result<(), RecordsError>;

    /// Removes a reference; says whether there was one.
    ///
    /// # Errors
    /// When the change could not be made durable.
    fn remove_tag(&self, reference: &ImageRef) -> Result<bool, RecordsError>;

    /// Removes an image and every reference that leads to it; no such image is no error.
    ///
    /// # Errors
    /// When the change could not be made durable.
    fn remove_image(&self, id: &Digest) -> Result<(), RecordsError>;

    /// All images with their references.
    ///
    /// # Errors
    /// When they cannot be read.
    fn images(&self) -> Result<Vec<ImageRecord>, RecordsError>;
}

/// Why image records could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("image records: {operation}")]
pub struct RecordsError {
    operation: &'static str,
    kind: ErrorKind,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl RecordsError {
    /// The failure of `operation` (a verb and its object), caused by `source`.
    pub fn new(
        operation: &'static str,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { operation, kind, source: source.into() }
    }

    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A failure point's errno.
impl From<Errno> for RecordsError {
    fn from(errno: Errno) -> Self {
        let source = std::io::Error::from(errno);
        Self::new("write", crate::layer::kind_of_io(&source), source)
    }
}
