//! The platform an image is for: operating system, architecture, variant.
//!
//! Source: OCI image index specification, `platform`; names are Go's GOOS and GOARCH.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `os/architecture[/variant]`, with the aliases people type brought to the names images carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// GOOS, such as `linux`.
    pub os: String,
    /// GOARCH, such as `amd64`.
    pub architecture: String,
    /// CPU variant, such as `v7` of `arm`.
    pub variant: Option<String>,
}

/// A string that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "platform `{0}` is invalid: expected os/architecture or os/architecture/variant, such as linux/arm64"
)]
pub struct InvalidPlatform(String);

impl Platform {
    /// The platform this binary was built for.
    #[must_use]
    pub fn host() -> Self {
        Self::normalized("linux", std::env::consts::ARCH, None)
    }

    fn normalized(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", None),
            "aarch64" => ("arm64", None),
            "i386" | "i686" | "x86" => ("386", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            other => (other, None),
        };
        let variant = match (architecture, variant.or(implied)) {
            ("arm64", Some("8" | "v8")) => None,
            ("arm", None | Some("7")) => Some("v7"),
            ("arm", Some("6")) => Some("v6"),
            ("arm", Some("5")) => Some("v5"),
            (_, variant) => variant,
        };
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) }
    }

    /// Whether an image for `image` runs where `self` is asked for; an image without a variant fits any.
    #[must_use]
    pub fn accepts(&self, image: &Self) -> bool {
        let image = Self::normalized(&image.os, &image.architecture, image.variant.as_deref());
        self.os == image.os
            && self.architecture == image.architecture
            && (self.variant == image.variant || image.variant.is_none() || self.variant.is_none())
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let parts: Vec<&str> = lower.split('/').collect();
        if !parts.iter().all(word) {
            return Err(InvalidPlatform(text.to_owned()));
        }
        match parts[..] {
            ["linux"] => Ok(Self::host()),
            [os, architecture] => Ok(Self::normalized(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::normalized(os, architecture, Some(variant))),
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(out, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_normalizes() {
        let check =
            |text: &str, shown: &str| assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        check("linux/amd64", "linux/amd64");
        check("Linux/x86_64", "linux/amd64");
        check("linux/aarch64", "linux/arm64");
        check("linux/arm64/v8", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("linux/armhf", "linux/arm/v7");
        check("linux/arm/v6", "linux/arm/v6");
        for bad in ["", "/", "amd64", "linux/", "a/b/c/d", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn accepts_images() {
        let arm7: Platform = "linux/arm/v7".parse().unwrap();
        assert!(arm7.accepts(&"linux/arm/v7".parse().unwrap()));
        assert!(!arm7.accepts(&"linux/arm/v6".parse().unwrap()));
        let amd64: Platform = "linux/amd64".parse().unwrap();
        assert!(amd64.accepts(&"linux/amd64/v1".parse().unwrap()));
        assert!(!amd64.accepts(&"windows/amd64".parse().unwrap()));
    }
}
