//! Starting shims and talking to them, for programs on tokio.
//!
//! A [`ShimClient`] knows a socket. Requests that are answered at once share a connection; a wait and an
//! attachment have one of their own. Dropping any future or stream here only closes a connection: the
//! container notices nothing, and the shim stays.

mod connection;
mod error;
mod launch;
mod shim_client;
mod stream;

pub use error::ClientError;
pub use launch::{LaunchError, LaunchSpec, Launched, ShimBinary, launch};
pub use shim_client::ShimClient;
pub use stream::{AttachEvent, AttachReader, AttachStream, AttachWriter};
