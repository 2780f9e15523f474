//! The shim: a small process that supervises one container and outlives the daemon that started it.
//!
//! - [`protocol`]: what travels over the shim's socket.
//! - [`config`]: what the shim is told at launch (`shim.json`).
//! - [`exit_record`]: how a container ended, durable before anyone is told.
//! - [`log`]: the container's log file.
//! - [`supervisor`]: the shim itself.
//! - `client` (feature `client`): starts shims and talks to them, for tokio programs.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod exit_record;
pub mod log;
pub mod protocol;
pub mod supervisor;
