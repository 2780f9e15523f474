//! What is wrong on disk, from a registry once more.

use std::sync::Arc;

use bytes::Bytes;
use ross_types::Digest;
use tokio::sync::mpsc;

use crate::content::{ContentError, Hasher};
use crate::error::Error;
use crate::registry::{BlobStream, Repository};
use crate::store::{Inner, blocking};

/// Pieces that wait for the disk.
const DEPTH: usize = 4;

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

/// Fetches a blob from its first byte, and puts it in the place of what is on disk when it is whole.
pub(super) async fn blob(
    inner: &Arc<Inner>,
    repository: &Arc<Repository>,
    digest: &Digest,
    size: u64,
) -> Result<(), Error> {
    let pass = inner.gates.pass(&format!("blob {digest}")).await;
    let (feed, mut fed) = mpsc::channel::<Bytes>(DEPTH);
    let storing = {
        let (inner, digest) = (inner.clone(), digest.clone());
        blocking(move || {
            let _pass = pass;
            // What is staged may be as wrong as what is in place.
            inner.blobs.restart(&digest)?;
            let mut ingest = inner.blobs.ingest(&digest, size)?;
            while let Some(bytes) = fed.blocking_recv() {
                ingest.append(&bytes)?;
            }
            ingest.verify()?.publish()?;
            Ok(inner.blobs.sync_names()?)
        })
    };
    let mut stream = BlobStream::new(repository.clone(), digest, size, 0);
    let fetched = loop {
        match stream.next().await {
            Ok(Some(bytes)) => {
                // A receiver that is gone says itself why.
                if feed.send(bytes).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(feed);
    let stored = storing.await;
    fetched?;
    stored
}
