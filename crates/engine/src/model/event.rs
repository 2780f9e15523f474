//! What happened to which object.

use std::collections::BTreeMap;

use super::Timestamp;

/// The kind of object an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
}

impl EventKind {
    /// The word clients see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
        }
    }
}

/// One thing that happened, with the words Docker uses for actions.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// `create`, `start`, `die`, `destroy`, ….
    pub action: String,
    /// The object's id.
    pub id: String,
    /// Name, image, labels, exit code.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}
