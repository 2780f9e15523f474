//! What is configured for single registries: mirrors, certificates, plain HTTP.
//!
//! All of it is checked when it is added, files too, so that no pull is the first to find a mistake.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity, Url};
use ross_types::RegistryHost;

use super::connections::crypto;

/// What a configuration says of one registry, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Servers to ask before the registry, in order: `[SCHEME://]HOST[:PORT][/PREFIX]`, where repositories are below the prefix.
    pub mirrors: Vec<String>,
    /// Whether it is spoken to over plain HTTP. When this is not said, it is for loopback addresses without certificates.
    pub insecure: Option<bool>,
    /// PEM files of certificate authorities that are trusted for it, beside those of the system.
    pub ca: Vec<PathBuf>,
    /// The PEM file of the certificate that is shown to it, with those above it.
    pub client_cert: Option<PathBuf>,
    /// The PEM file of that certificate's key.
    pub client_key: Option<PathBuf>,
}

/// Registries with a configuration of their own.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<RegistryHost, Host>);

/// A registry's configuration that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("registry \"{registry}\": {reason}")]
pub struct InvalidHost {
    registry: String,
    reason: String,
}

/// One registry's configuration, checked.
#[derive(Clone, Default)]
pub(super) struct Host {
    pub(super) mirrors: Vec<Mirror>,
    insecure: Option<bool>,
    ca: Vec<Certificate>,
    identity: Option<Identity>,
}

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Host")
            .field("mirrors", &self.mirrors)
            .field("insecure", &self.insecure)
            .field("ca", &self.ca.len())
            .finish_non_exhaustive()
    }
}

/// A server that has the repositories of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) host: RegistryHost,
    /// What its address says; when it does not, the mirror's own configuration does.
    pub(super) insecure: Option<bool>,
    /// Empty, or a path that ends with a slash.
    pub(super) prefix: String,
}

impl Hosts {
    /// Adds the configuration of `registry` (`HOST[:PORT]`, as in a reference).
    ///
    /// # Errors
    /// When the name or an option makes no sense, a registry comes twice, or a file cannot be read or used.
    pub fn add(&mut self, registry: &str, options: &HostOptions) -> Result<(), InvalidHost> {
        let invalid = |reason: String| InvalidHost { registry: registry.to_owned(), reason };
        let name: RegistryHost = match registry.parse() {
            Ok(name) if !registry.contains('/') => name,
            _ => return Err(invalid("expected HOST or HOST:PORT, without a scheme".to_owned())),
        };
        if self.0.contains_key(&name) {
            return Err(invalid(format!("{name} is configured twice")));
        }
        let host = Host::of(&name, options).map_err(invalid)?;
        self.0.insert(name, host);
        Ok(())
    }

    pub(super) fn get(&self, registry: &str) -> Option<&Host> {
        self.0.get(&registry.parse().ok()?)
    }

    /// The name and configuration of the server of `url`, where it has certificates of its own.
    pub(super) fn certificates_for(&self, url: &Url) -> Option<(&RegistryHost, &Host)> {
        let host = url.host_str()?;
        let named = |name: &str| self.0.get_key_value(&name.parse::<RegistryHost>().ok()?);
        let port = url.port_or_known_default()?;
        let found = named(&format!("{host}:{port}")).or_else(|| match url.port() {
            None => named(host),
            Some(_) => None,
        });
        found.filter(|(_, configured)| configured.has_certificates())
    }
}

impl Host {
    fn of(name: &RegistryHost, options: &HostOptions) -> Result<Self, String> {
        let mut host = Self { insecure: options.insecure, ..Self::default() };
        for text in &options.mirrors {
            let mirror = Mirror::parse(text).map_err(|reason| format!("mirror `{text}`: {reason}"))?;
            if mirror.host == *name && mirror.prefix.is_empty() {
                return Err(format!("mirror `{text}`: that is the registry itself"));
            }
            host.mirrors.push(mirror);
        }
        for path in &options.ca {
            let found = Certificate::from_pem_bundle(&read("ca", path)?);
            let found = found.ok().filter(|found| !found.is_empty());
            host.ca.extend(found.ok_or_else(|| format!("ca {}: no certificates in PEM", path.display()))?);
        }
        host.identity = match (&options.client_cert, &options.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            (Some(_), None) => return Err("client_cert needs client_key beside it".to_owned()),
            (None, Some(_)) => return Err("client_key needs client_cert beside it".to_owned()),
        };
        if host.insecure == Some(true) && host.has_certificates() {
            return Err(
                "insecure is plain HTTP, which has no use for ca, client_cert or client_key".to_owned()
            );
        }
        host.try_certificates(options)?;
        Ok(host)
    }

    /// Whether the certificates can be used at all: a key may not be that of its certificate.
    fn try_certificates(&self, options: &HostOptions) -> Result<(), String> {
        if !self.has_certificates() {
            return Ok(());
        }
        crypto();
        // Without those of the system, which take time to read.
        let mut builder = ClientBuilder::new().tls_certs_only(self.ca.clone());
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        let Err(error) = builder.build() else { return Ok(()) };
        let mut files: Vec<&PathBuf> = options.ca.iter().collect();
        files.extend(options.client_cert.iter().chain(&options.client_key));
        let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Err(format!("{}: cannot be used: {cause}", files.join(", ")))
    }

    fn has_certificates(&self) -> bool {
        !self.ca.is_empty() || self.identity.is_some()
    }

    /// Whether it is spoken to over plain HTTP, where that can be told from the configuration.
    pub(super) fn insecure(&self) -> Option<bool> {
        self.insecure.or_else(|| self.has_certificates().then_some(false))
    }

    pub(super) fn equip(&self, mut builder: ClientBuilder) -> ClientBuilder {
        if !self.ca.is_empty() {
            builder = builder.tls_certs_merge(self.ca.clone());
        }
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{what} {}: {error}", path.display()))
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let mut pem = read("client_cert", certificate)?;
    pem.push(b'\n');
    pem.extend(read("client_key", key)?);
    Identity::from_pem(&pem).map_err(|_| {
        format!(
            "client_cert {}, client_key {}: no certificate and key in PEM",
            certificate.display(),
            key.display()
        )
    })
}

impl Mirror {
    fn parse(text: &str) -> Result<Self, String> {
        let (insecure, address) = match text.split_once("://") {
            None => (None, text),
            Some(("https", address)) => (Some(false), address),
            Some(("http", address)) => (Some(true), address),
            Some((scheme, _)) => return Err(format!("{scheme} is neither http nor https")),
        };
        let (host, prefix) = address.split_once('/').unwrap_or((address, ""));
        let host = host.parse().map_err(|_| "expected [SCHEME://]HOST[:PORT][/PREFIX]".to_owned())?;
        let prefix = prefix.trim_end_matches('/');
        let is_part = |part: &str| {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(format!("`{prefix}` is no part of a repository's name"));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { host, insecure, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(mirrors: &[&str]) -> HostOptions {
        HostOptions {
            mirrors: mirrors.iter().map(|&text| text.to_owned()).collect(),
            ..HostOptions::default()
        }
    }

    #[test]
    fn mirrors_as_written() {
        let check = |text: &str, host: &str, insecure: Option<bool>, prefix: &str| {
            let expected = Mirror { host: host.parse().unwrap(), insecure, prefix: prefix.to_owned() };
            assert_eq!(Mirror::parse(text), Ok(expected), "{text}");
        };
        check("mirror.example", "mirror.example", None, "");
        check("https://mirror.example:5000/", "mirror.example:5000", Some(false), "");
        check("http://10.0.0.1:5000", "10.0.0.1:5000", Some(true), "");
        check("harbor.example/hub/cache", "harbor.example", None, "hub/cache/");
        for bad in ["", "ftp://x", "a b", "https://", "x/..", "x/a//b", "x/A", "http://u:p@x", "x/a?b"] {
            assert!(Mirror::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refusals_name_the_registry() {
        let dir = tempfile::tempdir().unwrap();
        let junk = dir.path().join("junk.pem");
        std::fs::write(&junk, "junk").unwrap();
        let check = |name: &str, options: &HostOptions, says: &str| {
            let mut hosts = Hosts::default();
            hosts.add("known.example", &HostOptions::default()).unwrap();
            hosts.add("docker.io", &HostOptions::default()).unwrap();
            let error = hosts.add(name, options).expect_err(says).to_string();
            assert!(error.starts_with(&format!("registry \"{name}\": ")) && error.contains(says), "{error}");
        };
        check("https://x", &HostOptions::default(), "without a scheme");
        check("x/y", &HostOptions::default(), "without a scheme");
        check("a b", &HostOptions::default(), "HOST:PORT");
        check("known.example", &HostOptions::default(), "twice");
        check("index.docker.io", &HostOptions::default(), "docker.io is configured twice");
        check("x", &mirrors(&["good.example", "ftp://y"]), "mirror `ftp://y`: ftp is neither");
        check("x:1", &mirrors(&["https://x:1"]), "the registry itself");
        let ca = |path: &Path| HostOptions { ca: vec![path.to_owned()], ..HostOptions::default() };
        check("x", &ca(Path::new("/nonexistent.pem")), "ca /nonexistent.pem: No such file");
        check("x", &ca(&junk), "no certificates in PEM");
        let client = |certificate: Option<&Path>, key: Option<&Path>| HostOptions {
            client_cert: certificate.map(Path::to_owned),
            client_key: key.map(Path::to_owned),
            ..HostOptions::default()
        };
        check("x", &client(Some(&junk), None), "needs client_key");
        check("x", &client(None, Some(&junk)), "needs client_cert");
        check("x", &client(Some(&junk), Some(&junk)), "no certificate and key");
        assert!(Hosts::default().get("x").is_none());
    }
}
