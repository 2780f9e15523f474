//! The text of a container's `/etc/hosts`. Source: hosts(5).

use std::fmt::Write as _;
use std::net::IpAddr;

const LOOPBACK: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// For a container with a namespace of its own: loopback names, `extra`, and its own names at `address`.
pub(crate) fn for_own_namespace(
    address: Option<IpAddr>,
    hostname: &str,
    name: &str,
    extra: &[(String, IpAddr)],
) -> String {
    let mut text = LOOPBACK.to_owned();
    push_extra(&mut text, extra);
    if let Some(address) = address {
        push_line(&mut text, address, &own_names(hostname, name));
    }
    text
}

/// For a container that shares the host's namespace: the host's file and `extra`.
pub(crate) fn for_host_namespace(host: &str, extra: &[(String, IpAddr)]) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    push_extra(&mut text, extra);
    text
}

fn push_extra(text: &mut String, extra: &[(String, IpAddr)]) {
    for (name, address) in extra {
        push_line(text, *address, &[name]);
    }
}

fn push_line(text: &mut String, address: IpAddr, names: &[&str]) {
    if !names.is_empty() {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{address}\t{}", names.join(" "));
    }
}

/// The canonical name comes first: `web.example web`, then the container's name.
fn own_names<'a>(hostname: &'a str, name: &'a str) -> Vec<&'a str> {
    let short = hostname.split('.').next().unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    for candidate in [hostname, short, name] {
        if !candidate.is_empty() && !names.contains(&candidate) {
            names.push(candidate);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_lines() {
        let check = |hostname: &str, name: &str, expected: &str| {
            let text = for_own_namespace(Some([172, 30, 0, 2].into()), hostname, name, &[]);
            assert_eq!(text.strip_prefix(LOOPBACK).unwrap(), expected);
        };
        check("abc", "web", "172.30.0.2\tabc web\n");
        check("web", "web", "172.30.0.2\tweb\n");
        check("web.example.org", "web-1", "172.30.0.2\tweb.example.org web web-1\n");
        check("", "", "");
    }

    #[test]
    fn extra_lines() {
        let extra =
            [("db".to_owned(), IpAddr::from([10, 0, 0, 1])), ("db6".to_owned(), "fd00::1".parse().unwrap())];
        let text = for_own_namespace(None, "abc", "web", &extra);
        assert_eq!(text.strip_prefix(LOOPBACK).unwrap(), "10.0.0.1\tdb\nfd00::1\tdb6\n");
        assert_eq!(
            for_host_namespace("127.0.0.1 localhost", &extra[..1]),
            "127.0.0.1 localhost\n10.0.0.1\tdb\n"
        );
        assert_eq!(for_host_namespace("", &[]), "");
    }
}
