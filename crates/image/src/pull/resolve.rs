//! From a reference to one image's manifest and configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ross_types::{Digest, ErrorKind, ImageRef, Platform};

use super::assemble::Resolved;
use crate::content::{ContentError, Hasher};
use crate::error::Error;
use crate::manifest::{
    self, Descriptor, Document, ImageConfig, MAX_CONFIG_SIZE, MAX_INDEX_DEPTH, MAX_MANIFEST_SIZE,
    ManifestError, choose, none_fits,
};
use crate::registry::{BlobStream, FetchedManifest, Repository};
use crate::store::{Inner, blocking};

/// Manifests and indexes looked into for one image. Indexes that lead to eight others each, four deep, would else be
/// thousands of requests.
const MAX_DOCUMENTS: usize = 32;

/// Documents by digest: from the disk where they are there, else from the registry.
struct Source<'a> {
    inner: &'a Arc<Inner>,
    repository: &'a Arc<Repository>,
    platform: &'a Platform,
    /// Manifests and indexes that may still be looked into.
    documents: AtomicUsize,
}

/// Looks `reference` up at its registry and chooses the image for `platform`. Also says what the reference leads to:
/// the digest of that image's manifest, or of an index.
pub(super) async fn resolve(
    inner: &Arc<Inner>,
    repository: &Arc<Repository>,
    reference: &ImageRef,
    platform: &Platform,
) -> Result<(Digest, Resolved), Error> {
    let source = Source { inner, repository, platform, documents: AtomicUsize::new(MAX_DOCUMENTS) };
    // By tag it is asked for once: what the tag leads to may change between two answers.
    let fetched = repository.manifest(reference.tag(), reference.digest()).await?;
    let top = fetched.digest.clone();
    match source.image_of(fetched, 0).await? {
        Fit::Yes(found) => Ok((top, *found)),
        Fit::No(actual) => Err(ManifestError::new(
            ErrorKind::NotFound,
            format!("manifest {top}: the image is for {actual}, not {platform}; ask for {actual} to get it"),
        )
        .into()),
    }
}

enum Fit {
    Yes(Box<Resolved>),
    /// The image is for this platform.
    No(Platform),
}

impl Source<'_> {
    async fn stored(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let (inner, digest) = (self.inner.clone(), digest.clone());
        blocking(move || Ok(inner.blobs.read(&digest, limit)?)).await.ok()
    }

    async fn manifest(&self, digest: &Digest) -> Result<FetchedManifest, Error> {
        if let Some(bytes) = self.stored(digest, MAX_MANIFEST_SIZE).await {
            return Ok(FetchedManifest { bytes, digest: digest.clone(), content_type: None });
        }
        Ok(self.repository.manifest(None, Some(digest)).await?)
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let digest = &descriptor.digest;
        if descriptor.size > MAX_CONFIG_SIZE {
            return Err(ContentError::TooLarge { digest: digest.clone(), limit: MAX_CONFIG_SIZE }.into());
        }
        if let Some(bytes) = self.stored(digest, MAX_CONFIG_SIZE).await {
            return Ok(bytes);
        }
        loop {
            let mut stream = BlobStream::new(self.repository.clone(), digest, descriptor.size, 0);
            let mut bytes = Vec::new();
            while let Some(chunk) = stream.next().await? {
                bytes.extend_from_slice(&chunk);
            }
            let actual = Hasher::digest(digest.algorithm(), &bytes);
            if actual == *digest {
                return Ok(bytes);
            }
            if !stream.is_mirrored() {
                return Err(ContentError::Digest { expected: digest.clone(), actual }.into());
            }
            self.repository.leave_mirrors();
        }
    }

    /// The image for the platform that a manifest is, or that an index leads to.
    async fn image_of(&self, fetched: FetchedManifest, depth: usize) -> Result<Fit, Error> {
        let FetchedManifest { bytes, digest, content_type } = fetched;
        let entries = match manifest::parse(&bytes, content_type.as_deref())? {
            Document::Manifest(manifest) => {
                let raw_config = self.config(&manifest.config).await?;
                let config = ImageConfig::parse(&raw_config)?;
                // An image that does not say what it is for is taken at its index's word, or its puller's.
                if let Some(actual) = config.platform().filter(|actual| !self.platform.accepts(actual)) {
                    return Ok(Fit::No(actual));
                }
                let resolved = Resolved::new(digest, manifest, bytes, config, raw_config)?;
                return Ok(Fit::Yes(Box::new(resolved)));
            }
            Document::Index(entries) => entries,
        };
        if depth >= MAX_INDEX_DEPTH {
            let text = format!("index {digest}: more than {MAX_INDEX_DEPTH} indexes within each other");
            return Err(ManifestError::new(ErrorKind::DataLoss, text).into());
        }
        for descriptor in choose(&digest, &entries, self.platform)? {
            let one_less = |left: usize| left.checked_sub(1);
            if self.documents.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                let text =
                    format!("index {digest}: more than {MAX_DOCUMENTS} manifests to look into for one image");
                return Err(ManifestError::new(ErrorKind::ResourceExhausted, text).into());
            }
            let mut child = self.manifest(&descriptor.digest).await?;
            if child.bytes.len() as u64 != descriptor.size {
                return Err(ContentError::Size {
                    digest: descriptor.digest.clone(),
                    expected: descriptor.size,
                    actual: child.bytes.len() as u64,
                }
                .into());
            }
            child.content_type = Some(descriptor.media_type.clone());
            if let Fit::Yes(found) = Box::pin(self.image_of(child, depth + 1)).await? {
                return Ok(Fit::Yes(found));
            }
        }
        Err(none_fits(&digest, &entries, self.platform).into())
    }
}
