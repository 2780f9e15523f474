//! Pulls that wait for a layer another one is making, and are told how far it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ross_types::Digest;

use crate::progress::{LayerState, ProgressSink, PullEvent};

/// Those who wait, by blob and with the number that each has been given.
type Waiting = HashMap<Digest, Vec<(u64, ProgressSink)>>;

/// Who waits for which blob.
#[derive(Default, Clone)]
pub(crate) struct Onlookers {
    waiting: Arc<Mutex<Waiting>>,
    last: Arc<AtomicU64>,
}

/// While it exists, its owner is told. Nothing comes once it is dropped, so that what its owner then says is the last.
pub(super) struct Watching {
    onlookers: Onlookers,
    digest: Digest,
    number: u64,
}

impl std::fmt::Debug for Onlookers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Onlookers").field("blobs", &self.lock().len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watching").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Onlookers {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `sink` of the work on this blob, until the answer is dropped.
    pub(super) fn watch(&self, digest: &Digest, sink: ProgressSink) -> Watching {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.lock().entry(digest.clone()).or_default().push((number, sink));
        Watching { onlookers: self.clone(), digest: digest.clone(), number }
    }

    /// Says how far the work on a blob is. Its end they see for themselves.
    pub(super) fn tell(&self, digest: &Digest, state: LayerState) {
        use LayerState::{Downloading, Extracting, Verifying};
        if !matches!(state, Downloading { .. } | Verifying | Extracting { .. }) {
            return;
        }
        // Told under the lock: whoever has stopped watching hears nothing more.
        for (_, sink) in self.lock().get(digest).into_iter().flatten() {
            sink(PullEvent::Layer { digest: digest.clone(), state });
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut waiting = self.onlookers.lock();
        if let Some(sinks) = waiting.get_mut(&self.digest) {
            sinks.retain(|(number, _)| *number != self.number);
            if sinks.is_empty() {
                waiting.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_while_they_wait() {
        let onlookers = Onlookers::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = |name: &'static str| -> ProgressSink {
            let seen = seen.clone();
            Arc::new(move |event| match event {
                PullEvent::Layer { state, .. } => seen.lock().unwrap().push((name, state)),
                other => panic!("{other:?}"),
            })
        };
        let (one, other) = (Digest::sha256([1; 32]), Digest::sha256([2; 32]));
        let first = onlookers.watch(&one, sink("first"));
        let second = onlookers.watch(&one, sink("second"));
        let _third = onlookers.watch(&other, sink("third"));
        let half = LayerState::Downloading { done: 1, total: 2 };
        for state in [LayerState::Waiting, half, LayerState::Done, LayerState::Exists] {
            onlookers.tell(&one, state);
        }
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [("first", half), ("second", half)]);
        drop(first);
        onlookers.tell(&one, LayerState::Verifying);
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [("second", LayerState::Verifying)]);
        drop(second);
        onlookers.tell(&one, LayerState::Verifying);
        assert!(seen.lock().unwrap().is_empty());
        assert_eq!(onlookers.lock().len(), 1, "blobs nobody waits for are forgotten");
    }
}
