//! The engine: containers, and the images, networks and shims they are made of.
//!
//! Invariants: the database is the truth for what is wanted, the shims for what runs. One task owns each container
//! and is the only one to change it. What a caller was told has happened is in the database or in a shim's exit
//! record. Every step of a start, an end or a removal can be repeated after a crash.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod engine;
mod error;
pub mod model;

pub use engine::{
    AttachInput, AttachOutput, AttachSession, Engine, EngineConfig, ExitWait, LogStream, StatsStream,
};
pub use error::{EngineError, Result};
