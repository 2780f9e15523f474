//! What every command works with, and what it answers.

use crate::args::Format;
use crate::connect::{Daemon, Host};
use crate::failure::Failure;
use crate::streams::Streams;

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// Where the daemon listens.
    pub host: Host,
    /// How answers are printed, if it was said.
    pub format: Option<Format>,
    /// Where they go.
    pub streams: Streams,
}

/// The exit code of a command that did what was asked.
pub type Outcome = Result<u8, Failure>;

impl Context {
    /// A connection to the daemon.
    pub async fn daemon(&self) -> Result<Daemon, Failure> {
        Daemon::connect(&self.host, &self.streams).await
    }

    /// Whether JSON was asked for, where a table is the default.
    pub fn json(&self) -> bool {
        self.format == Some(Format::Json)
    }

    /// Prints a value as indented JSON.
    pub fn print_json(&self, value: &serde_json::Value) -> Result<(), Failure> {
        self.streams.stdout.line(format_args!("{value:#}"))
    }
}
