//! What images take on the disk, as far as records know: nothing is measured.
//!
//! A layer is there as its files and as its blob; both count, once, whatever number of images have it.

use std::collections::HashMap;

use ross_types::Digest;

use super::Inner;
use crate::error::Error;
use crate::layer::LayerKey;
use crate::record::{ImageRecord, LayerRecord};

/// What all images take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Each image.
    pub images: Vec<ImageDiskUse>,
    /// Each layer, once.
    pub layers: Vec<LayerUse>,
    /// Bytes of blobs that a pull has begun with: of one that runs, or for the next one to go on with.
    pub begun: u64,
}

/// What one image takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDiskUse {
    /// What is recorded of it.
    pub record: ImageRecord,
    /// Bytes of its layers and its configuration.
    pub bytes: u64,
    /// Those of them that are in layers which another image has, too.
    pub shared: u64,
}

/// What one layer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUse {
    /// Its name in the store.
    pub key: String,
    /// Bytes of its files and of its blob.
    pub bytes: u64,
    /// The images that have it.
    pub images: Vec<Digest>,
}

impl DiskUse {
    /// Bytes of all images together, and of what is begun.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_without(&|_| true) + self.begun
    }

    /// Bytes that are only there for images which `kept` says no to, and of what is begun.
    #[must_use]
    pub fn reclaimable(&self, kept: &dyn Fn(&Digest) -> bool) -> u64 {
        self.bytes() - self.bytes_without(kept)
    }

    /// Bytes of the images which `kept` says yes to, together.
    fn bytes_without(&self, kept: &dyn Fn(&Digest) -> bool) -> u64 {
        let layers =
            self.layers.iter().filter(|layer| layer.images.iter().any(kept)).map(|layer| layer.bytes);
        let own =
            self.images.iter().filter(|image| kept(&image.record.id)).map(|image| config_size(&image.record));
        layers.chain(own).sum()
    }
}

/// Bytes of an image's configuration: what its record's size has beyond its layers.
fn config_size(record: &ImageRecord) -> u64 {
    record.size.saturating_sub(record.layers.iter().map(|layer| layer.size).sum())
}

pub(super) fn disk_use(inner: &Inner) -> Result<DiskUse, Error> {
    let records = inner.config.records.images()?;
    let mut layers: Vec<LayerUse> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    for record in &records {
        for layer in &record.layers {
            let at = *by_key.entry(layer.key.clone()).or_insert_with(|| {
                let bytes = content_size(inner, layer) + layer.size;
                layers.push(LayerUse { key: layer.key.clone(), bytes, images: Vec::new() });
                layers.len() - 1
            });
            // An image may have a layer twice.
            if layers[at].images.last() != Some(&record.id) {
                layers[at].images.push(record.id.clone());
            }
        }
    }
    let images = records.into_iter().map(|record| {
        let mut keys: Vec<usize> = record.layers.iter().map(|layer| by_key[&layer.key]).collect();
        keys.sort_unstable();
        keys.dedup();
        let sum = |shared: bool| -> u64 {
            let of = keys.iter().map(|at| &layers[*at]);
            of.filter(|layer| (layer.images.len() > 1) == shared).map(|layer| layer.bytes).sum()
        };
        let shared = sum(true);
        let bytes = sum(false) + shared + config_size(&record);
        ImageDiskUse { record, bytes, shared }
    });
    let images = images.collect();
    let begun = inner.blobs.beginnings()?.iter().map(|(_, bytes)| bytes).sum();
    Ok(DiskUse { images, layers, begun })
}

/// Bytes of a layer's files; one that cannot be read counts nothing.
fn content_size(inner: &Inner, layer: &LayerRecord) -> u64 {
    let Ok(key) = layer.key.parse::<LayerKey>() else { return 0 };
    inner.layers.get(&key).ok().flatten().map_or(0, |layer| layer.size)
}

pub(super) fn layer_sizes(inner: &Inner, record: &ImageRecord) -> Vec<u64> {
    record.layers.iter().map(|layer| content_size(inner, layer)).collect()
}
