//! The door of the crate and its rooms: opening, containers, processes, images.

mod config;
mod containers;
mod door;
mod images;
mod open;
mod processes;

pub use config::{EngineConfig, OpenFiles};
pub use door::Engine;
