//! What all operations of a store share.

use std::path::Path;

use super::StoreConfig;
use super::lease::{Fate, Leases, Wants};
use crate::content::{BlobStore, Gates};
use crate::error::Error;
use crate::layer::{LayerStore, UnpackLimits};
use crate::registry::Registries;
use crate::snapshot::Snapshots;

/// The parts of a store.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) registries: Registries,
    pub(crate) blobs: BlobStore,
    pub(crate) layers: LayerStore,
    pub(crate) snapshots: Snapshots,
    pub(crate) gates: Gates,
    pub(crate) leases: Leases,
    pub(crate) limits: UnpackLimits,
}

impl Inner {
    /// Opens everything, and takes away what no record refers to. Blocks on the disk.
    pub(crate) fn open(config: StoreConfig) -> Result<Self, Error> {
        let root: &Path = &config.root;
        let blobs = BlobStore::open(root)?;
        let layers = LayerStore::open(root)?;
        let inner = Self {
            registries: Registries::new(config.registries.clone()),
            snapshots: Snapshots::new(layers.clone()),
            blobs,
            layers,
            gates: Gates::default(),
            leases: Leases::default(),
            limits: UnpackLimits::default(),
            config,
        };
        let all = Wants { blobs: inner.blobs.digests()?, layers: inner.layers.keys()?, image: None };
        inner.leases.lock().collect(&inner, &all, Fate::Demote)?;
        Ok(inner)
    }
}
