//! A verification from its order to its result: which images, in which order, what of them once only.

use std::collections::HashSet;
use std::sync::Arc;

use ross_types::{Digest, ImageRef};
use tokio::sync::oneshot;

use super::{Finding, Mended, Subject, Verified, VerifyEvent, VerifyOrder, VerifySink};
use crate::error::Error;
use crate::layer::LayerKey;
use crate::record::ImageRecord;
use crate::registry::Repository;
use crate::store::{Inner, Lease, Wants, blocking, find, wants_of};

pub(crate) async fn verify(
    inner: &Arc<Inner>,
    order: VerifyOrder,
    sink: VerifySink,
) -> Result<Verified, Error> {
    let Choice { chosen, all, lease, released } = {
        let (inner, names) = (inner.clone(), order.images.clone());
        blocking(move || choose(&inner, &names)).await?
    };
    let mut run = Run {
        inner: inner.clone(),
        order,
        sink,
        all,
        blobs: HashSet::new(),
        layers: HashSet::new(),
        wrong_layers: HashSet::new(),
        verified: Verified::default(),
    };
    for record in &chosen {
        run.image(record).await;
    }
    // What was removed meanwhile goes with the lease.
    lease.remove_surplus();
    drop(lease);
    // An error of the receiver says that it is gone, which is what is awaited.
    let _ = released.await;
    Ok(run.verified)
}

/// What is to be verified.
struct Choice {
    chosen: Vec<ImageRecord>,
    /// All images there are.
    all: Vec<ImageRecord>,
    /// Of what is to be checked.
    lease: Arc<Lease>,
    /// Resolves when the lease is gone.
    released: oneshot::Receiver<()>,
}

fn choose(inner: &Arc<Inner>, names: &[String]) -> Result<Choice, Error> {
    let mut held = inner.leases.lock();
    let all = inner.config.records.images()?;
    let mut chosen: Vec<ImageRecord> = Vec::new();
    for name in names {
        let (record, _) = find(all.clone(), name)?;
        if chosen.iter().all(|known| known.id != record.id) {
            chosen.push(record);
        }
    }
    if names.is_empty() {
        chosen.clone_from(&all);
    }
    let mut wants = Wants::default();
    for record in &chosen {
        let of_record = wants_of(record);
        wants.blobs.extend(of_record.blobs);
        wants.layers.extend(of_record.layers);
    }
    // A layer may be checked against the blob of another image.
    let diff_ids: HashSet<_> =
        chosen.iter().flat_map(|record| &record.layers).map(|layer| &layer.diff_id).collect();
    let twins =
        all.iter().flat_map(|record| &record.layers).filter(|layer| diff_ids.contains(&layer.diff_id));
    wants.blobs.extend(twins.map(|layer| layer.blob.clone()));
    held.take(&wants);
    drop(held);
    let (lease, released) = Lease::of_taken(inner, wants);
    Ok(Choice { chosen, all, lease, released })
}

/// A verification at work.
pub(super) struct Run {
    pub(super) inner: Arc<Inner>,
    pub(super) order: VerifyOrder,
    sink: VerifySink,
    /// The records of all images, as they were at the beginning.
    pub(super) all: Vec<ImageRecord>,
    /// Blobs that were checked.
    pub(super) blobs: HashSet<Digest>,
    /// Layers that were checked.
    pub(super) layers: HashSet<LayerKey>,
    /// Those of them that are wrong still, by their keys.
    pub(super) wrong_layers: HashSet<String>,
    pub(super) verified: Verified,
}

/// What an image is called in findings.
fn shown(record: &ImageRecord) -> String {
    let tagged = record.references.iter().find(|reference| reference.digest().is_none());
    let named = tagged.or(record.references.first());
    named.map_or_else(|| record.id.to_string(), ImageRef::familiar)
}

impl Run {
    async fn image(&mut self, record: &ImageRecord) {
        self.verified.images += 1;
        self.documents(record).await;
        for layer in &record.layers {
            self.layer_blob(record, layer).await;
        }
        for position in 0..record.layers.len() {
            self.layer(record, position).await;
        }
    }

    pub(super) fn checking(&self, record: &ImageRecord, subject: Subject, digest: &Digest) {
        (self.sink)(VerifyEvent::Checking { image: shown(record), subject, digest: digest.clone() });
    }

    /// Tells of one thing that is wrong, in all the ways it is, and counts it.
    pub(super) fn found(
        &mut self,
        record: &ImageRecord,
        subject: Subject,
        digest: &Digest,
        ways: Vec<(String, String)>,
        mended: Mended,
    ) {
        self.verified.wrong += 1;
        self.verified.mended += u64::from(mended == Mended::Yes);
        for (path, what) in ways {
            (self.sink)(VerifyEvent::Found(Finding {
                image: shown(record),
                id: record.id.clone(),
                subject,
                digest: digest.clone(),
                path,
                what,
                mended: mended.clone(),
            }));
        }
    }

    /// The repositories that the image, and others with the blob, were pulled from or pushed to: a reference with a digest
    /// says so. A tag alone may be nobody's but this host's.
    pub(super) fn repositories(&self, record: &ImageRecord, blob: &Digest) -> Vec<Arc<Repository>> {
        let others = self.all.iter().filter(|other| other.names_blob(blob));
        let all = [record].into_iter().chain(others).flat_map(|record| &record.references);
        let mut references: Vec<&ImageRef> = all.filter(|reference| reference.digest().is_some()).collect();
        let mut seen = HashSet::new();
        references.retain(|reference| seen.insert(reference.familiar_name()));
        let open = |reference: &ImageRef| {
            let credentials = self.order.credentials.get(reference.registry()).cloned();
            self.inner.registries.repository(reference, credentials).ok()
        };
        references.into_iter().filter_map(open).collect()
    }
}
