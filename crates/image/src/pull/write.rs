//! Writing the record of an image, beside or in the place of the one that is there.
//!
//! An image (one configuration) can come more than once, in other blobs and with another manifest. One that was pulled
//! takes the place of what is known: its manifest is what its digest reference stands for. One that an archive brought
//! does so only where the known one lacks blobs. Either way an image that can be pushed and saved without any registry
//! stays one that can.

use ross_types::{Digest, ImageRef};

use crate::durable::Step;
use crate::error::Error;
use crate::manifest::{Descriptor, is_foreign};
use crate::record::ImageRecord;
use crate::store::{Fate, Inner, Swept, wants_of};

/// An image that is to be recorded.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) record: ImageRecord,
    /// The blobs of its layers, lowest first.
    pub(super) blobs: Vec<Descriptor>,
    /// Its missing blobs can be had.
    pub(super) pulled: bool,
    /// References, each with the digest it leads to at the registry.
    pub(super) references: Vec<(ImageRef, Digest)>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Written {
    /// The image is recorded, and was so with all its references before if `known`.
    Recorded { record: Box<ImageRecord>, known: bool },
    /// It is not: these blobs are to be fetched before, since the record it would replace has its own of the same layers.
    Wants(Vec<Descriptor>),
}

impl Writing {
    /// Records the image and its references. What only the record it replaces named goes. Blocks.
    pub(super) fn run(&self, inner: &Inner) -> Result<Written, Error> {
        inner.blobs.sync_names()?;
        inner.layers.sync_names()?;
        // No removal sees the record without its references, nor takes away what the known one names.
        let held = inner.leases.lock();
        let records = &inner.config.records;
        let mut record = self.record.clone();
        let before = records.images()?.into_iter().find(|known| known.id == record.id);
        let mut known = before.is_some();
        if let Some(before) = &before {
            let lost = self.lost(inner, before);
            if self.pulled && !lost.is_empty() {
                return Ok(Written::Wants(lost));
            }
            if !self.pulled && (is_whole(inner, before) || !is_whole(inner, &record)) {
                record.keep_blobs_of(before);
            }
        }
        Step::RecordPut.run(|| records.put_image(&record))?;
        record.references = before.as_ref().map(|before| before.references.clone()).unwrap_or_default();
        for (reference, digest) in &self.references {
            Step::TagSet.run(|| records.set_tag(reference, &record.id, digest))?;
            if !record.references.contains(reference) {
                known = false;
                record.references.push(reference.clone());
            }
        }
        let replaced = before.filter(|before| before.manifest != record.manifest);
        let swept = replaced.map(|before| held.collect(inner, &wants_of(&before), Fate::Remove));
        drop(held);
        if let Some(Err(error)) = swept.map(|swept| swept.and_then(Swept::delete)) {
            // The image is recorded; what stays of its former blobs is swept when the store is opened next.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot delete what an image came in before");
        }
        Ok(Written::Recorded { record: Box::new(record), known })
    }

    /// The blobs that are not here, of layers whose blob in the known record is. Those that are fetched from elsewhere
    /// by their nature are nothing that a registry could lose.
    fn lost(&self, inner: &Inner, known: &ImageRecord) -> Vec<Descriptor> {
        let pairs = self.blobs.iter().zip(&known.layers);
        let lost = pairs.filter(|(blob, known)| {
            !is_foreign(&blob.media_type)
                && !inner.blobs.has(&blob.digest, blob.size)
                && inner.blobs.has(&known.blob, known.size)
        });
        lost.map(|(blob, _)| blob.clone()).collect()
    }
}

/// Whether all blobs of the layers are here.
fn is_whole(inner: &Inner, record: &ImageRecord) -> bool {
    record.layers.iter().all(|layer| inner.blobs.has(&layer.blob, layer.size))
}
