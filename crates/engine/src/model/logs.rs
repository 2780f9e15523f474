//! Where output goes, and how it is read back.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Stream, Timestamp};
use crate::EngineError;

/// What writes the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Docker's json-file.
    #[default]
    JsonFile,
    /// Nothing is kept.
    None,
}

impl LogDriver {
    /// The word people type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::None => "none",
        }
    }
}

impl FromStr for LogDriver {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text {
            "" | "json-file" => Ok(Self::JsonFile),
            "none" => Ok(Self::None),
            other => Err(EngineError::invalid("log driver", format!("`{other}` is none of json-file, none"))),
        }
    }
}

/// How the log is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// What writes it.
    pub driver: LogDriver,
    /// Bytes in one file; 10 MiB when 0.
    pub max_size: u64,
    /// Files kept; 3 when 0.
    pub max_files: u32,
    /// Further options of the driver, as typed.
    pub options: BTreeMap<String, String>,
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Go on until the container ends.
    pub follow: bool,
    /// Both streams when neither is set.
    pub stdout: bool,
    /// Both streams when neither is set.
    pub stderr: bool,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Not newer than this.
    pub until: Option<Timestamp>,
    /// The last N lines.
    pub tail: Option<u64>,
}

/// One line, or a part of a longer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it came from.
    pub stream: Stream,
    /// When the shim read it.
    pub time: Timestamp,
    /// Ends in a newline unless `partial`.
    pub line: Vec<u8>,
    /// A part of a longer line.
    pub partial: bool,
}
