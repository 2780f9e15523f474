//! One worker per thing: whoever comes second waits, then finds the work done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// A set of locks by name, which exist as long as somebody holds or awaits them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Gates {
    open: Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>,
}

/// The right to work on one thing; others wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    #[expect(dead_code, reason = "held for what its drop does")]
    guard: OwnedMutexGuard<()>,
}

impl Gates {
    fn gate(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = open.get(name).and_then(Weak::upgrade) {
            return gate;
        }
        open.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(AsyncMutex::new(()));
        open.insert(name.to_owned(), Arc::downgrade(&gate));
        gate
    }

    /// Waits until nobody else works on `name`.
    pub(crate) async fn pass(&self, name: &str) -> Pass {
        Pass { guard: self.gate(name).lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits() {
        let gates = Gates::default();
        let first = gates.pass("a").await;
        let _other = gates.pass("b").await;
        let waiting = tokio::spawn({
            let gates = gates.clone();
            async move { drop(gates.pass("a").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        drop(gates.pass("c").await);
        assert!(gates.open.lock().unwrap().len() <= 2, "gates nobody uses are forgotten");
    }
}
