//! A push from its reference to the registry's answer.

use std::collections::HashSet;
use std::sync::Arc;

use ross_types::{Digest, ImageRef};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::blob::Push;
use super::subject::{Subject, digest_of};
use crate::content::ContentError;
use crate::durable::Step;
use crate::error::Error;
use crate::image::Pushed;
use crate::manifest::Descriptor;
use crate::progress::{PushEvent, PushSink, PushState};
use crate::record::ImageRecord;
use crate::registry::Credentials;
use crate::store::{Inner, blocking};

/// The tags of a repository that are here, in order.
pub(crate) fn tags_of(records: &[ImageRecord], repository: &ImageRef) -> Result<Vec<ImageRef>, Error> {
    let same = |name: &&ImageRef| {
        name.registry() == repository.registry()
            && name.repository() == repository.repository()
            && name.digest().is_none()
    };
    let mut tags: Vec<ImageRef> =
        records.iter().flat_map(|record| record.references.iter().filter(same).cloned()).collect();
    tags.sort();
    if tags.is_empty() { Err(Error::NotFound(repository.familiar_name())) } else { Ok(tags) }
}

pub(crate) async fn push(
    inner: &Arc<Inner>,
    reference: &ImageRef,
    credentials: Option<Credentials>,
    progress: PushSink,
) -> Result<Pushed, Error> {
    let Some(tag) = reference.tag().filter(|_| reference.digest().is_none()) else {
        return Err(Error::PushByDigest(reference.familiar()));
    };
    let subject = {
        let (inner, reference) = (inner.clone(), reference.clone());
        blocking(move || Subject::find(&inner, &reference)).await?
    };
    let digest = digest_of(&subject);
    if digest != subject.record.manifest {
        return Err(ContentError::Digest { expected: subject.record.manifest, actual: digest }.into());
    }
    let repository =
        inner.registries.repository_for_push(reference, credentials.clone(), subject.others())?;
    let registry = reference.registry().to_owned();
    let push = Arc::new(Push { inner: inner.clone(), repository, subject, registry, credentials, progress });
    blobs(&push).await?;
    let Subject { record, manifest, raw_manifest, .. } = &push.subject;
    let bytes = bytes::Bytes::copy_from_slice(raw_manifest);
    push.repository.put_manifest(tag, &manifest.media_type, bytes, &digest).await?;
    let named = reference.with_digest(digest.clone());
    remember(inner, &record.id, named, digest.clone()).await?;
    Ok(Pushed { id: record.id.clone(), digest, manifest_size: raw_manifest.len() as u64 })
}

/// Notes that the registry has the image under this digest, as a pull does. An image that was removed meanwhile stays so.
async fn remember(inner: &Arc<Inner>, id: &Digest, named: ImageRef, manifest: Digest) -> Result<(), Error> {
    let (inner, id) = (inner.clone(), id.clone());
    blocking(move || {
        let _held = inner.leases.lock();
        let records = &inner.config.records;
        match records.images()?.iter().find(|record| record.id == id) {
            Some(record) if !record.references.contains(&named) => {
                Ok(Step::TagSet.run(|| records.set_tag(&named, &id, &manifest))?)
            }
            _ => Ok(()),
        }
    })
    .await
}

/// Sees to it that the repository has every blob of the image, several at a time.
async fn blobs(push: &Arc<Push>) -> Result<(), Error> {
    let manifest = &push.subject.manifest;
    let mut seen = HashSet::new();
    let layers: Vec<Descriptor> =
        manifest.layers.iter().filter(|layer| seen.insert(layer.digest.clone())).cloned().collect();
    for layer in &layers {
        (push.progress)(PushEvent { digest: layer.digest.clone(), state: PushState::Waiting });
    }
    let permits = Arc::new(Semaphore::new(push.inner.registries.config().parallel_uploads.max(1)));
    // Dropped with the push, it ends what runs.
    let mut tasks = JoinSet::new();
    for layer in layers {
        let (push, permits) = (push.clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            push.layer(&layer).await.map_err(|source| in_layer(&layer.digest, source))
        });
    }
    let (config, configuring) = (manifest.config.clone(), push.clone());
    tasks.spawn(async move { configuring.config(&config).await });
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(Error::TaskLost)??;
    }
    Ok(())
}

fn in_layer(digest: &Digest, source: Error) -> Error {
    Error::Layer { digest: digest.clone(), source: Box::new(source) }
}
