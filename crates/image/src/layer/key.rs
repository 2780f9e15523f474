//! The name a layer has on disk.

use std::fmt;
use std::str::FromStr;

use ross_types::{ChainId, DiffId};
use serde::{Deserialize, Serialize};

/// The folder name of a layer under `layers/`: the digits of its diff id when it stands by itself, of its
/// chain id when it depends on the layers below it.
///
/// The two never meet: a chain id is a diff id only for the lowest layer, and there both name the same tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerKey(String);

/// A string that is no layer key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a layer key: expected 64 or 128 lower-case hexadecimal digits")]
pub struct InvalidLayerKey(String);

impl LayerKey {
    /// The key of a layer that stands by itself.
    #[must_use]
    pub fn of_diff(diff_id: &DiffId) -> Self {
        Self(diff_id.0.hex().to_owned())
    }

    /// The key of a layer that depends on the layers below it.
    #[must_use]
    pub fn of_chain(chain_id: &ChainId) -> Self {
        Self(chain_id.0.hex().to_owned())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerKey {
    type Err = InvalidLayerKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && matches!(text.len(), 64 | 128) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLayerKey(text.to_owned()))
        }
    }
}

impl TryFrom<String> for LayerKey {
    type Error = InvalidLayerKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LayerKey> for String {
    fn from(key: LayerKey) -> Self {
        key.0
    }
}

impl fmt::Display for LayerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
