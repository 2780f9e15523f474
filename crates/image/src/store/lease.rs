//! Leases: what work in flight needs is not swept away, and what it leaves unused is.
//!
//! The one lock of this module orders all removals: whoever holds it sees which blobs and layers are spoken for, by a
//! record or by a lease, and nobody can take up another one meanwhile. Under it things only go out of sight; deleting
//! them, which takes long, comes after.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ross_types::Digest;
use tokio::sync::{Notify, oneshot};

use super::Inner;
use crate::error::Error;
use crate::layer::{GoneLayer, LayerKey};
use crate::record::ImageRecord;

/// What is leased, and how many times.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
    /// How many [`Swept`] are not deleted yet.
    sweeping: AtomicUsize,
    /// A lease was returned, or something swept is deleted.
    returned: Notify,
}

/// The state under the lock.
#[derive(Debug, Default)]
pub(crate) struct Held {
    blobs: HashMap<Digest, usize>,
    layers: HashMap<LayerKey, usize>,
    images: HashMap<Digest, usize>,
}

/// The things a piece of work needs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wants {
    pub(crate) blobs: Vec<Digest>,
    pub(crate) layers: Vec<LayerKey>,
    pub(crate) image: Option<Digest>,
}

/// What becomes of a blob that nothing refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes: the user removed it.
    Remove,
    /// It returns to staging: the next attempt need not fetch it again.
    Demote,
}

/// How work under a lease succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Success {
    /// All that was leased is recorded.
    Settled,
    /// The records may not name all of it, and nobody comes back for the rest.
    Surplus,
}

/// Keeps what it names from being removed. When the last share of it is dropped without having been
/// [settled](Self::settle), what nothing else refers to is taken away.
#[derive(Debug)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
    wants: Wants,
    success: OnceLock<Success>,
    released: Option<oneshot::Sender<()>>,
}

impl Leases {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is leased, and what was swept is deleted.
    pub(crate) async fn idle(&self) {
        let mut returned = std::pin::pin!(self.returned.notified());
        loop {
            // Before the look, or what happens between it and the wait would be missed.
            returned.as_mut().enable();
            if self.lock().is_empty() && self.sweeping.load(Ordering::Acquire) == 0 {
                return;
            }
            returned.as_mut().await;
            returned.set(self.returned.notified());
        }
    }
}

fn take<K: std::hash::Hash + Eq + Clone>(held: &mut HashMap<K, usize>, keys: &[K]) {
    for key in keys {
        *held.entry(key.clone()).or_default() += 1;
    }
}

fn give_back<K: std::hash::Hash + Eq>(held: &mut HashMap<K, usize>, keys: &[K]) {
    for key in keys {
        if let Some(count) = held.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                held.remove(key);
            }
        }
    }
}

impl Held {
    pub(crate) fn take(&mut self, wants: &Wants) {
        take(&mut self.blobs, &wants.blobs);
        take(&mut self.layers, &wants.layers);
        take(&mut self.images, wants.image.as_slice());
    }

    fn give_back(&mut self, wants: &Wants) {
        give_back(&mut self.blobs, &wants.blobs);
        give_back(&mut self.layers, &wants.layers);
        give_back(&mut self.images, wants.image.as_slice());
    }

    fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.layers.is_empty() && self.images.is_empty()
    }

    /// Whether somebody needs a blob whose digest has these hexadecimal digits.
    pub(crate) fn has_blob(&self, hex: &str) -> bool {
        self.blobs.keys().any(|digest| digest.hex() == hex)
    }

    /// Whether somebody is about to use this image.
    pub(crate) fn has_image(&self, id: &Digest) -> bool {
        self.images.contains_key(id)
    }

    /// Takes those of `wants` out of sight that neither a record nor a lease refers to. Goes on to the end; what
    /// failed first is told by [`Swept::delete`].
    pub(crate) fn collect<'a>(
        &self,
        inner: &'a Inner,
        wants: &Wants,
        fate: Fate,
    ) -> Result<Swept<'a>, Error> {
        let used = Used::by(&inner.config.records.images()?);
        let mut swept = Swept::new(&inner.leases);
        for digest in &wants.blobs {
            if !used.blobs.contains(digest) && !self.blobs.contains_key(digest) {
                let gone = match fate {
                    Fate::Remove => inner.blobs.take_out(digest),
                    Fate::Demote => inner.blobs.demote(digest).map(|()| None),
                };
                match gone {
                    Ok(gone) => swept.blobs.extend(gone),
                    Err(error) => swept.note(Err(error.into())),
                }
            }
        }
        for key in &wants.layers {
            if !used.layers.contains(key.as_str()) && !self.layers.contains_key(key) {
                match inner.layers.take_out(key) {
                    Ok(gone) => swept.layers.extend(gone),
                    Err(error) => swept.note(Err(error.into())),
                }
            }
        }
        Ok(swept)
    }
}

/// What was taken out of sight under the lock, to be deleted without it: a layer may have a million files, a blob
/// gigabytes.
#[derive(Debug)]
#[must_use]
pub(crate) struct Swept<'a> {
    leases: &'a Leases,
    /// Unlinked; the last descriptor of each.
    blobs: Vec<File>,
    layers: Vec<GoneLayer>,
    failed: Option<Error>,
}

impl<'a> Swept<'a> {
    fn new(leases: &'a Leases) -> Self {
        leases.sweeping.fetch_add(1, Ordering::AcqRel);
        Self { leases, blobs: Vec::new(), layers: Vec::new(), failed: None }
    }

    /// Bytes that deleting it gives back: of the blobs, and of the content of the layers.
    pub(crate) fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().filter_map(|blob| blob.metadata().ok()).map(|blob| blob.len());
        blobs.chain(self.layers.iter().map(GoneLayer::size)).sum()
    }

    fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    /// Deletes it all. The lock must not be held.
    ///
    /// # Errors
    /// What failed first, in taking out of sight or in deleting.
    pub(crate) fn delete(mut self) -> Result<(), Error> {
        self.blobs.clear();
        for layer in std::mem::take(&mut self.layers) {
            self.note(layer.delete().map_err(Error::from));
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        self.blobs.clear();
        self.layers.clear();
        self.leases.sweeping.fetch_sub(1, Ordering::AcqRel);
        self.leases.returned.notify_waiters();
    }
}

/// What records refer to.
struct Used {
    blobs: HashSet<Digest>,
    layers: HashSet<String>,
}

impl Used {
    fn by(records: &[ImageRecord]) -> Self {
        let mut used = Self { blobs: HashSet::new(), layers: HashSet::new() };
        for record in records {
            used.blobs.extend([record.id.clone(), record.manifest.clone()]);
            for layer in &record.layers {
                used.blobs.insert(layer.blob.clone());
                used.layers.insert(layer.key.clone());
            }
        }
        used
    }
}

impl Lease {
    /// Leases `wants`. The receiver resolves when the last share of the lease is gone, and with it what was unused.
    pub(crate) fn acquire(inner: &Arc<Inner>, wants: Wants) -> (Arc<Self>, oneshot::Receiver<()>) {
        inner.leases.lock().take(&wants);
        Self::of_taken(inner, wants)
    }

    /// The lease of what the caller took under the lock.
    pub(crate) fn of_taken(inner: &Arc<Inner>, wants: Wants) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let lease = Self { inner: inner.clone(), wants, success: OnceLock::new(), released: Some(sender) };
        (Arc::new(lease), receiver)
    }

    /// The work is recorded: there is nothing to take away.
    pub(crate) fn settle(&self) {
        self.success.get_or_init(|| Success::Settled);
    }

    /// The work is done, and what no record names is of no use to another attempt: it is removed, rather than kept
    /// in staging as after a failure.
    pub(crate) fn remove_surplus(&self) {
        self.success.get_or_init(|| Success::Surplus);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let wants = std::mem::take(&mut self.wants);
        let released = self.released.take();
        let success = self.success.get().copied();
        let settled = success == Some(Success::Settled);
        let fate = if success == Some(Success::Surplus) { Fate::Remove } else { Fate::Demote };
        if settled && let Ok(mut held) = self.inner.leases.held.try_lock() {
            held.give_back(&wants);
            drop(held);
            self.inner.leases.returned.notify_waiters();
            return;
        }
        let inner = self.inner.clone();
        let end = move || {
            let mut held = inner.leases.lock();
            held.give_back(&wants);
            let swept = (!settled).then(|| held.collect(&inner, &wants, fate));
            drop(held);
            if let Some(Err(error)) = swept.map(|swept| swept.and_then(Swept::delete)) {
                // Nobody waits for this; what stays is swept when the store is opened next.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot clear up after a pull");
            }
            inner.leases.returned.notify_waiters();
            drop(released);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_deletion_holds_no_lock_and_is_waited_for() {
        let leases = Leases::default();
        let swept = Swept::new(&leases);
        assert!(leases.held.try_lock().is_ok());
        let mut idle = std::pin::pin!(leases.idle());
        let mut context = Context::from_waker(Waker::noop());
        assert!(idle.as_mut().poll(&mut context).is_pending());
        swept.delete().unwrap();
        assert!(idle.as_mut().poll(&mut context).is_ready());
    }
}
