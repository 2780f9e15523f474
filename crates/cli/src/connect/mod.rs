//! The way to the daemon: its address, the connection, and starting it when it may be started.

mod autostart;
mod daemon;
mod host;

pub use daemon::Daemon;
pub use host::Host;
