//! What this crate can do, as its owner calls it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use ross_types::{Digest, ImageRef, Platform, RegistryHost};

use super::{DiskUse, Inner, Lease, Pruned, Wants, names, prune, remove, usage};
use crate::commit::{NewImage, StagedLayer};
use crate::durable::Step;
use crate::error::Error;
use crate::image::{Image, ImageUse, Loaded, Pulled, Pushed, Removed};
use crate::manifest::{ImageConfig, MAX_CONFIG_SIZE};
use crate::progress::{ProgressSink, PushSink};
use crate::record::{ImageRecord, ImageRecords};
use crate::registry::{Credentials, MAX_RESULTS, RegistryConfig, SearchResult, Term};
use crate::save::Saving;
use crate::snapshot::Snapshots;
use crate::verify::{self, Verified, VerifyOrder, VerifySink};

/// Where a store keeps its data, and what it needs from its owner.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The directory of `blobs/`, `ingest/` and `layers/`; ross's `--root`. One process at a time may open it.
    pub root: PathBuf,
    /// Where image records are kept.
    pub records: Arc<dyn ImageRecords>,
    /// How registries are reached.
    pub registries: RegistryConfig,
}

/// Images on disk. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

/// While it exists, the image it was made for cannot be removed.
#[derive(Debug)]
pub struct Hold {
    #[expect(dead_code, reason = "held for what its drop does")]
    lease: Arc<Lease>,
}

impl ImageStore {
    /// Opens or creates the store under `config.root`, clears what was left in staging, and takes away blobs and
    /// layers that no record refers to.
    ///
    /// # Errors
    /// When a directory cannot be made or read.
    pub async fn open(config: StoreConfig) -> Result<Self, Error> {
        let inner = blocking(move || Inner::open(config)).await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Fetches the image `reference` leads to at its registry, for `platform`. Dropping the future stops the work;
    /// what was downloaded so far stays in staging and is resumed by the next pull.
    ///
    /// # Errors
    /// [`Error::Pull`]; nothing but resumable staging files is left, and no record is written.
    pub async fn pull(
        &self,
        reference: &ImageRef,
        platform: &Platform,
        credentials: Option<Credentials>,
        progress: ProgressSink,
    ) -> Result<Pulled, Error> {
        let pulled = crate::pull::pull(&self.inner, reference, platform, credentials, progress).await;
        pulled.map_err(|source| Error::Pull { reference: reference.familiar(), source: Box::new(source) })
    }

    /// Sends the image that `reference` leads to here to the registry it names. Dropping the future stops the work;
    /// what the registry has of it by then stays there.
    ///
    /// # Errors
    /// [`Error::Push`]; the reference at the registry is as it was.
    pub async fn push(
        &self,
        reference: &ImageRef,
        credentials: Option<Credentials>,
        progress: PushSink,
    ) -> Result<Pushed, Error> {
        let pushed = crate::push::push(&self.inner, reference, credentials, progress).await;
        pushed.map_err(|source| Error::Push { reference: reference.familiar(), source: Box::new(source) })
    }

    /// The references of all images that have a tag of this repository, in order. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub fn tags(&self, repository: &ImageRef) -> Result<Vec<ImageRef>, Error> {
        crate::push::tags_of(&self.inner.config.records.images()?, repository)
    }

    /// Makes the images that `names` mean ready to be written to an archive: names, where one without a tag means all
    /// tags of its repository, and ids.
    ///
    /// # Errors
    /// [`Error::Save`], when one of them is not here or lacks a blob that cannot be fetched.
    pub async fn save(&self, names: Vec<String>) -> Result<Saving, Error> {
        crate::save::prepare(&self.inner, names).await.map_err(|source| Error::Save(Box::new(source)))
    }

    /// Looks for images at a registry: `term` at docker's hub, `registry/term` elsewhere. Up to `limit` results,
    /// no more than 100.
    ///
    /// # Errors
    /// [`Error::InvalidTerm`], or [`Error::Registry`], which says so when the registry cannot be searched.
    pub async fn search(
        &self,
        term: &str,
        limit: usize,
        credentials: Option<Credentials>,
    ) -> Result<Vec<SearchResult>, Error> {
        let parsed =
            Term::parse(term).map_err(|reason| Error::InvalidTerm { term: term.to_owned(), reason })?;
        Ok(self.inner.registries.search(&parsed, limit.min(MAX_RESULTS), credentials).await?)
    }

    /// Shows credentials to `registry`. Answers the identity token to be kept in their place, where the registry's token
    /// service gives one.
    ///
    /// # Errors
    /// [`Error::Registry`]: the credentials are refused, or the registry cannot be asked.
    pub async fn login(
        &self,
        registry: &RegistryHost,
        credentials: &Credentials,
    ) -> Result<Option<String>, Error> {
        Ok(self.inner.registries.login(registry, credentials).await?)
    }

    /// Reads images from an archive: an OCI layout or a docker archive, plain or compressed by gzip or zstd. Images
    /// that the archive names get those names.
    ///
    /// # Errors
    /// [`Error::Load`]; images read completely before the failure stay.
    pub async fn load(
        &self,
        archive: impl Read + Send + 'static,
        progress: ProgressSink,
    ) -> Result<Vec<Loaded>, Error> {
        let loaded = crate::load::load(&self.inner, Box::new(archive), progress).await;
        loaded.map_err(|source| Error::Load(Box::new(source)))
    }

    /// Stages what `write` writes, the archive of a layer: packed and hashed, with nothing held in memory. Blocks for
    /// as long as `write` takes.
    ///
    /// # Errors
    /// Those of `write`, and when it cannot be written; then nothing is left of it.
    pub fn stage_layer<T>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<T, Error>,
    ) -> Result<(StagedLayer, T), Error> {
        StagedLayer::of(&self.inner, write)
    }

    /// Stages an archive of a root, plain or packed by gzip or zstd.
    ///
    /// # Errors
    /// When it cannot be read, or is out of all proportion; then nothing is left of it.
    pub async fn stage_archive(&self, archive: impl Read + Send + 'static) -> Result<StagedLayer, Error> {
        let inner = self.inner.clone();
        let slot =
            inner.archives_at_once.clone().acquire_owned().await.expect("the semaphore is never closed");
        blocking(move || {
            let _slot = slot;
            StagedLayer::of_archive(&inner, archive)
        })
        .await
    }

    /// Makes an image: durable when this returns. Dropping the future stops the work.
    ///
    /// # Errors
    /// [`Error::InvalidTag`], or what unpacking the layer or writing the record came to; nothing of it is left then.
    pub async fn commit(&self, new: NewImage) -> Result<Image, Error> {
        crate::commit::commit(&self.inner, new).await
    }

    /// Removes images that nothing uses, by `wanted` those that are to go. Blocks on the disk.
    ///
    /// `in_use` is as for [`remove`](Self::remove).
    ///
    /// # Errors
    /// When the records cannot be read. An image that cannot be removed is told in the answer, and the others go.
    pub fn prune(
        &self,
        wanted: &dyn Fn(&Image) -> bool,
        in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
    ) -> Result<Pruned, Error> {
        prune::prune(&self.inner, wanted, in_use)
    }

    /// Removes beginnings of downloads that nobody goes on with. Blocks on the disk.
    ///
    /// # Errors
    /// When they cannot be listed. One that cannot be removed is told in the answer, and the others go.
    pub fn prune_beginnings(&self) -> Result<Pruned, Error> {
        prune::prune_beginnings(&self.inner)
    }

    /// What the images take on the disk, from the records of images and layers. Blocks on the disk.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn disk_use(&self) -> Result<DiskUse, Error> {
        usage::disk_use(&self.inner)
    }

    /// Bytes of file content in each layer of an image, lowest first; 0 for one that is not there. Blocks on the disk.
    #[must_use]
    pub fn layer_sizes(&self, image: &Image) -> Vec<u64> {
        usage::layer_sizes(&self.inner, &image.record)
    }

    /// All images, the newest first; blocks on the disk. One whose configuration cannot be read is among them, marked as damaged.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let mut records = self.inner.config.records.images()?;
        records.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(records.into_iter().map(|record| image_of(&self.inner, record)).collect())
    }

    /// The image that `name_or_id` means: `name[:tag][@digest]`, an image id with or without `sha256:`, or the
    /// first digits of one. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::InvalidName`], or what reading it came to.
    pub fn resolve(&self, name_or_id: &str) -> Result<Image, Error> {
        let (record, _) = names::find(self.inner.config.records.images()?, name_or_id)?;
        read_image(&self.inner, record).map_err(|(_, error)| error)
    }

    /// Makes `reference` lead to `image`. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::InvalidTag`] when the reference has a digest; [`Error::NotFound`] when the image is gone.
    pub fn tag(&self, image: &Image, reference: &ImageRef) -> Result<(), Error> {
        if reference.digest().is_some() {
            return Err(Error::InvalidTag(reference.familiar()));
        }
        let _held = self.inner.leases.lock();
        let records = self.inner.config.records.images()?;
        if !records.iter().any(|record| record.id == image.record.id) {
            return Err(Error::NotFound(image.record.id.to_string()));
        }
        let record = &image.record;
        Step::TagSet.run(|| self.inner.config.records.set_tag(reference, &record.id, &record.manifest))?;
        Ok(())
    }

    /// Removes a reference, and the image with its blobs and layers when that was the last one; by Docker's rules.
    ///
    /// Blocks on the disk, for as long as deleting the layers takes. `in_use` says which container uses an image; it
    /// is called under the store's lock and must not call the store. A container that exists keeps the image's layers: with `force`
    /// the image then only loses its references.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::InUse`].
    pub fn remove(
        &self,
        name_or_id: &str,
        force: bool,
        in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
    ) -> Result<Vec<Removed>, Error> {
        remove::remove(&self.inner, name_or_id, force, in_use)
    }

    /// Holds what is on disk of images against their digests, and mends what is wrong if that is asked for: every
    /// document and blob, and each layer's files against its blob unpacked anew. Images named can be removed meanwhile;
    /// what was to be checked of them stays until this returns.
    ///
    /// What is wrong is not an error but a [`Finding`](crate::Finding), told to `sink`.
    ///
    /// # Errors
    /// When an image named is not there, or the records cannot be read.
    pub async fn verify(&self, order: VerifyOrder, sink: VerifySink) -> Result<Verified, Error> {
        verify::verify(&self.inner, order, sink).await
    }

    /// Keeps the image `id` from being removed, and its layers from being replaced by a repair, until the hold is dropped:
    /// for the time between choosing an image for a container and having the container where
    /// [`remove`](Self::remove)'s `in_use` sees it, and while its layers are mounted for something else.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the image is gone.
    pub fn hold(&self, id: &Digest) -> Result<Hold, Error> {
        let mut held = self.inner.leases.lock();
        let records = self.inner.config.records.images()?;
        if !records.iter().any(|record| record.id == *id) {
            return Err(Error::NotFound(id.to_string()));
        }
        let wants = Wants { image: Some(id.clone()), ..Wants::default() };
        held.take(&wants);
        drop(held);
        let (lease, _) = Lease::of_taken(&self.inner, wants);
        lease.settle();
        Ok(Hold { lease })
    }

    /// Waits until no pull, load or hold is in flight, abandoned ones that are still clearing up included: before the
    /// process ends, or the root is opened again. What is being deleted counts as in flight.
    pub async fn idle(&self) {
        self.inner.leases.idle().await;
    }

    /// Writable roots over the layers of images.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.inner.snapshots
    }
}

/// An image, marked as damaged when its configuration cannot be read.
pub(super) fn image_of(inner: &Inner, record: ImageRecord) -> Image {
    read_image(inner, record).unwrap_or_else(|(record, error)| Image {
        record: *record,
        config: ImageConfig::default(),
        raw_config: Vec::new(),
        damaged: Some(error.to_string()),
    })
}

/// Reads an image's configuration; hands the record back when that cannot be done.
fn read_image(inner: &Inner, record: ImageRecord) -> Result<Image, (Box<ImageRecord>, Error)> {
    let read = || -> Result<_, Error> {
        let raw = inner.blobs.read(&record.id, MAX_CONFIG_SIZE)?;
        Ok((ImageConfig::parse(&raw)?, raw))
    };
    match read() {
        Ok((config, raw_config)) => Ok(Image { record, config, raw_config, damaged: None }),
        Err(error) => Err((Box::new(record), error)),
    }
}

/// Runs blocking work where it blocks nobody. It begins at the call and goes on to its end, awaited or not.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send {
    let task = tokio::task::spawn_blocking(work);
    async move { task.await.unwrap_or_else(|lost| Err(Error::TaskLost(lost))) }
}
