//! The image store: the door of this crate.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use ross_types::{Digest, ImageRef, Platform};

use crate::error::Error;
use crate::image::{Image, ImageUse, Pulled, Removed};
use crate::progress::ProgressSink;
use crate::record::ImageRecords;
use crate::registry::{Credentials, RegistryConfig};

/// Where a store keeps its data, and what it needs from its owner.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The directory of `blobs/`, `ingest/` and `layers/`; ross's `--root`.
    pub root: PathBuf,
    /// Where image records are kept.
    pub records: Arc<dyn ImageRecords>,
    /// How registries are reached.
    pub registries: RegistryConfig,
}

/// Images on disk. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct ImageStore {
    config: Arc<StoreConfig>,
}

impl ImageStore {
    /// Opens or creates the store under `config.root`, and clears what was left in staging.
    ///
    /// # Errors
    /// When a directory cannot be made or read.
    pub async fn open(config: StoreConfig) -> Result<Self, Error> {
        Ok(Self { config: Arc::new(config) })
    }

    /// Fetches the image `reference` leads to at its registry, for `platform`. Dropping the future stops the work;
    /// what was downloaded so far stays in staging and is resumed by the next pull.
    ///
    /// # Errors
    /// [`Error::Pull`]; nothing but resumable staging files is left, and no record is written.
    pub async fn pull(
        &self,
        _reference: &ImageRef,
        _platform: &Platform,
        _credentials: Option<Credentials>,
        _progress: ProgressSink,
    ) -> Result<Pulled, Error> {
        Err(Error::Unbuilt("pull"))
    }

    /// Reads images from an archive: an OCI layout or a docker archive, plain or compressed by gzip or zstd.
    ///
    /// # Errors
    /// [`Error::Load`]; images read completely before the failure stay.
    pub async fn load(
        &self,
        _archive: impl Read + Send + 'static,
        _progress: ProgressSink,
    ) -> Result<Vec<Image>, Error> {
        Err(Error::Unbuilt("load"))
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let _ = &self.config;
        Err(Error::Unbuilt("list"))
    }

    /// The image that `name_or_id` means: `name[:tag][@digest]`, an image id with or without `sha256:`, or the
    /// first digits of one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::InvalidName`], or what reading it came to.
    pub fn resolve(&self, _name_or_id: &str) -> Result<Image, Error> {
        Err(Error::Unbuilt("resolve"))
    }

    /// Makes `reference` lead to `image`.
    ///
    /// # Errors
    /// [`Error::InvalidTag`] when the reference has a digest; [`Error::NotFound`] when the image is gone.
    pub fn tag(&self, _image: &Image, _reference: &ImageRef) -> Result<(), Error> {
        Err(Error::Unbuilt("tag"))
    }

    /// Removes a reference, and the image with its blobs and layers when that was the last one; by Docker's rules.
    ///
    /// `in_use` says which container uses an image. A container that exists keeps the image's layers: with `force`
    /// the image then only loses its references.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::InUse`].
    pub fn remove(
        &self,
        _name_or_id: &str,
        _force: bool,
        _in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
    ) -> Result<Vec<Removed>, Error> {
        Err(Error::Unbuilt("remove"))
    }
}
