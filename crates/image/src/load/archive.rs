//! An archive from its first byte to the records of its images, under a lease that keeps what it brought.

use std::io::Read;
use std::sync::Arc;

use super::images::{self, Found};
use super::members::Members;
use crate::error::Error;
use crate::image::Loaded;
use crate::progress::{ProgressSink, PullEvent};
use crate::pull::{Order, assemble};
use crate::store::{Inner, Lease, Wants, blocking};

pub(crate) async fn load(
    inner: &Arc<Inner>,
    archive: Box<dyn Read + Send>,
    progress: ProgressSink,
) -> Result<Vec<Loaded>, Error> {
    let slot = inner.archives_at_once.clone().acquire_owned().await.expect("the semaphore is never closed");
    let staging = inner.clone();
    let (found, lease, released) = blocking(move || {
        let _slot = slot;
        let members = Members::read(&staging.blobs, archive, staging.limits.bytes)?;
        // All that could become a blob is leased before any of it does.
        let wants = Wants { blobs: members.digests(), ..Wants::default() };
        let (lease, released) = Lease::acquire(&staging, wants);
        Ok((images::images(&members, &staging.blobs), lease, released))
    })
    .await?;
    let loaded = match found {
        Ok(found) => assemble_all(inner, found, &progress).await,
        Err(error) => Err(error),
    };
    // Never settled: what no image came to use goes. An error of the receiver says that it has.
    if loaded.is_ok() {
        lease.remove_surplus();
    }
    drop(lease);
    let _ = released.await;
    let loaded = loaded?;
    progress(PullEvent::Done);
    Ok(loaded)
}

async fn assemble_all(
    inner: &Arc<Inner>,
    found: Vec<Found>,
    progress: &ProgressSink,
) -> Result<Vec<Loaded>, Error> {
    let mut loaded = Vec::new();
    for Found { resolved, names } in found {
        let digest = resolved.digest.clone();
        progress(PullEvent::Manifest { digest: digest.clone() });
        let references = names.iter().map(|name| (name.clone(), digest.clone())).collect();
        let order = Order { resolved, repository: None, references, progress: progress.clone() };
        let (image, _) = assemble(inner, order).await?;
        loaded.push(Loaded { image, names });
    }
    Ok(loaded)
}
