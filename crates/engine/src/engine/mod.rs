//! The door of the crate and its rooms: opening, containers, processes, images, what is made and pruned.

mod commit;
mod config;
mod containers;
mod door;
mod images;
mod open;
mod processes;
mod prune;

pub(crate) use commit::end_commit;
pub use config::{EngineConfig, OpenFiles};
pub use door::Engine;
