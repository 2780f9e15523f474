//! Where a registry is, and where its redirects may lead.

use std::net::{IpAddr, Ipv6Addr};

use reqwest::Url;

use super::RegistryConfig;
use super::hosts::{Host, Mirror};

/// The base address of the registry API of `registry` (host and optional port, as in a reference).
pub(super) fn base_url(registry: &str, config: &RegistryConfig) -> Option<Url> {
    let configured = config.hosts.get(registry).and_then(Host::insecure);
    let listed = || config.insecure.iter().any(|insecure| insecure == registry).then_some(true);
    let plain = match configured.or_else(listed) {
        Some(plain) => plain,
        None => is_loopback(&address_of(registry, false)?),
    };
    address_of(registry, plain)
}

/// The base address of the registry API at a mirror, whose scheme may be part of its address.
pub(super) fn mirror_url(mirror: &Mirror, config: &RegistryConfig) -> Option<Url> {
    match mirror.insecure {
        Some(plain) => address_of(mirror.host.as_str(), plain),
        None => base_url(mirror.host.as_str(), config),
    }
}

/// Parsed for each scheme anew: a default port of one is none of the other.
fn address_of(registry: &str, plain: bool) -> Option<Url> {
    let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let scheme = if plain { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}/")).ok()
}

/// The base address of what can be searched at `registry`: docker's hub has a host of its own for that.
pub(super) fn search_url(registry: &str, config: &RegistryConfig) -> Option<Url> {
    base_url(if registry == "docker.io" { "index.docker.io" } else { registry }, config)
}

fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.parse().ok()? {
        IpAddr::V6(v6) => Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)),
        v4 => Some(v4),
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
    name || address(url).is_some_and(|address| address.is_loopback())
}

/// Addresses that only mean something on this machine or its link: loopback, unspecified, link-local (where clouds
/// have their metadata services).
fn is_local(url: &Url) -> bool {
    const IPV6_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let address_is_local = match address(url) {
        Some(IpAddr::V4(v4)) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast()
        }
        Some(IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6 == IPV6_METADATA
        }
        None => false,
    };
    address_is_local || is_loopback(url)
}

/// Whether two addresses are of one server, so that what is secret for one is no secret from the other.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether a request that began at `from` may go on to `to`; else why not.
pub(super) fn may_follow(from: &Url, to: &Url) -> Result<(), &'static str> {
    if !matches!(to.scheme(), "http" | "https") {
        return Err("to something that is neither http nor https");
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err("from https to plain http");
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err("to an address with credentials in it");
    }
    if is_local(to) && !is_loopback(from) && !same_origin(from, to) {
        return Err("to an address of this machine or its link");
    }
    Ok(())
}

/// Whether credentials for the registry at `registry` may be shown to the token service `realm` it names.
pub(super) fn may_authenticate(registry: &Url, realm: &Url) -> Result<(), &'static str> {
    may_follow(registry, realm)?;
    if realm.scheme() == "http" && !same_origin(registry, realm) && !is_loopback(realm) {
        return Err("a token service over plain http");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::HostOptions;

    #[test]
    fn addresses() {
        let config =
            RegistryConfig { insecure: vec!["plain.example:5000".into()], ..RegistryConfig::default() };
        let check = |registry: &str, expected: &str| {
            assert_eq!(base_url(registry, &config).unwrap().as_str(), expected);
        };
        check("docker.io", "https://registry-1.docker.io/");
        check("quay.io", "https://quay.io/");
        check("localhost", "http://localhost/");
        check("localhost:5000", "http://localhost:5000/");
        check("127.0.0.1:443", "http://127.0.0.1:443/");
        check("127.9.9.9", "http://127.9.9.9/");
        check("[::1]:5000", "http://[::1]:5000/");
        check("plain.example:5000", "http://plain.example:5000/");
        check("plain.example", "https://plain.example/");
        check("10.0.0.1:5000", "https://10.0.0.1:5000/");
        let search = |registry: &str| search_url(registry, &config).unwrap().to_string();
        assert_eq!(search("docker.io"), "https://index.docker.io/");
        assert_eq!(search("localhost:5000"), "http://localhost:5000/");
    }

    #[test]
    fn addresses_by_configuration() {
        let mut config = RegistryConfig { insecure: vec!["a:1".into()], ..RegistryConfig::default() };
        let options = |insecure| HostOptions { insecure, ..HostOptions::default() };
        config.hosts.add("a:1", &options(Some(false))).unwrap();
        config.hosts.add("b:1", &options(Some(true))).unwrap();
        config.hosts.add("localhost:1", &options(Some(false))).unwrap();
        config.hosts.add("localhost:2", &options(None)).unwrap();
        let mirrors = ["b:1", "c", "http://c:2", "https://localhost:2/x", "b:1/x"];
        let mirrors = mirrors.map(str::to_owned).to_vec();
        config.hosts.add("m", &HostOptions { mirrors, ..HostOptions::default() }).unwrap();
        let check = |registry: &str, expected: &str| {
            assert_eq!(base_url(registry, &config).unwrap().as_str(), expected);
        };
        check("a:1", "https://a:1/");
        check("b:1", "http://b:1/");
        check("localhost:1", "https://localhost:1/");
        check("localhost:2", "http://localhost:2/");
        let mirrors = &config.hosts.get("m").unwrap().mirrors;
        let urls: Vec<_> =
            mirrors.iter().map(|mirror| mirror_url(mirror, &config).unwrap().to_string()).collect();
        assert_eq!(urls, ["http://b:1/", "https://c/", "http://c:2/", "https://localhost:2/", "http://b:1/"]);
    }

    #[test]
    fn redirects() {
        let check = |from: &str, to: &str, allowed: bool| {
            let result = may_follow(&from.parse().unwrap(), &to.parse().unwrap());
            assert_eq!(result.is_ok(), allowed, "{from} -> {to}: {result:?}");
        };
        check("https://a.example/", "https://cdn.example/x?sig=1", true);
        check("https://a.example/", "http://a.example/", false);
        check("http://a.example/", "https://a.example/", true);
        check("https://a.example/", "file:///etc/passwd", false);
        check("https://a.example/", "ftp://a.example/", false);
        check("https://a.example/", "https://u:p@a.example/", false);
        for local in [
            "127.0.0.1",
            "localhost",
            "a.localhost",
            "169.254.169.254",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "2130706433",
            "0x7f.1",
        ] {
            check("https://a.example/", &format!("https://{local}/"), false);
        }
        check("http://127.0.0.1:5000/", "http://127.0.0.1:5001/", true);
        check("http://10.0.0.1/", "http://10.0.0.2/", true);
    }

    #[test]
    fn token_services() {
        let check = |registry: &str, realm: &str, allowed: bool| {
            assert_eq!(
                may_authenticate(&registry.parse().unwrap(), &realm.parse().unwrap()).is_ok(),
                allowed
            );
        };
        check("https://a.example/", "https://auth.example/token", true);
        check("https://a.example/", "http://a.example/token", false);
        check("http://a.example/", "http://a.example/token", true);
        check("http://a.example/", "http://b.example/token", false);
        check("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", true);
    }
}
