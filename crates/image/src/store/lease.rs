//! Leases: what work in flight needs is not swept away, and what it leaves unused is.
//!
//! The one lock of this module orders all removals: whoever holds it sees which blobs and layers are spoken for, by a
//! record or by a lease, and nobody can take up another one meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ross_types::Digest;
use tokio::sync::{Notify, oneshot};

use super::Inner;
use crate::error::Error;
use crate::layer::LayerKey;
use crate::record::ImageRecord;

/// What is leased, and how many times.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
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

    /// Waits until nothing is leased. The lock may be held for as long as a removal takes.
    pub(crate) async fn idle(&self) {
        loop {
            let returned = self.returned.notified();
            if self.held.try_lock().is_ok_and(|held| held.is_empty()) {
                return;
            }
            // A lease that is returned between the look and the wait is not missed; a removal that held the lock in
            // between tells nobody, so the look is repeated now and then.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(50), returned).await;
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

    /// Whether somebody is about to use this image.
    pub(crate) fn has_image(&self, id: &Digest) -> bool {
        self.images.contains_key(id)
    }

    /// Takes away those of `wants` that neither a record nor a lease refers to. Goes on to the end; says what failed
    /// first.
    pub(crate) fn collect(&self, inner: &Inner, wants: &Wants, fate: Fate) -> Result<(), Error> {
        let used = Used::by(&inner.config.records.images()?);
        let mut result = Ok(());
        for digest in &wants.blobs {
            if !used.blobs.contains(digest) && !self.blobs.contains_key(digest) {
                let gone = match fate {
                    Fate::Remove => inner.blobs.remove(digest),
                    Fate::Demote => inner.blobs.demote(digest),
                };
                result = result.and(gone.map_err(Error::from));
            }
        }
        for key in &wants.layers {
            if !used.layers.contains(key.as_str()) && !self.layers.contains_key(key) {
                result = result.and(inner.layers.remove(key).map_err(Error::from));
            }
        }
        result
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
            if !settled && let Err(error) = held.collect(&inner, &wants, fate) {
                // Nobody waits for this; what stays is swept when the store is opened next.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot clear up after a pull");
            }
            drop(held);
            inner.leases.returned.notify_waiters();
            drop(released);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}
