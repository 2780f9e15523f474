//! Unpacked layers against their blobs.

use std::io::BufReader;
use std::sync::Arc;

use ross_sys::error::with_sources;
use ross_types::Digest;

use super::images::Run;
use super::{Mended, Subject, blobs};
use crate::error::Error;
use crate::layer::{self, Checked, Difference, LayerError, LayerKey};
use crate::pull::unpacked;
use crate::record::{ImageRecord, LayerRecord};
use crate::store::{Inner, blocking};

/// A layer that cannot be checked, and why.
type Unchecked = String;

impl Run {
    /// The layer at `position`, those below it first.
    pub(super) async fn layer(&mut self, record: &ImageRecord, position: usize) {
        let layer = &record.layers[position];
        let diff_id = &layer.diff_id.0;
        let Ok(key) = layer.key.parse::<LayerKey>() else {
            let what = format!("is recorded under `{}`, which is no name of a layer", layer.key);
            let mended = if self.order.repair { Mended::No(PULL_AGAIN.to_owned()) } else { Mended::NotAsked };
            self.found(record, Subject::Layer, diff_id, vec![(String::new(), what)], mended);
            return;
        };
        if !self.layers.insert(key.clone()) {
            return;
        }
        self.verified.layers += 1;
        self.checking(record, Subject::Layer, diff_id);
        let stands_alone = key == LayerKey::of_diff(&layer.diff_id);
        if !stands_alone
            && record.layers[..position].iter().any(|below| self.wrong_layers.contains(&below.key))
        {
            // What it should be is made from those below it.
            let what = "cannot be checked before the layers below it are right".to_owned();
            let mended = if self.order.repair { Mended::No(UNCHECKED.to_owned()) } else { Mended::NotAsked };
            self.found(record, Subject::Layer, diff_id, vec![(String::new(), what)], mended);
            return;
        }
        let (ways, mended) = match self.compare(record, position, key.clone()).await {
            Ok(checked) if checked.differences.is_empty() => return,
            Ok(mut checked) => {
                let ways = ways(std::mem::take(&mut checked.differences), checked.more);
                let mended = match self.order.repair {
                    false => Mended::NotAsked,
                    true => self.replace(checked, key).await,
                };
                (ways, mended)
            }
            Err(why) => {
                let mended =
                    if self.order.repair { Mended::No(UNCHECKED.to_owned()) } else { Mended::NotAsked };
                (vec![(String::new(), format!("cannot be checked: {why}"))], mended)
            }
        };
        if mended != Mended::Yes {
            self.wrong_layers.insert(layer.key.clone());
        }
        self.found(record, Subject::Layer, diff_id, ways, mended);
    }

    async fn compare(
        &self,
        record: &ImageRecord,
        position: usize,
        key: LayerKey,
    ) -> Result<Checked, Unchecked> {
        let layer = &record.layers[position];
        let parse = |below: &LayerRecord| below.key.parse::<LayerKey>().map_err(|error| with_sources(&error));
        let parents = record.layers[..position].iter().map(parse).collect::<Result<Vec<LayerKey>, _>>()?;
        let (diff_id, chain_id) = (layer.diff_id.clone(), layer.chain_id.clone());
        let subject = layer::Subject { key, diff_id, chain_id, parents };
        let sources: Vec<(Digest, u64)> =
            [layer].into_iter().chain(self.twins(layer)).map(|own| (own.blob.clone(), own.size)).collect();
        // A pull that makes the same layer would take this one's place, or this one its.
        let pass = self.inner.gates.pass(&format!("chain {}", layer.chain_id)).await;
        let slot = self.inner.layers_at_once.clone().acquire_owned().await;
        let slot = slot.expect("the semaphore is never closed");
        let inner = self.inner.clone();
        let checked = blocking(move || {
            let _kept = (pass, slot);
            Ok(check(&inner, &sources, subject))
        });
        checked.await.map_err(|lost| with_sources(&lost))?
    }

    /// Puts the layer as it should be in its place, unless a container has it mounted.
    async fn replace(&self, checked: Checked, key: LayerKey) -> Mended {
        let (inner, in_use) = (self.inner.clone(), self.order.in_use.clone());
        let replaced = blocking(move || {
            checked.sync()?;
            // The lock keeps removals and new holds away; holds there are, and containers that run, are asked for under it.
            let held = inner.leases.lock();
            for record in inner.config.records.images()? {
                if record.layers.iter().all(|layer| layer.key != key.as_str()) {
                    continue;
                }
                if let Some(user) = in_use(&record.id).filter(|user| user.running) {
                    return Ok(Mended::No(format!(
                        "container {} runs on it; stop the container, then repair again",
                        user.container
                    )));
                }
                if held.has_image(&record.id) {
                    let reason = "a container is being made, started or read on it; repair again later";
                    return Ok(Mended::No(reason.to_owned()));
                }
            }
            let gone = checked.put_in_place()?;
            drop(held);
            if let Err(error) = gone.delete() {
                // The layer is right; what stays of the old one is swept when the store is opened next.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot delete all of a replaced layer"
                );
            }
            Ok(Mended::Yes)
        });
        replaced.await.unwrap_or_else(|error: Error| Mended::No(with_sources(&error)))
    }
}

const UNCHECKED: &str = "it cannot be checked";
const PULL_AGAIN: &str = "remove the image and pull it again";

/// Checks the layer against the first of its blobs that is whole.
fn check(
    inner: &Arc<Inner>,
    sources: &[(Digest, u64)],
    subject: layer::Subject,
) -> Result<Checked, Unchecked> {
    let whole = |(digest, size): &&(Digest, u64)| blobs::check(&inner.blobs, digest, Some(*size)).is_ok();
    let (digest, _) = sources.iter().find(whole).ok_or("no whole blob of it is on disk")?;
    let (file, _) = inner.blobs.reader(digest).map_err(|error| with_sources(&error))?;
    let diff_id = subject.diff_id.clone();
    let reader = unpacked(BufReader::with_capacity(256 << 10, file));
    let (_, reader) = reader.map_err(|source| with_sources(&LayerError::Read { layer: diff_id, source }))?;
    inner.layers.check(reader, subject, &inner.limits).map_err(|error| with_sources(&error))
}

fn ways(differences: Vec<Difference>, more: u64) -> Vec<(String, String)> {
    let mut ways: Vec<_> =
        differences.into_iter().map(|difference| (difference.path, difference.what)).collect();
    if more > 0 {
        ways.push((String::new(), format!("differs in {more} more ways")));
    }
    ways
}
