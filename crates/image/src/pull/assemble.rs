//! From a manifest and a configuration to an image: all layers, then the record.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ross_types::{Digest, ErrorKind, ImageRef, Platform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::again::{Begun, fetch};
use super::layer::{Got, Job, Obtained, chain_ids, obtain};
use super::write::{Writing, Written};
use crate::content::Pass;
use crate::error::Error;
use crate::image::Image;
use crate::layer::LayerKey;
use crate::manifest::{Descriptor, ImageConfig, Manifest, ManifestError};
use crate::progress::{LayerState, ProgressSink, PullEvent};
use crate::record::{ImageRecord, LayerRecord};
use crate::registry::Repository;
use crate::store::{Inner, Lease, Wants, blocking};

/// An image, as far as it can be known without its layers. Manifest and configuration belong together.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) digest: Digest,
    manifest: Manifest,
    raw_manifest: Vec<u8>,
    config: ImageConfig,
    raw_config: Vec<u8>,
}

impl Resolved {
    pub(crate) fn new(
        digest: Digest,
        manifest: Manifest,
        raw_manifest: Vec<u8>,
        config: ImageConfig,
        raw_config: Vec<u8>,
    ) -> Result<Self, ManifestError> {
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            let config = &manifest.config.digest;
            let text = format!(
                "image configuration {config}: {diff_ids} diff ids where the manifest has {layers} layers"
            );
            return Err(ManifestError::new(ErrorKind::DataLoss, text));
        }
        Ok(Self { digest, manifest, raw_manifest, config, raw_config })
    }

    fn jobs(&self) -> Vec<Job> {
        let diff_ids = &self.config.rootfs.diff_ids;
        let layers = self.manifest.layers.iter().zip(diff_ids).zip(chain_ids(diff_ids));
        layers
            .map(|((blob, diff_id), chain_id)| Job { blob: blob.clone(), diff_id: diff_id.clone(), chain_id })
            .collect()
    }

    fn record(&self, jobs: &[Job], keys: &[LayerKey]) -> ImageRecord {
        let layers = jobs.iter().zip(keys).map(|(job, key)| LayerRecord {
            diff_id: job.diff_id.clone(),
            chain_id: job.chain_id.clone(),
            blob: job.blob.digest.clone(),
            size: job.blob.size,
            key: key.to_string(),
        });
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        ImageRecord {
            id: self.manifest.config.digest.clone(),
            manifest: self.digest.clone(),
            media_type: self.manifest.media_type.clone(),
            platform: self.config.platform().unwrap_or_else(Platform::host),
            layers: layers.collect(),
            size: jobs
                .iter()
                .map(|job| job.blob.size)
                .fold(self.raw_config.len() as u64, u64::saturating_add),
            created: self.config.created.clone(),
            pulled_at: i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX),
            references: Vec::new(),
        }
    }
}

/// An image being put together.
pub(super) struct Assembly {
    pub(super) inner: Arc<Inner>,
    /// Where blobs come from that are not on disk; nowhere when an archive is loaded.
    pub(super) repository: Option<Arc<Repository>>,
    pub(super) permits: Semaphore,
    progress: ProgressSink,
    lease: Arc<Lease>,
}

impl Assembly {
    pub(super) fn report(&self, digest: &Digest, state: LayerState) {
        (self.progress)(PullEvent::Layer { digest: digest.clone(), state });
        self.inner.onlookers.tell(digest, state);
    }

    pub(super) fn progress(&self) -> ProgressSink {
        self.progress.clone()
    }

    /// See [`Repository::leave_mirrors`].
    pub(super) fn leave_mirrors(&self) {
        if let Some(repository) = &self.repository {
            repository.leave_mirrors();
        }
    }
}

/// What is to be put together, from where, and which references lead to it.
pub(crate) struct Order {
    pub(crate) resolved: Resolved,
    pub(crate) repository: Option<Arc<Repository>>,
    /// References, each with the digest it leads to at the registry.
    pub(crate) references: Vec<(ImageRef, Digest)>,
    pub(crate) progress: ProgressSink,
}

/// Gets all layers and records the image. Says too whether all was there and known before.
///
/// When it fails, what it brought is back in staging or gone by the time it returns. When it is dropped, that comes
/// to be in the background.
pub(crate) async fn assemble(inner: &Arc<Inner>, order: Order) -> Result<(Image, bool), Error> {
    let Order { resolved, repository, references, progress } = order;
    let jobs = resolved.jobs();
    let mut wants = Wants::default();
    wants.blobs.extend([resolved.digest.clone(), resolved.manifest.config.digest.clone()]);
    for job in &jobs {
        wants.blobs.push(job.blob.digest.clone());
        wants.layers.extend([LayerKey::of_diff(&job.diff_id), LayerKey::of_chain(&job.chain_id)]);
    }
    let (lease, released) = {
        let inner = inner.clone();
        blocking(move || Ok(Lease::acquire(&inner, wants))).await?
    };
    let permits = Semaphore::new(inner.registries.config().parallel_layers.max(1));
    let assembly = Arc::new(Assembly { inner: inner.clone(), repository, permits, progress, lease });
    let finished = finish(&assembly, resolved, jobs, references).await;
    drop(assembly);
    // Stages that run still hold the lease; an error here says that it is gone, which is what is awaited.
    let _ = released.await;
    finished
}

async fn finish(
    assembly: &Arc<Assembly>,
    resolved: Resolved,
    jobs: Vec<Job>,
    references: Vec<(ImageRef, Digest)>,
) -> Result<(Image, bool), Error> {
    for job in &jobs {
        assembly.report(&job.blob.digest, LayerState::Waiting);
    }
    // Written while the layers come.
    let resolved = Arc::new(resolved);
    let writing = {
        let (assembly, resolved) = (assembly.clone(), resolved.clone());
        blocking(move || {
            let blobs = &assembly.inner.blobs;
            blobs.put(&resolved.digest, &resolved.raw_manifest)?;
            Ok(blobs.put(&resolved.manifest.config.digest, &resolved.raw_config)?)
        })
    };
    let keys = layers(assembly, &jobs).await;
    let written = writing.await;
    let (keys, all_existed) = keys?;
    written?;
    let writing = Writing {
        record: resolved.record(&jobs, &keys),
        blobs: jobs.iter().map(|job| job.blob.clone()).collect(),
        pulled: assembly.repository.is_some(),
        references,
    };
    let writing = Arc::new(writing);
    loop {
        let (kept, writing) = (assembly.clone(), writing.clone());
        match blocking(move || writing.run(&kept.inner)).await? {
            Written::Recorded { record, known } => {
                // The record may be another's by now, or have kept the blobs of the one before.
                assembly.lease.remove_surplus();
                let (config, raw_config) = (resolved.config.clone(), resolved.raw_config.clone());
                let image = Image { record: *record, config, raw_config, damaged: None };
                return Ok((image, known && all_existed));
            }
            Written::Wants(blobs) => fetch_blobs(assembly, &blobs).await?,
        }
    }
}

/// Fetches blobs of layers that are here in other blobs.
async fn fetch_blobs(assembly: &Arc<Assembly>, blobs: &[Descriptor]) -> Result<(), Error> {
    let Some(repository) = &assembly.repository else { return Ok(()) };
    for blob in blobs {
        let pass = assembly.inner.gates.pass(&format!("blob {}", blob.digest)).await;
        // Another may have had the pass before, or the image has it twice.
        if assembly.inner.blobs.has(&blob.digest, blob.size) {
            continue;
        }
        // Kept to the end of the fetch, also of one that nobody awaits any more: the lease with the assembly.
        let rights = Arc::new((pass, assembly.clone()));
        let fetched = fetch(&assembly.inner, repository, blob, Begun::GoesOn, &rights).await;
        fetched.map_err(|source| Error::Layer { digest: blob.digest.clone(), source: Box::new(source) })?;
    }
    Ok(())
}

/// Gets all layers, several at a time; each is completed as soon as those below it are there. Says too whether all
/// existed before.
async fn layers(assembly: &Arc<Assembly>, jobs: &[Job]) -> Result<(Vec<LayerKey>, bool), Error> {
    let mut tasks = JoinSet::new();
    for (position, job) in jobs.iter().enumerate() {
        let (assembly, job) = (assembly.clone(), job.clone());
        tasks.spawn(async move { (position, obtain(assembly, job).await) });
    }
    let mut obtained: Vec<Option<Obtained>> = jobs.iter().map(|_| None).collect();
    let mut keys: Vec<LayerKey> = Vec::with_capacity(jobs.len());
    let mut all_existed = true;
    while let Some(joined) = tasks.join_next().await {
        let (position, result) = joined.map_err(Error::TaskLost)?;
        let layer = |source| in_layer(&jobs[position], source);
        obtained[position] = Some(result.map_err(layer)?);
        // What is done can be shown as done, in whatever order it came.
        match &obtained[position] {
            Some(Obtained { got: Got::Existed(_), .. }) => {
                assembly.report(&jobs[position].blob.digest, LayerState::Exists);
            }
            Some(Obtained { got: Got::Made(_), .. }) => {
                all_existed = false;
                assembly.report(&jobs[position].blob.digest, LayerState::Done);
            }
            _ => all_existed = false,
        }
        while let Some(next) = obtained.get_mut(keys.len()).and_then(Option::take) {
            let job = &jobs[keys.len()];
            let key = complete(assembly, job, next, &keys).await.map_err(|source| in_layer(job, source))?;
            keys.push(key);
        }
    }
    Ok((keys, all_existed))
}

fn in_layer(job: &Job, source: Error) -> Error {
    Error::Layer { digest: job.blob.digest.clone(), source: Box::new(source) }
}

async fn complete(
    assembly: &Arc<Assembly>,
    job: &Job,
    obtained: Obtained,
    below: &[LayerKey],
) -> Result<LayerKey, Error> {
    let Obtained { got, pass } = obtained;
    let pending = match got {
        Got::Existed(key) | Got::Made(key) => return Ok(key),
        Got::Pending(pending) => pending,
    };
    let (kept, chain_id, below) = (assembly.clone(), job.chain_id.clone(), below.to_vec());
    let key = blocking(move || {
        let layer = pending.finish(&chain_id, &below)?;
        // Both are kept until the layer is in place, also when nobody awaits it any more.
        let _: (Pass, Arc<Assembly>) = (pass, kept);
        Ok(layer.key)
    })
    .await?;
    assembly.report(&job.blob.digest, LayerState::Done);
    Ok(key)
}
