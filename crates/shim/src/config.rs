//! `shim.json`: what a shim is told when it is launched.
//!
//! The launcher writes the file into the container's state directory before it starts the shim, and a
//! daemon that comes later reads it again. Temporary name and rename; no fsync, since the state directory
//! is a tmpfs and a shim does not live through a reboot either.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The name of the configuration in the container's state directory.
pub const CONFIG_FILE: &str = "shim.json";

/// The name of the shim's socket in the container's state directory.
pub const SOCKET_FILE: &str = "shim.sock";

/// The version of the format that this crate writes.
pub const CONFIG_VERSION: u32 = 1;

/// What a shim writes on its standard output, and then closes it, once its socket listens. Anything else is
/// the reason why it gave up.
pub const READY: &[u8] = b"+";

/// What a shim is told when it is launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimConfig {
    /// The format's version: [`CONFIG_VERSION`].
    pub version: u32,
    /// The container's id.
    pub id: String,
    /// The bundle: the directory that holds `config.json`.
    pub bundle: PathBuf,
    /// Where the runtime keeps its state (`ross-runtime --root`).
    pub runtime_root: PathBuf,
    /// Where the container's output goes.
    pub log: LogConfig,
    /// Whether the container gets a pseudo-terminal; must agree with `process.terminal` of `config.json`.
    pub terminal: bool,
    /// Whether the container's stdin is kept open for attached clients; else it is `/dev/null`.
    pub open_stdin: bool,
    /// Whether stdin is closed for good when an attached client closes its own.
    pub stdin_once: bool,
    /// Where the exit record is written.
    pub exit_record: PathBuf,
    /// Whether the exit record is forced to the disk before anyone is told. Not needed for a container that
    /// is removed when it ends.
    #[serde(default = "durable_by_default")]
    pub durable: bool,
}

/// Where a container's output goes, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// What kind of log is kept.
    pub driver: LogDriver,
    /// The current log file; older ones are `<path>.1`, `<path>.2` and so on.
    pub path: PathBuf,
    /// The size in bytes at which the file is rotated.
    pub max_size: u64,
    /// How many files are kept, the current one among them; at least 1.
    pub max_files: u32,
}

/// The kind of log that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Docker's json-file format.
    JsonFile,
    /// No log.
    None,
}

impl LogConfig {
    /// The size in bytes at which a log is rotated unless the user says otherwise: 10 MiB.
    pub const DEFAULT_MAX_SIZE: u64 = 10 << 20;
    /// How many log files are kept unless the user says otherwise.
    pub const DEFAULT_MAX_FILES: u32 = 3;

    /// A json-file log at `path` with the default bounds.
    #[must_use]
    pub fn json_file(path: PathBuf) -> Self {
        Self {
            driver: LogDriver::JsonFile,
            path,
            max_size: Self::DEFAULT_MAX_SIZE,
            max_files: Self::DEFAULT_MAX_FILES,
        }
    }
}

impl ShimConfig {
    /// Reads the configuration in the state directory `dir`.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a configuration of a version this crate knows.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let config: Self = serde_json::from_slice(&fs::read(dir.join(CONFIG_FILE))?)?;
        if config.version == CONFIG_VERSION {
            Ok(config)
        } else {
            let text = format!("version {} of {CONFIG_FILE} is not supported", config.version);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
    }

    /// Writes the configuration into the state directory `dir`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join("shim.json.tmp");
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(temporary, dir.join(CONFIG_FILE))
    }
}

fn durable_by_default() -> bool {
    true
}
