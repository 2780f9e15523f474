//! Image references as people type them, with docker.io's rules.
//!
//! Source: the distribution project's reference grammar: `[domain/]path[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Digest;

const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_REPOSITORY_LEN: usize = 255;
const MAX_TAG_LEN: usize = 128;

/// A fully qualified image name: registry, repository, and a tag, a digest or both.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A string that is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image reference `{text}` is invalid: {reason}")]
pub struct InvalidImageRef {
    text: String,
    reason: &'static str,
}

impl ImageRef {
    /// Host and optional port of the registry; `docker.io` when none was typed.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, with `library/` where docker.io implies it.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither tag nor digest was typed.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest or index, when one was typed.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository under another tag.
    ///
    /// # Errors
    /// When `tag` is not `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidImageRef> {
        if !is_tag(tag) {
            return Err(InvalidImageRef { text: tag.to_owned(), reason: TAG_REASON });
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository pinned to `digest`, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The repository as people know it: without `docker.io/` and `library/`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        let short = self.repository.strip_prefix(OFFICIAL_NAMESPACE);
        short.filter(|rest| !rest.contains('/')).unwrap_or(&self.repository).to_owned()
    }

    /// The whole reference as people know it, such as `alpine:3` for `docker.io/library/alpine:3`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_suffixes(self.familiar_name())
    }

    fn with_suffixes(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }
}

const TAG_REASON: &str = "a tag is 1 to 128 of [A-Za-z0-9_.-] and starts with none of . and -";

fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    (1..=MAX_TAG_LEN).contains(&bytes.len())
        && !matches!(bytes[0], b'.' | b'-')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    bytes.split(|&b| alphanumeric(b)).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
    })
}

/// A host name, IPv4 address or bracketed IPv6 address, with an optional port.
pub(crate) fn is_domain(domain: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.parse::<u16>().is_ok();
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_ok && address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let (host, port_ok) = domain.split_once(':').map_or((domain, true), |(host, port)| (host, is_port(port)));
    port_ok
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

impl FromStr for ImageRef {
    type Err = InvalidImageRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidImageRef { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| invalid("the digest is malformed"))?))
            }
            None => (text, None),
        };
        let last_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last_slash..].rfind(':') {
            Some(colon) => (&rest[..last_slash + colon], Some(&rest[last_slash + colon + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid(TAG_REASON));
        }
        // The first component is a registry only if it could not be a path on docker.io.
        let (registry, path) = match name.split_once('/') {
            Some((first, path))
                if first.contains(['.', ':'])
                    || first == "localhost"
                    || first.bytes().any(|b| b.is_ascii_uppercase()) =>
            {
                (first, path)
            }
            _ => (DEFAULT_REGISTRY, name),
        };
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        if !is_domain(registry) {
            return Err(invalid("the registry is no host name or address with an optional port"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(invalid(
                "each part of a repository is lower-case letters and digits, separated by one of . _ __ or dashes",
            ));
        }
        let official = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if official { format!("{OFFICIAL_NAMESPACE}{path}") } else { path.to_owned() };
        if repository.len() > MAX_REPOSITORY_LEN {
            return Err(invalid("a repository has at most 255 characters"));
        }
        if registry == DEFAULT_REGISTRY && path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid("64 hexadecimal digits are an image id, not a name"));
        }
        let tag = tag.or(if digest.is_none() { Some(DEFAULT_TAG) } else { None });
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidImageRef;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.with_suffixes(format!("{}/{}", self.registry, self.repository)))
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifies_and_shortens() {
        let check = |text: &str, full: &str, familiar: &str| {
            let reference: ImageRef = text.parse().unwrap();
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(full.parse::<ImageRef>().unwrap(), reference);
        };
        let digest = format!("sha256:{}", "ab".repeat(32));
        check("alpine", "docker.io/library/alpine:latest", "alpine:latest");
        check("docker.io/alpine:3", "docker.io/library/alpine:3", "alpine:3");
        check("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest");
        check("me/app", "docker.io/me/app:latest", "me/app:latest");
        check("localhost/app:1", "localhost/app:1", "localhost/app:1");
        check("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest");
        check("127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b");
        check("[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000/a:b");
        check("quay.io/x/y__z-q.r", "quay.io/x/y__z-q.r:latest", "quay.io/x/y__z-q.r:latest");
        check(&format!("a:b@{digest}"), &format!("docker.io/library/a:b@{digest}"), &format!("a:b@{digest}"));
        check(&format!("a@{digest}"), &format!("docker.io/library/a@{digest}"), &format!("a@{digest}"));
    }

    #[test]
    fn refuses() {
        let long = "a".repeat(300);
        let id = "ab".repeat(32);
        for bad in [
            "",
            ":",
            "/",
            "a//b",
            "A",
            "a/B",
            "a:",
            "a:-x",
            "a@",
            "a@sha256:00",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a b",
            "http://x/y",
            "x.y:99999/z",
            "..",
            "../a",
            "a/../b",
            long.as_str(),
            id.as_str(),
            "[::1/a",
            "ä",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
    }
}
