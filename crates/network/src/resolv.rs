//! The text of a container's `/etc/resolv.conf`.
//!
//! The host's file, less what cannot work in another namespace: name servers on loopback addresses, and IPv6 ones
//! while containers have no IPv6. When the host's only server is systemd-resolved's stub, the list behind it is
//! taken instead. When nothing is left, [`FALLBACK`] is used, as Docker Engine does. Source: resolv.conf(5).

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::model::DnsOptions;

/// Public servers for a host that names none a container can reach.
pub(crate) const FALLBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));

/// The host's file, or the one behind systemd-resolved's stub. A file that cannot be read is an empty one.
pub(crate) fn of_host() -> String {
    behind_stub(Path::new("/etc/resolv.conf"), Path::new("/run/systemd/resolve/resolv.conf"))
}

fn behind_stub(file: &Path, resolved: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let servers = Parsed::from(text.as_str()).servers;
    let is_stub = !servers.is_empty() && servers.iter().all(|server| server.parse() == Ok(STUB));
    if is_stub { fs::read_to_string(resolved).unwrap_or(text) } else { text }
}

/// Addresses of the name servers in `text`.
pub(crate) fn servers(text: &str) -> impl Iterator<Item = IpAddr> {
    Parsed::from(text).servers.into_iter().filter_map(|server| server.parse().ok())
}

#[derive(Debug, Default)]
struct Parsed<'a> {
    servers: Vec<&'a str>,
    search: Vec<&'a str>,
    options: Vec<&'a str>,
}

impl<'a> From<&'a str> for Parsed<'a> {
    fn from(text: &'a str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => parsed.servers.extend(words.next()),
                // The last of either word holds.
                Some("search" | "domain") => parsed.search = words.take_while(not_a_comment).collect(),
                Some("options") => parsed.options.extend(words.take_while(not_a_comment)),
                _ => {}
            }
        }
        parsed
    }
}

fn not_a_comment(word: &&str) -> bool {
    !word.starts_with(['#', ';'])
}

/// For a container that shares the host's namespace: the host's file as it is, unless something was asked for.
pub(crate) fn for_host_namespace(host: &str, dns: &DnsOptions) -> String {
    if dns == &DnsOptions::default() { host.to_owned() } else { compose(host, dns, |_| true) }
}

/// For a container with a namespace of its own.
pub(crate) fn for_own_namespace(host: &str, dns: &DnsOptions) -> String {
    compose(host, dns, |server| server.is_ipv4() && !server.is_loopback())
}

fn compose(host: &str, dns: &DnsOptions, reachable: impl Fn(&IpAddr) -> bool) -> String {
    let host = Parsed::from(host);
    let mut servers = dns.servers.clone();
    if servers.is_empty() {
        servers = host.servers.iter().filter_map(|server| server.parse().ok()).filter(reachable).collect();
    }
    if servers.is_empty() {
        servers = FALLBACK.map(IpAddr::from).to_vec();
    }
    let chosen = |asked: &'_ [String], of_host: &[&str]| {
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        if asked.is_empty() { of_host.join(" ") } else { asked.join(" ") }
    };
    let search = chosen(&dns.search, &host.search);
    let options = chosen(&dns.options, &host.options);

    let mut text = String::new();
    for server in servers {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() && search != "." {
        let _ = writeln!(text, "search {search}");
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {options}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(servers: &[&str], search: &[&str], options: &[&str]) -> DnsOptions {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        DnsOptions {
            servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
            search: owned(search),
            options: owned(options),
        }
    }

    #[test]
    fn own_namespace() {
        let check = |host: &str, dns: DnsOptions, expected: &str| {
            assert_eq!(for_own_namespace(host, &dns), expected, "{host:?}");
        };
        let none = || dns(&[], &[], &[]);
        let public = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";
        check("", none(), public);
        check("nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\n", none(), public);
        check(
            "nameserver 10.0.0.1\nnameserver 127.0.0.53\nnameserver 2001:db8::1",
            none(),
            "nameserver 10.0.0.1\n",
        );
        let host = "# made by x\ndomain old\nsearch a.example b.example # why\nnameserver\t10.0.0.1 ; x\noptions ndots:2\noptions edns0 trust-ad\n";
        check(
            host,
            none(),
            "nameserver 10.0.0.1\nsearch a.example b.example\noptions ndots:2 edns0 trust-ad\n",
        );
        check(
            host,
            dns(&["127.0.0.1", "::1"], &["c"], &["rotate"]),
            "nameserver 127.0.0.1\nnameserver ::1\nsearch c\noptions rotate\n",
        );
        check(host, dns(&[], &["."], &[]), "nameserver 10.0.0.1\noptions ndots:2 edns0 trust-ad\n");
        check("nonsense\nnameserver\nnameserver x\nsearch\n", none(), public);
    }

    #[test]
    fn host_namespace() {
        let host = "nameserver 127.0.0.1\n# kept\n";
        assert_eq!(for_host_namespace(host, &DnsOptions::default()), host);
        assert_eq!(for_host_namespace(host, &dns(&[], &["x"], &[])), "nameserver 127.0.0.1\nsearch x\n");
    }

    #[test]
    fn follows_the_stub() {
        let dir = tempfile::tempdir().unwrap();
        let (file, resolved) = (dir.path().join("resolv.conf"), dir.path().join("resolved"));
        fs::write(&resolved, "nameserver 10.9.9.9\n").unwrap();
        let check = |text: &str, expected: &str| {
            fs::write(&file, text).unwrap();
            assert_eq!(behind_stub(&file, &resolved), expected);
        };
        check("nameserver 127.0.0.53\n", "nameserver 10.9.9.9\n");
        check("nameserver 127.0.0.53\nnameserver 10.0.0.1\n", "nameserver 127.0.0.53\nnameserver 10.0.0.1\n");
        check("nameserver 127.0.0.1\n", "nameserver 127.0.0.1\n");
        check("", "");
        fs::remove_file(&resolved).unwrap();
        check("nameserver 127.0.0.53\n", "nameserver 127.0.0.53\n");
        assert_eq!(behind_stub(&resolved, &resolved), "", "no file at all");
    }
}
