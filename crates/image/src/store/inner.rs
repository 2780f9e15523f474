//! What all operations of a store share.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;

use super::StoreConfig;
use super::lease::{Fate, Leases, Wants};
use crate::content::{BlobStore, Gates};
use crate::error::Error;
use crate::layer::{LayerStore, UnpackLimits};
use crate::pull::Onlookers;
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
    pub(crate) onlookers: Onlookers,
    pub(crate) leases: Leases,
    pub(crate) limits: UnpackLimits,
    /// A permit for each layer in the making, of whichever pull or load.
    pub(crate) layers_at_once: Arc<Semaphore>,
    /// A permit for each archive being read. Apart from that of layers: who sends one may pause for as long as they like.
    pub(crate) archives_at_once: Arc<Semaphore>,
}

/// How much is worked on at once: enough that a few slow registries leave room for others, bounded by the processors
/// there are, and far below the 512 threads tokio has for blocking work, of which a layer takes two.
fn at_once() -> usize {
    (4 * thread::available_parallelism().map_or(1, usize::from)).clamp(8, 64)
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
            onlookers: Onlookers::default(),
            leases: Leases::default(),
            limits: UnpackLimits::default(),
            layers_at_once: Arc::new(Semaphore::new(at_once())),
            archives_at_once: Arc::new(Semaphore::new(at_once())),
            config,
        };
        let all = Wants { blobs: inner.blobs.digests()?, layers: inner.layers.keys()?, image: None };
        let swept = inner.leases.lock().collect(&inner, &all, Fate::Demote)?;
        swept.delete()?;
        Ok(inner)
    }
}
