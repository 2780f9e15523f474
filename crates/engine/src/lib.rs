//! The engine: containers, and the images, networks and shims they are made of.
//!
//! Invariants: the database is the truth for what is wanted, the shims for what runs. One task owns each container
//! and is the only one to change it. What a caller was told has happened is in the database or in a shim's exit
//! record. Every step of a start, an end or a removal can be repeated after a crash.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod attach;
mod change;
mod container;
mod context;
mod create;
mod db;
mod engine;
mod error;
mod events;
mod exec;
mod host;
mod list;
mod lock;
mod logs;
pub mod model;
mod names;
mod network;
mod paths;
mod reconcile;
mod rootfs;
mod spec;
mod stats;
mod task;
mod volumes;

pub use attach::{AttachInput, AttachOutput, AttachSession};
pub use container::ExitWait;
pub use engine::{Engine, EngineConfig, OpenFiles};
pub use error::{EngineError, Result};
pub use logs::LogStream;
pub use ross_runtime::OCI_VERSION;
pub use stats::StatsStream;
