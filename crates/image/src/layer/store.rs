//! The folder `layers/`: what is in it is whole.

use std::io::Read;
use std::path::{Path, PathBuf};

use ross_types::{ChainId, DiffId};

use super::{LayerError, LayerKey, UnpackLimits};

/// The unpacked layers of this host, under `<root>/layers`. Cheap to clone; safe to use from many threads.
#[derive(Debug, Clone)]
pub struct LayerStore {
    path: PathBuf,
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
    store: LayerStore,
}

impl LayerStore {
    /// Opens `<root>/layers`, making it when it is missing, and removes what a crash left in its staging area.
    ///
    /// One process at a time may have a root open.
    pub fn open(root: &Path) -> Result<Self, LayerError> {
        Ok(Self { path: root.join("layers") })
    }

    /// The layer with this diff id, if it is here and can serve in an image where its chain id is `chain`.
    pub fn find(&self, diff_id: &DiffId, chain_id: &ChainId) -> Result<Option<Layer>, LayerError> {
        let _ = (diff_id, chain_id, &self.path);
        unimplemented!()
    }

    /// The layer with this key.
    pub fn get(&self, key: &LayerKey) -> Result<Option<Layer>, LayerError> {
        let _ = key;
        unimplemented!()
    }

    /// Whether a layer with this key is here.
    #[must_use]
    pub fn has(&self, key: &LayerKey) -> bool {
        matches!(self.get(key), Ok(Some(_)))
    }

    /// The keys of all layers.
    pub fn keys(&self) -> Result<Vec<LayerKey>, LayerError> {
        unimplemented!()
    }

    /// The root of a layer's files, in overlay's on-disk form.
    #[must_use]
    pub fn tree(&self, key: &LayerKey) -> PathBuf {
        self.path.join(key.as_str()).join("tree")
    }

    /// Unpacks an uncompressed tar stream and puts the layer in place, durably.
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
        let _ = (reader, expect, limits, progress);
        unimplemented!()
    }

    /// Removes a layer; one that is not here is no error.
    pub fn remove(&self, key: &LayerKey) -> Result<(), LayerError> {
        let _ = key;
        unimplemented!()
    }
}

impl Pending {
    /// Completes the layer from `parents`, the keys of all layers below it, lowest first, and puts it in place.
    pub fn finish(self, chain_id: &ChainId, parents: &[LayerKey]) -> Result<Layer, LayerError> {
        let _ = (self.store, chain_id, parents);
        unimplemented!()
    }
}
