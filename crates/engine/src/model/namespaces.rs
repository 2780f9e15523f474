//! Whose namespace of a kind a container lives in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Its own, the host's, or another container's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum NamespaceMode {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of a container that runs: name or id.
    Container(String),
}

impl FromStr for NamespaceMode {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text {
            "" | "private" | "shareable" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            other => match other.strip_prefix("container:") {
                Some(name) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
                _ => Err(EngineError::invalid(
                    "namespace mode",
                    format!("`{other}` is none of host, private, container:NAME"),
                )),
            },
        }
    }
}

impl TryFrom<String> for NamespaceMode {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        text.parse()
    }
}

impl From<NamespaceMode> for String {
    fn from(mode: NamespaceMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for NamespaceMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => out.write_str("private"),
            Self::Host => out.write_str("host"),
            Self::Container(name) => write!(out, "container:{name}"),
        }
    }
}
