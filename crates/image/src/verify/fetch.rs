//! Documents that are wrong on disk, from a registry once more.

use std::sync::Arc;

use ross_types::Digest;

use crate::content::{ContentError, Hasher};
use crate::error::Error;
use crate::registry::{BlobStream, Repository};
use crate::store::{Inner, blocking};

/// The bytes of a manifest; not compared with its digest yet.
pub(super) async fn manifest(repository: &Arc<Repository>, digest: &Digest) -> Result<Vec<u8>, Error> {
    Ok(repository.manifest(None, Some(digest)).await?.bytes)
}

/// The bytes of a small blob; not compared with its digest yet.
pub(super) async fn small(
    repository: &Arc<Repository>,
    digest: &Digest,
    size: u64,
) -> Result<Vec<u8>, Error> {
    let mut stream = BlobStream::new(repository.clone(), digest, size, 0);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Stores a document in the place of what is on disk, if these are its bytes.
pub(super) async fn put(inner: &Arc<Inner>, digest: &Digest, bytes: Vec<u8>) -> Result<(), Error> {
    let actual = Hasher::digest(digest.algorithm(), &bytes);
    if actual != *digest {
        return Err(ContentError::Digest { expected: digest.clone(), actual }.into());
    }
    let (inner, digest) = (inner.clone(), digest.clone());
    blocking(move || {
        inner.blobs.put(&digest, &bytes)?;
        Ok(inner.blobs.sync_names()?)
    })
    .await
}
