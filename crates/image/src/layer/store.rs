//! The folder `layers/`: what is in it under a key is whole.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use ross_types::{ChainId, DiffId};
use rustix::fs::{Mode, OFlags};

use super::fault::Fault;
use super::merged::Level;
use super::record::Record;
use super::staging::{Folder, Staging};
use super::stream::{self, Pumped};
use super::unpack::{Unpacked, unpack};
use super::{LayerError, LayerKey, UnpackLimits, fixup, write};

/// The unpacked layers of this host, under `<root>/layers`. Cheap to clone; safe to use from many threads.
#[derive(Debug, Clone)]
pub struct LayerStore {
    folder: Arc<Folder>,
}

/// A layer that is unpacked and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its folder name.
    pub key: LayerKey,
    /// The digest of the archive it was unpacked from.
    pub diff_id: DiffId,
    /// Bytes of file content.
    pub size: u64,
    /// Members of the archive.
    pub entries: u64,
    /// Whether it depends on the layers below it, so that its key is a chain id.
    pub dependent: bool,
}

/// What [`LayerStore::apply`] made of an archive.
#[derive(Debug)]
pub enum Applied {
    /// The layer stands by itself and is in place.
    Independent(Layer),
    /// The layer leaves things to the layers below it; call [`Pending::finish`] when those are in place.
    NeedsParents(Pending),
}

/// An unpacked layer that waits, in the staging area, for the layers below it. Dropped, it is removed.
#[derive(Debug)]
pub struct Pending {
    pub(super) store: LayerStore,
    pub(super) staging: Staging,
    pub(super) record: Record,
    pub(super) unpacked: Unpacked,
    /// Bytes of content the layer may have.
    limit: u64,
}

/// A layer that no image has any more. Dropped, it is deleted too, and a failure only logged.
#[derive(Debug)]
pub(crate) struct GoneLayer(pub(super) Staging);

impl LayerStore {
    /// Opens `<root>/layers`, making it when it is missing, and removes what a crash left in its staging area.
    ///
    /// One process at a time may have a root open.
    pub fn open(root: &Path) -> Result<Self, LayerError> {
        Folder::open(root.join("layers")).map(|folder| Self { folder: Arc::new(folder) })
    }

    /// The layer with this diff id, if it is here and can serve in an image where its chain id is `chain_id`.
    pub fn find(&self, diff_id: &DiffId, chain_id: &ChainId) -> Result<Option<Layer>, LayerError> {
        for key in [LayerKey::of_diff(diff_id), LayerKey::of_chain(chain_id)] {
            if let Some(record) = self.record(&key)?
                && record.chain_id.as_ref().is_none_or(|chain| chain == chain_id)
            {
                return Ok(Some(layer(key, &record)));
            }
        }
        Ok(None)
    }

    /// The layer with this key.
    pub fn get(&self, key: &LayerKey) -> Result<Option<Layer>, LayerError> {
        Ok(self.record(key)?.map(|record| layer(key.clone(), &record)))
    }

    /// Whether a layer with this key is here.
    #[must_use]
    pub fn has(&self, key: &LayerKey) -> bool {
        matches!(self.get(key), Ok(Some(_)))
    }

    /// The keys of all layers, sorted.
    pub fn keys(&self) -> Result<Vec<LayerKey>, LayerError> {
        self.folder.keys()
    }

    /// The root of a layer's files, in overlay's on-disk form.
    #[must_use]
    pub fn tree(&self, key: &LayerKey) -> PathBuf {
        self.folder.path.join(key.as_str()).join("tree")
    }

    /// Makes the names of all layers durable: once for an image, before its record is written.
    pub(crate) fn sync_names(&self) -> Result<(), LayerError> {
        self.folder.sync_names()
    }

    /// Unpacks an uncompressed tar stream, makes the layer durable and puts it in place. Its name is durable when the
    /// image's record is written, not before: a crash in between leaves a whole layer or none.
    ///
    /// Blocking; calls `progress` from this thread with the bytes read so far. On any error nothing stays behind.
    /// The stream is read to its end and every byte counts for the diff id. To cancel, let `reader` fail.
    pub fn apply(
        &self,
        reader: impl Read,
        expect: &DiffId,
        limits: &UnpackLimits,
        progress: &dyn Fn(u64),
    ) -> Result<Applied, LayerError> {
        let pending = self.unpack(reader, expect, limits, progress)?;
        if pending.unpacked.ledger.needs_parents() {
            return Ok(Applied::NeedsParents(pending));
        }
        pending.commit(LayerKey::of_diff(expect)).map(Applied::Independent)
    }

    /// Unpacks an uncompressed tar stream into the staging area and leaves it there.
    pub(super) fn unpack(
        &self,
        reader: impl Read,
        expect: &DiffId,
        limits: &UnpackLimits,
        progress: &dyn Fn(u64),
    ) -> Result<Pending, LayerError> {
        let (staging, tree) = self.folder.stage()?;
        let (pump, chunks) = stream::pair();
        let (pumped, unpacked) = thread::scope(|scope| {
            let write = move || {
                ross_sys::inode::take_empty_umask().map_err(|errno| {
                    Fault::Kernel { action: "prepare the thread that writes files", errno }.at(expect, b"", 0)
                })?;
                unpack(chunks, tree, expect, limits)
            };
            let worker =
                thread::Builder::new().name("ross-unpack".into()).spawn_scoped(scope, write).map_err(
                    |source| LayerError::Store { action: "start a thread for", path: staging.path(), source },
                )?;
            let pumped = pump.run(reader, expect.0.algorithm(), progress);
            let unpacked = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, LayerError>((pumped, unpacked))
        })?;
        // A reader that failed is why the archive ended early.
        let pumped = pumped.map_err(|source| LayerError::Read { layer: expect.clone(), source })?;
        let unpacked = unpacked?;
        match pumped {
            Pumped::All(actual) if actual == expect.0 => {}
            Pumped::All(actual) => return Err(LayerError::DiffId { expected: expect.clone(), actual }),
            Pumped::Refused => unreachable!("the worker reads to the end unless it fails"),
        }
        let mut record = Record::new(expect.clone(), unpacked.size, unpacked.entries);
        record.root_entry = unpacked.root_entry;
        record.root_opaque = unpacked.root_opaque;
        Ok(Pending { store: self.clone(), staging, record, unpacked, limit: limits.bytes })
    }

    /// Removes a layer; one that is not here is no error.
    pub fn remove(&self, key: &LayerKey) -> Result<(), LayerError> {
        self.take_out(key)?.map_or(Ok(()), GoneLayer::delete)
    }

    /// Takes a layer out of sight at once; none if it is not here.
    pub(crate) fn take_out(&self, key: &LayerKey) -> Result<Option<GoneLayer>, LayerError> {
        Ok(self.folder.take_out(key)?.map(GoneLayer))
    }

    /// What is recorded of a layer.
    pub(crate) fn record(&self, key: &LayerKey) -> Result<Option<Record>, LayerError> {
        Record::read(&self.folder.path.join(key.as_str()))
    }

    /// The roots of these layers (lowest first), highest first, down to one that hides all below it.
    pub(crate) fn open_stack(&self, layers: &[LayerKey]) -> Result<Vec<OwnedFd>, LayerError> {
        let mut roots = Vec::with_capacity(layers.len());
        for key in layers.iter().rev() {
            let record = self.record(key)?.ok_or_else(|| LayerError::NotFound(key.clone()))?;
            let path = self.tree(key);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let root = rustix::fs::open(&path, flags, Mode::empty());
            roots.push(root.map_err(|errno| LayerError::Store {
                action: "open",
                path,
                source: errno.into(),
            })?);
            if record.root_opaque {
                break;
            }
        }
        Ok(roots)
    }
}

impl GoneLayer {
    /// Bytes of file content, as recorded; 0 when that cannot be read.
    pub(crate) fn size(&self) -> u64 {
        Record::read(&self.0.path()).ok().flatten().map_or(0, |record| record.size)
    }

    /// Deletes its files, which takes as long as there are many.
    pub(crate) fn delete(self) -> Result<(), LayerError> {
        self.0.remove()
    }
}

impl Pending {
    /// Completes the layer from `parents`, the keys of all layers below it, lowest first, and puts it in place.
    pub fn finish(mut self, chain_id: &ChainId, parents: &[LayerKey]) -> Result<Layer, LayerError> {
        self.complete(chain_id, parents)?;
        self.commit(LayerKey::of_chain(chain_id))
    }

    /// Completes the layer where it is.
    pub(super) fn complete(&mut self, chain_id: &ChainId, parents: &[LayerKey]) -> Result<(), LayerError> {
        let own = self.unpacked.tree.try_clone();
        let own =
            own.map_err(|source| LayerError::Store { action: "open", path: self.staging.path(), source })?;
        let mut roots = vec![own];
        if !self.record.root_opaque {
            roots.append(&mut self.store.open_stack(parents)?);
        }
        let stack = Level::of_roots(roots);
        let Unpacked { tree, ledger, size, .. } = &mut self.unpacked;
        let copied = fixup::complete(tree, &stack, ledger, self.limit.saturating_sub(*size))
            .map_err(|(path, fault)| fault.at(&self.record.diff_id, &path, 0))?;
        self.record.size += copied;
        self.record.chain_id = Some(chain_id.clone());
        Ok(())
    }

    /// Gives it its last attributes, and its record.
    pub(super) fn seal(&self) -> Result<(), LayerError> {
        write::finish_directories(&self.unpacked.tree, &self.unpacked.ledger)
            .map_err(|(path, fault)| fault.at(&self.record.diff_id, &path, 0))?;
        self.record.write(&self.staging.path())
    }

    fn commit(self, key: LayerKey) -> Result<Layer, LayerError> {
        self.seal()?;
        let Self { staging, record, .. } = self;
        staging.commit(&key)?;
        Ok(layer(key, &record))
    }
}

fn layer(key: LayerKey, record: &Record) -> Layer {
    Layer {
        key,
        diff_id: record.diff_id.clone(),
        size: record.size,
        entries: record.entries,
        dependent: record.chain_id.is_some(),
    }
}
