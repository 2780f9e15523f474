//! A blob that is not here although its layer is: fetched once more, from where its image came.

use std::sync::Arc;

use bytes::Bytes;
use ross_types::{Digest, ImageRef};
use tokio::sync::{mpsc, oneshot};

use crate::content::ContentError;
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::record::ImageRecord;
use crate::registry::{BlobStream, Credentials, Repository};
use crate::store::{Inner, blocking};

/// Pieces on their way from the network to the disk.
const DEPTH: usize = 4;

/// Bytes read from disk at once.
const DISK_PIECE: usize = 128 * 1024;

/// Fetches `blob`, which `record` names, from one of the repositories that the image was pulled from. `credentials` are
/// shown to the one registry they are for.
///
/// # Errors
/// [`Error::BlobGone`] with what the last repository said.
pub(crate) async fn bring_back(
    inner: &Arc<Inner>,
    record: &ImageRecord,
    blob: &Descriptor,
    credentials: Option<(&str, Option<Credentials>)>,
) -> Result<(), Error> {
    let pass = Arc::new(inner.gates.pass(&format!("blob {}", blob.digest)).await);
    if inner.blobs.has(&blob.digest, blob.size) {
        return Ok(());
    }
    let all = {
        let inner = inner.clone();
        blocking(move || Ok(inner.config.records.images()?)).await?
    };
    let mut last = None;
    for source in sources(record, &all, &blob.digest) {
        let own = credentials.as_ref().filter(|(registry, _)| *registry == source.registry());
        let credentials = own.and_then(|(_, credentials)| credentials.clone());
        let repository = inner.registries.repository(source, credentials)?;
        match fetch(inner, &repository, blob, Begun::GoesOn, &pass).await {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(Box::new(error)),
        }
    }
    Err(Error::BlobGone(last))
}

/// One reference for each repository that an image with this blob was pulled from; those of `record` first.
fn sources<'r>(record: &'r ImageRecord, all: &'r [ImageRecord], blob: &Digest) -> Vec<&'r ImageRef> {
    let mut sources: Vec<&ImageRef> = Vec::new();
    let others = all.iter().filter(|other| other.names_blob(blob));
    for reference in [record].into_iter().chain(others).flat_map(|record| &record.references) {
        let known = |source: &&ImageRef| source.familiar_name() == reference.familiar_name();
        if reference.digest().is_some() && !sources.iter().any(known) {
            sources.push(reference);
        }
    }
    sources
}

enum Feed {
    Bytes(Bytes),
    End,
}

/// What becomes of a beginning of the blob that is in staging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    GoesOn,
    /// It may be as wrong as what it is to replace.
    IsDropped,
}

/// Fetches a blob, and puts it in the place of whatever is there, when it is whole. Among `rights` is
/// the pass for this blob; they are held until nothing more is written.
///
/// What came wrong is fetched once more, from the registry alone: a mirror may have been to blame, or what an earlier
/// attempt left, which is gone now.
pub(crate) async fn fetch<R: Send + Sync + 'static>(
    inner: &Arc<Inner>,
    repository: &Arc<Repository>,
    blob: &Descriptor,
    begun: Begun,
    rights: &Arc<R>,
) -> Result<(), Error> {
    match fetch_once(inner, repository, blob, begun, rights).await {
        Err(Error::Content(error)) if error.is_corruption() => {
            repository.leave_mirrors();
            fetch_once(inner, repository, blob, begun, rights).await
        }
        fetched => fetched,
    }
}

async fn fetch_once<R: Send + Sync + 'static>(
    inner: &Arc<Inner>,
    repository: &Arc<Repository>,
    blob: &Descriptor,
    begun: Begun,
    rights: &Arc<R>,
) -> Result<(), Error> {
    let (feed, mut queue) = mpsc::channel(DEPTH);
    let (staged_sender, staged) = oneshot::channel();
    let writing = {
        let (inner, blob, rights) = (inner.clone(), blob.clone(), rights.clone());
        blocking(move || {
            // Held to the end, also when the fetch is given up.
            let _rights = rights;
            if begun == Begun::IsDropped {
                inner.blobs.restart(&blob.digest)?;
            }
            let mut ingest = inner.blobs.ingest(&blob.digest, blob.size)?;
            let mut buffer = vec![0; DISK_PIECE];
            while ingest.replay(&mut buffer)? > 0 {}
            // Nobody asks any more when the fetch was given up.
            let _ = staged_sender.send(ingest.staged());
            loop {
                match queue.blocking_recv() {
                    Some(Feed::Bytes(bytes)) => ingest.append(&bytes)?,
                    Some(Feed::End) => break,
                    // Dropped, it stays where the next attempt goes on.
                    None => return Err(ContentError::Stopped(blob.digest).into()),
                }
            }
            ingest.verify()?.publish()?;
            Ok(inner.blobs.sync_names()?)
        })
    };
    let Ok(staged) = staged.await else { return writing.await };
    let fetching = async move {
        let mut stream = BlobStream::new(repository.clone(), &blob.digest, blob.size, staged);
        while let Some(bytes) = stream.next().await? {
            if feed.send(Feed::Bytes(bytes)).await.is_err() {
                return Ok(());
            }
        }
        // Who does not listen any more has a reason to tell.
        let _ = feed.send(Feed::End).await;
        Ok::<_, Error>(())
    };
    let fetched = fetching.await;
    let written = writing.await;
    fetched.and(written)
}
