//! A save from the names of images to their archive.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use ross_types::{Digest, ErrorKind};
use tokio::sync::OwnedSemaphorePermit;

use super::archive::Archive;
use super::choose::choose;
use super::documents::{Saved, documents, member_of};
use crate::error::Error;
use crate::manifest::{self, Descriptor, Document, MAX_MANIFEST_SIZE, ManifestError};
use crate::pull::bring_back;
use crate::record::ImageRecord;
use crate::store::{Inner, Lease, blocking, lease_images};

/// Images that are ready to be written to an archive; their blobs stay until it is dropped.
#[derive(Debug)]
pub struct Saving {
    inner: Arc<Inner>,
    images: Vec<Saved>,
    #[expect(dead_code, reason = "held for what its drop does")]
    lease: Arc<Lease>,
    #[expect(dead_code, reason = "held for what its drop does")]
    slot: OwnedSemaphorePermit,
}

/// Finds the images that `names` mean, and sees to it that all their blobs are here.
pub(crate) async fn prepare(inner: &Arc<Inner>, names: Vec<String>) -> Result<Saving, Error> {
    let slot = inner.archives_at_once.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (images, lease) = {
        let inner = inner.clone();
        blocking(move || read(&inner, &names)).await?
    };
    for (record, image) in &images {
        for blob in blobs_of(image) {
            if !inner.blobs.has(&blob.digest, blob.size) {
                let fetched = bring_back(inner, record, blob, None).await;
                fetched.map_err(|source| Error::Layer {
                    digest: blob.digest.clone(),
                    source: Box::new(source),
                })?;
            }
        }
    }
    let images = images.into_iter().map(|(_, image)| image).collect();
    Ok(Saving { inner: inner.clone(), images, lease, slot })
}

fn blobs_of(image: &Saved) -> impl Iterator<Item = &Descriptor> {
    image.manifest.layers.iter().chain([&image.manifest.config])
}

type Read = (Vec<(ImageRecord, Saved)>, Arc<Lease>);

fn read(inner: &Arc<Inner>, names: &[String]) -> Result<Read, Error> {
    let mut choices = Vec::new();
    let leased = lease_images(inner, |records| {
        choices = choose(records, names)?;
        let record = |id: &Digest| records.iter().find(|record| record.id == *id).cloned();
        Ok(choices.iter().filter_map(|choice| record(&choice.id)).collect())
    })?;
    let mut images = Vec::new();
    for (record, choice) in leased.chosen.into_iter().zip(choices) {
        let bytes = inner.blobs.read(&record.manifest, MAX_MANIFEST_SIZE)?;
        let Document::Manifest(manifest) = manifest::parse(&bytes, Some(&record.media_type))? else {
            let text = format!("manifest {}: it is an index, of which no image was made", record.manifest);
            return Err(ManifestError::new(ErrorKind::DataLoss, text).into());
        };
        let saved = Saved {
            digest: record.manifest.clone(),
            manifest,
            size: bytes.len() as u64,
            platform: record.platform.clone(),
            names: choice.names,
        };
        images.push((record, saved));
    }
    Ok((images, leased.lease))
}

impl Saving {
    /// Writes the archive. Blocks on the disk and on `writer`, for as long as either takes.
    ///
    /// # Errors
    /// [`Error::Save`] when a blob cannot be read or is not what its digest says, or `writer` fails. What was written
    /// until then is no archive.
    pub fn write(self, writer: impl Write) -> Result<(), Error> {
        self.write_all(writer).map_err(|source| Error::Save(Box::new(source)))
    }

    fn write_all(&self, writer: impl Write) -> Result<(), Error> {
        // By name, so that every blob is there once, and always in the same place.
        let mut blobs: BTreeMap<String, (&Digest, u64)> = BTreeMap::new();
        for image in &self.images {
            blobs.insert(member_of(&image.digest), (&image.digest, image.size));
            for blob in blobs_of(image) {
                blobs.insert(member_of(&blob.digest), (&blob.digest, blob.size));
            }
        }
        let mut archive = Archive::new(writer);
        archive.directory("blobs/")?;
        let mut directory = "";
        for (name, (digest, size)) in &blobs {
            if directory != digest.algorithm().as_str() {
                directory = digest.algorithm().as_str();
                archive.directory(&format!("blobs/{directory}/"))?;
            }
            archive.blob(name, &self.inner.blobs, digest, *size)?;
        }
        for (name, bytes) in documents(&self.images) {
            archive.document(&name, &bytes)?;
        }
        archive.finish()
    }
}
