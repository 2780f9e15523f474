//! Work with progress as a stream: its events in order, none lost but those overtaken by a newer one of the same step,
//! and its result last. Dropping the stream cancels the work.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, stream};
use ross_api::v1::LayerProgress;
use tokio::sync::Notify;
use tonic::Status;

/// An event that may be about a layer.
pub trait Step {
    /// What it says of a layer, if it does.
    fn layer(&self) -> Option<&LayerProgress>;
}

/// Events that wait for their reader.
#[derive(Debug)]
pub struct Queue<E> {
    events: Mutex<VecDeque<E>>,
    arrived: Notify,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: Mutex::default(), arrived: Notify::default() }
    }
}

impl<E: Step> Queue<E> {
    /// Adds an event; of one layer in one state only the newest is kept, so that the queue stays short.
    pub fn push(&self, event: E) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.iter_mut().rev().find(|queued| overtakes(&event, &**queued)) {
            Some(queued) => *queued = event,
            None => events.push_back(event),
        }
        drop(events);
        self.arrived.notify_one();
    }

    /// The oldest event.
    pub fn pop(&self) -> Option<E> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

fn overtakes<E: Step>(new: &E, old: &E) -> bool {
    matches!((new.layer(), old.layer()), (Some(new), Some(old)) if new.digest == old.digest && new.state == old.state)
}

/// Work that ends with its last event.
pub type Working<E> = Pin<Box<dyn Future<Output = Result<E, Status>> + Send>>;

/// Works while the stream is read: what comes to `queue` meanwhile, then the result.
pub fn follow<E: Step + Send>(
    queue: Arc<Queue<E>>,
    working: Working<E>,
) -> impl Stream<Item = Result<E, Status>> + Send {
    enum Next<E> {
        Working(Working<E>),
        Finished(Result<E, Status>),
        End,
    }
    stream::unfold((queue, Next::Working(working)), |(queue, mut next)| async move {
        loop {
            if let Some(event) = queue.pop() {
                return Some((Ok(event), (queue, next)));
            }
            next = match next {
                Next::Working(mut working) => tokio::select! {
                    result = &mut working => Next::Finished(result),
                    () = queue.arrived.notified() => Next::Working(working),
                },
                Next::Finished(result) => return Some((result, (queue, Next::End))),
                Next::End => return None,
            };
        }
    })
}
