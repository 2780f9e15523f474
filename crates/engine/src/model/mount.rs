//! What is mounted in a container besides its root.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Where a mount's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum MountKind {
    /// A file or directory of the host.
    Bind {
        /// Absolute host path.
        source: String,
        /// Make a missing source a directory, as `-v` does.
        create_source: bool,
        /// Only the mount itself, not what is mounted below it.
        non_recursive: bool,
        /// How mount events travel.
        propagation: Propagation,
    },
    /// A directory ross keeps.
    Volume {
        /// Generated at create when empty.
        name: String,
        /// Do not fill a new volume from the image.
        no_copy: bool,
        /// Of a volume made by this mount.
        labels: BTreeMap<String, String>,
        /// Made for this container, and removed with it when asked for.
        #[serde(default)]
        anonymous: bool,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; half of the host's memory when 0.
        size: u64,
        /// Octal permission bits; 01777 when 0.
        mode: u32,
        /// Such as `noexec`.
        options: Vec<String>,
    },
    /// The root of an image.
    Image {
        /// Its reference.
        reference: String,
    },
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where its content comes from.
    #[serde(flatten)]
    pub kind: MountKind,
    /// Absolute path in the container.
    pub target: String,
    /// Cannot be written through this mount.
    pub read_only: bool,
}

/// How mount events travel between host and container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Not at all.
    #[default]
    Rprivate,
    /// Not at all, of this mount only.
    Private,
    /// Both ways.
    Rshared,
    /// Both ways, of this mount only.
    Shared,
    /// Into the container.
    Rslave,
    /// Into the container, of this mount only.
    Slave,
}

impl Propagation {
    /// The mount option.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rprivate => "rprivate",
            Self::Private => "private",
            Self::Rshared => "rshared",
            Self::Shared => "shared",
            Self::Rslave => "rslave",
            Self::Slave => "slave",
        }
    }
}

impl FromStr for Propagation {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        Ok(match text {
            "" | "rprivate" => Self::Rprivate,
            "private" => Self::Private,
            "rshared" => Self::Rshared,
            "shared" => Self::Shared,
            "rslave" => Self::Rslave,
            "slave" => Self::Slave,
            other => {
                let reason =
                    format!("`{other}` is none of rprivate, private, rshared, shared, rslave, slave");
                return Err(EngineError::invalid("mount propagation", reason));
            }
        })
    }
}
