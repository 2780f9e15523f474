//! What happens, told to whoever listens; the last of it is kept for those who come later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::model::{Event, EventKind, Timestamp};

const HISTORY: usize = 1024;

/// The one place events go through.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Event>,
    history: Mutex<VecDeque<Event>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(HISTORY), history: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn tell(&self, kind: EventKind, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let event =
            Event { kind, action: action.to_owned(), id: id.to_owned(), attributes, time: Timestamp::now() };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(event.clone());
        // Sent under the lock, so that whoever subscribes sees each event once. Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    /// What is kept, and what happens from then on.
    pub(crate) fn subscribe(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        (history.iter().cloned().collect(), self.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded_and_meets_the_present() {
        let events = Events::new();
        for number in 0..HISTORY + 5 {
            events.tell(EventKind::Container, "start", &number.to_string(), BTreeMap::new());
        }
        let (history, mut receiver) = events.subscribe();
        assert_eq!((history.len(), history[0].id.as_str()), (HISTORY, "5"));
        events.tell(EventKind::Container, "die", "x", BTreeMap::new());
        assert_eq!(receiver.try_recv().unwrap().id, "x");
        assert!(receiver.try_recv().is_err());
    }
}
