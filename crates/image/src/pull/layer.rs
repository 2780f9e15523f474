//! One layer: found, waited for, or made.

use std::sync::Arc;

use ross_types::{ChainId, DiffId, DigestAlgorithm};
use tokio::sync::OwnedSemaphorePermit;

use super::assemble::Assembly;
use super::pipeline::{self, Failed};
use crate::content::{Hasher, Pass};
use crate::error::Error;
use crate::layer::{Applied, LayerKey, Pending};
use crate::manifest::Descriptor;
use crate::store::{Inner, blocking};

/// A layer to have.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) blob: Descriptor,
    pub(super) diff_id: DiffId,
    pub(super) chain_id: ChainId,
}

/// A layer that is there, or as good as.
#[derive(Debug)]
pub(super) enum Got {
    /// It was here before.
    Existed(LayerKey),
    /// It is in place now.
    Made(LayerKey),
    /// It waits for the layers below it.
    Pending(Box<Pending>),
}

/// A layer with the pass that keeps others from making it too; to be kept until the layer is in place.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) got: Got,
    pub(super) pass: Pass,
}

/// What the stages of a layer keep until the last of them has ended, which may be after its pull was given up.
#[derive(Debug)]
pub(super) struct Rights {
    #[expect(dead_code, reason = "held for what its drop does")]
    blob: Pass,
    #[expect(dead_code, reason = "held for what its drop does")]
    slot: OwnedSemaphorePermit,
}

/// Gets the layer.
///
/// Passes are taken in one order (chain, blob), and a holder of a blob's pass waits for no other pass; a holder of
/// a chain's pass waits only for chains below it. Who has a slot waits for its own stages alone. So no two pulls wait
/// for each other.
pub(super) async fn obtain(assembly: Arc<Assembly>, job: Job) -> Result<Obtained, Error> {
    let inner = &assembly.inner;
    // Who makes it meanwhile tells how far it is.
    let watching = inner.onlookers.watch(&job.blob.digest, assembly.progress());
    let pass = inner.gates.pass(&format!("chain {}", job.chain_id)).await;
    if let Some(key) = find(inner, &job).await? {
        return Ok(Obtained { got: Got::Existed(key), pass });
    }
    let blob = inner.gates.pass(&format!("blob {}", job.blob.digest)).await;
    drop(watching);
    // Another image with the same layer may have been the one to wait for.
    if let Some(key) = find(inner, &job).await? {
        return Ok(Obtained { got: Got::Existed(key), pass });
    }
    let permit = assembly.permits.acquire().await.expect("the semaphore is never closed");
    let slot = inner.layers_at_once.clone().acquire_owned().await.expect("the semaphore is never closed");
    let rights = Arc::new(Rights { blob, slot });
    let mut made = pipeline::make(&assembly, &job, &rights).await;
    if let Err(Failed { doubtful: Some(doubt), .. }) = &made {
        // A mirror lies, or what an earlier attempt left was damaged, by a crash perhaps: once more from nothing.
        if doubt.mirrored {
            assembly.leave_mirrors();
        }
        let (inner, digest) = (inner.clone(), job.blob.digest.clone());
        blocking(move || Ok(inner.blobs.forget(&digest)?)).await?;
        made = pipeline::make(&assembly, &job, &rights).await;
    }
    drop(permit);
    let got = match made.map_err(|failed| failed.error)? {
        Applied::Independent(layer) => Got::Made(layer.key),
        Applied::NeedsParents(pending) => Got::Pending(Box::new(pending)),
    };
    Ok(Obtained { got, pass })
}

async fn find(inner: &Arc<Inner>, job: &Job) -> Result<Option<LayerKey>, Error> {
    let (inner, job) = (inner.clone(), job.clone());
    blocking(move || Ok(inner.layers.find(&job.diff_id, &job.chain_id)?.map(|layer| layer.key))).await
}

/// For each layer, the digest of it together with all below it.
pub(super) fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.0.clone(),
            Some(below) => Hasher::digest(DigestAlgorithm::Sha256, format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(ChainId(next));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use ross_types::Digest;

    #[test]
    fn chains() {
        let diff = |byte| DiffId(Digest::sha256([byte; 32]));
        let chain = chain_ids(&[diff(1), diff(2), diff(3)]);
        assert_eq!(chain[0].0, diff(1).0);
        let two = format!("{} {}", diff(1), diff(2));
        assert_eq!(chain[1].0, Hasher::digest(DigestAlgorithm::Sha256, two.as_bytes()));
        assert_ne!(chain[2], chain_ids(&[diff(2), diff(1), diff(3)])[2]);
        assert!(chain_ids(&[]).is_empty());
    }
}
