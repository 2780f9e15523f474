//! The name of a registry, as people, docker's config.json and image references write it.

use std::fmt;
use std::str::FromStr;

use crate::reference::is_domain;

/// How Docker Hub is called in references.
const DOCKER_HUB: &str = "docker.io";

/// A registry: its host and optional port. Docker Hub is `docker.io`, whichever of its names was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(String);

/// A string that names no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no registry: give HOST or HOST:PORT")]
pub struct InvalidRegistryHost(String);

impl RegistryHost {
    /// The registry of names without one.
    #[must_use]
    pub fn docker_hub() -> Self {
        Self(DOCKER_HUB.to_owned())
    }

    /// Whether it is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.0 == DOCKER_HUB
    }

    /// Host and optional port, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryHost {
    type Err = InvalidRegistryHost;

    /// Takes `HOST[:PORT]`, with `http://` or `https://` before it and a path after it, both of which are left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let host = address.split('/').next().unwrap_or_default().to_ascii_lowercase();
        match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" => Ok(Self::docker_hub()),
            _ if is_domain(&host) => Ok(Self(host)),
            _ => Err(InvalidRegistryHost(text.to_owned())),
        }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, expected: Option<&str>| {
            let parsed: Result<RegistryHost, _> = text.parse();
            assert_eq!(parsed.ok().as_ref().map(RegistryHost::as_str), expected, "{text:?}");
        };
        check("docker.io", Some("docker.io"));
        check("index.docker.io", Some("docker.io"));
        check("https://index.docker.io/v1/", Some("docker.io"));
        check("registry-1.docker.io", Some("docker.io"));
        check("Quay.io", Some("quay.io"));
        check("http://10.0.0.1:5000", Some("10.0.0.1:5000"));
        check("https://localhost:5000/v2/", Some("localhost:5000"));
        check("[::1]:5000", Some("[::1]:5000"));
        check("registry", Some("registry"));
        for bad in ["", "https://", "/", "a b", "u:p@host", "host:port", "host:99999", "-x", "ftp://x"] {
            check(bad, None);
        }
        let error = "a b".parse::<RegistryHost>().unwrap_err().to_string();
        assert!(error.contains("`a b` names no registry"), "{error}");
    }
}
