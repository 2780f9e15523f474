//! Manifests, configurations and blobs of layers against their digests.

use std::io::Read;
use std::sync::Arc;

use ross_sys::error::with_sources;
use ross_types::Digest;
use rustix::fs::Advice;

use super::images::Run;
use super::{Mended, Subject, fetch};
use crate::content::{BlobStore, ContentError, Hasher};
use crate::error::Error;
use crate::manifest::{self, Descriptor, Document, MAX_CONFIG_SIZE, MAX_MANIFEST_SIZE};
use crate::pull::{self, Begun};
use crate::record::{ImageRecord, LayerRecord};
use crate::registry::Repository;
use crate::store::blocking;

/// Bytes hashed at a time.
const PIECE: usize = 256 << 10;

/// Reads a whole blob and compares its digest and, where it is known, its size.
pub(super) fn check(blobs: &BlobStore, digest: &Digest, size: Option<u64>) -> Result<(), ContentError> {
    let (mut file, actual) = blobs.reader(digest)?;
    if let Some(expected) = size.filter(|size| *size != actual) {
        return Err(ContentError::Size { digest: digest.clone(), expected, actual });
    }
    // What memory has of it may be right where the disk is wrong. A hint: pages in use stay.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let mut hasher = Hasher::new(digest.algorithm());
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer).map_err(ContentError::file("read", &blobs.path(digest)))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let actual = hasher.finish();
    if actual == *digest { Ok(()) } else { Err(ContentError::Digest { expected: digest.clone(), actual }) }
}

/// What is wrong with a blob, as a fragment; its digest is told beside it.
fn what(error: &ContentError) -> String {
    match error {
        ContentError::Missing(_) => "is not on disk".to_owned(),
        ContentError::Digest { actual, .. } => format!("has digest {actual}"),
        ContentError::Size { expected, actual, .. } => format!("has {actual} bytes instead of {expected}"),
        other => format!("cannot be checked: {}", with_sources(other)),
    }
}

impl Run {
    /// The manifest, then the configuration, whose size it knows.
    pub(super) async fn documents(&mut self, record: &ImageRecord) {
        self.document(record, Subject::Manifest, &record.manifest).await;
        self.document(record, Subject::Config, &record.id).await;
    }

    async fn document(&mut self, record: &ImageRecord, subject: Subject, digest: &Digest) {
        if !self.blobs.insert(digest.clone()) {
            return;
        }
        self.verified.blobs += 1;
        self.checking(record, subject, digest);
        let Err(error) = self.check_blob(digest, None).await else { return };
        let mended = match self.order.repair {
            false => Mended::NotAsked,
            true => self.mend_document(record, subject, digest).await,
        };
        self.found(record, subject, digest, vec![(String::new(), error)], mended);
    }

    /// The blob of a layer. It may be missing where the layer came as another blob that is here, because two images
    /// packed it differently.
    pub(super) async fn layer_blob(&mut self, record: &ImageRecord, layer: &LayerRecord) {
        if !self.blobs.insert(layer.blob.clone()) {
            return;
        }
        let inner = &self.inner;
        let is_here = |layer: &&LayerRecord| inner.blobs.has(&layer.blob, layer.size);
        if inner.blobs.reader(&layer.blob).is_err() && self.twins(layer).any(|twin| is_here(&twin)) {
            return;
        }
        self.verified.blobs += 1;
        self.checking(record, Subject::Blob, &layer.blob);
        let Err(error) = self.check_blob(&layer.blob, Some(layer.size)).await else { return };
        let mended = match self.order.repair {
            false => Mended::NotAsked,
            true => self.mend_blob(record, &layer.blob, layer.size).await,
        };
        self.found(record, Subject::Blob, &layer.blob, vec![(String::new(), error)], mended);
    }

    /// The other blobs that images have for the same layer.
    pub(super) fn twins<'r>(&'r self, layer: &'r LayerRecord) -> impl Iterator<Item = &'r LayerRecord> {
        let all = self.all.iter().flat_map(|record| &record.layers);
        all.filter(|other| other.diff_id == layer.diff_id && other.blob != layer.blob)
    }

    async fn check_blob(&self, digest: &Digest, size: Option<u64>) -> Result<(), String> {
        let (inner, digest) = (self.inner.clone(), digest.clone());
        let checked = blocking(move || Ok(check(&inner.blobs, &digest, size))).await;
        match checked {
            Ok(checked) => checked.map_err(|error| what(&error)),
            Err(lost) => Err(format!("cannot be checked: {}", with_sources(&lost))),
        }
    }

    async fn mend_document(&self, record: &ImageRecord, subject: Subject, digest: &Digest) -> Mended {
        let mut last = NO_REGISTRY.to_owned();
        for repository in self.repositories(record, digest) {
            let mut stored = self.fetch_document(record, subject, &repository, digest).await;
            if matches!(&stored, Err(Error::Content(error)) if error.is_corruption()) {
                // A mirror may be to blame: the registry is asked alone.
                repository.leave_mirrors();
                stored = self.fetch_document(record, subject, &repository, digest).await;
            }
            match stored {
                Ok(()) => return Mended::Yes,
                Err(error) => last = with_sources(&error),
            }
        }
        Mended::No(last)
    }

    async fn fetch_document(
        &self,
        record: &ImageRecord,
        subject: Subject,
        repository: &Arc<Repository>,
        digest: &Digest,
    ) -> Result<(), Error> {
        let bytes = match subject {
            Subject::Manifest => fetch::manifest(repository, digest).await?,
            _ => {
                let unknown = || ContentError::Missing(record.manifest.clone());
                let size = self.config_size(record).await.ok_or_else(unknown)?;
                fetch::small(repository, digest, size).await?
            }
        };
        fetch::put(&self.inner, digest, bytes).await
    }

    /// The configuration's size as the manifest on disk says.
    async fn config_size(&self, record: &ImageRecord) -> Option<u64> {
        let (inner, digest) = (self.inner.clone(), record.manifest.clone());
        let bytes = blocking(move || Ok(inner.blobs.read(&digest, MAX_MANIFEST_SIZE)?)).await.ok()?;
        match manifest::parse(&bytes, Some(&record.media_type)).ok()? {
            Document::Manifest(manifest) if manifest.config.digest == record.id => {
                Some(manifest.config.size).filter(|size| *size <= MAX_CONFIG_SIZE)
            }
            _ => None,
        }
    }

    async fn mend_blob(&self, record: &ImageRecord, digest: &Digest, size: u64) -> Mended {
        let pass = Arc::new(self.inner.gates.pass(&format!("blob {digest}")).await);
        let blob = Descriptor { media_type: String::new(), digest: digest.clone(), size };
        let mut last: Option<Error> = None;
        for repository in self.repositories(record, digest) {
            match pull::fetch(&self.inner, &repository, &blob, Begun::IsDropped, &pass).await {
                Ok(()) => return Mended::Yes,
                Err(error) => last = Some(error),
            }
        }
        Mended::No(last.map_or_else(|| NO_REGISTRY.to_owned(), |error| with_sources(&error)))
    }
}

const NO_REGISTRY: &str = "no registry is known to have it: pull, load or import the image again";
