//! The shim itself: one thread, one epoll loop, one container.
//!
//! Invariants: it never waits for a client; it reads what the container writes whether or not anyone
//! listens (an attached client that asked for it excepted); an exit is on disk before anyone hears of it;
//! whatever a connection sends, only that connection suffers.
//!
//! It must not: run threads, keep parsed configurations, resolve paths inside the container's root.

mod connection;
mod container;
mod exits;
mod oom;
mod poll;
mod requests;
mod serve;
mod session;
mod setup;
mod streams;

pub use setup::{Arguments, SetupError, run};
