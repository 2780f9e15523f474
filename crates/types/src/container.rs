//! Container ids (64 hex digits) and names, by Docker Engine's rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a container or exec: 64 lower-case hexadecimal digits, 256 random bits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// A string that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container id `{0}` is not 64 lower-case hexadecimal digits")]
pub struct InvalidContainerId(String);

impl ContainerId {
    /// The id made of these 256 bits, which the caller draws from the kernel's random source.
    #[must_use]
    pub fn from_random(bits: [u8; 32]) -> Self {
        Self(bits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as shown to people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ContainerId {
    type Err = InvalidContainerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ContainerId {
    type Error = InvalidContainerId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 64 && hex { Ok(Self(text)) } else { Err(InvalidContainerId(text)) }
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.short())
    }
}

/// A container's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, as in Docker Engine, without a leading slash.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

/// A string that cannot name a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container name `{0}` is invalid: use two or more of [a-zA-Z0-9_.-], the first a letter or digit")]
pub struct InvalidContainerName(String);

impl ContainerName {
    /// The longest name accepted, in bytes: it becomes a host name and a file name.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = InvalidContainerName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ContainerName {
    type Error = InvalidContainerName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = text.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let valid = (2..=Self::MAX_LEN).contains(&bytes.len())
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(allowed);
        if valid { Ok(Self(text)) } else { Err(InvalidContainerName(text)) }
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> Self {
        name.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ContainerName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<ContainerName>().is_ok(), valid, "{text:?}");
        for good in ["ab", "a1", "web-1", "A_b.c", "0x"] {
            check(good, true);
        }
        for bad in ["", "a", "-ab", ".ab", "_ab", "a/b", "a b", "/ab", "ä1", "a\0b"] {
            check(bad, false);
        }
        check(&"a".repeat(255), true);
        check(&"a".repeat(256), false);
    }

    #[test]
    fn ids() {
        let id = ContainerId::from_random([0xab; 32]);
        assert_eq!(id.as_str().parse::<ContainerId>().as_ref(), Ok(&id));
        assert_eq!(id.short(), "abababababab");
        assert!("ab".parse::<ContainerId>().is_err());
        assert!("AB".repeat(32).parse::<ContainerId>().is_err());
        assert!("../".repeat(32)[..64].parse::<ContainerId>().is_err());
    }
}
