//! The door of the crate: every call of the API is a method here.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::EngineConfig;
use crate::context::Context;
use crate::error::Result;
use crate::model::Event;

/// The engine of one root directory. Cheap to clone; all clones are the same engine.
///
/// Calls that change something are carried out to the end even if their future is dropped.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) context: Arc<Context>,
}

impl Engine {
    /// Where things are.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.context.config
    }

    /// A random id made when the database was, 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.context.id
    }

    /// What happens from now on. A receiver that lags misses the oldest.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.context.events.subscribe().1
    }

    /// The last that happened, oldest first, and what happens from then on.
    #[must_use]
    pub fn events_with_history(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        self.context.events.subscribe()
    }

    /// Whether the database takes writes.
    ///
    /// # Errors
    /// When it does not; the text says why.
    pub async fn check_database(&self) -> Result<()> {
        Ok(self.context.db.call(crate::db::Db::check).await?)
    }
}
