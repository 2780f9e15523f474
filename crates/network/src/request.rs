//! Refusing requests that contradict themselves or would corrupt a file they are written into.

use std::net::IpAddr;

use ross_types::ErrorKind;

use crate::Error;
use crate::model::{EndpointRequest, NetworkMode};

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

/// Whether all that `request` asks for can be had together.
pub(crate) fn check(request: &EndpointRequest) -> Result<(), Error> {
    let container = request.container.short();
    if request.mode != NetworkMode::Bridge && (request.ip.is_some() || request.mac.is_some()) {
        return Err(invalid(format!("container {container}: a fixed address needs network mode bridge")));
    }
    if let (NetworkMode::Container(other), false) = (&request.mode, request.ports.is_empty()) {
        return Err(invalid(format!(
            "container {container} shares the network of {}: publish ports there",
            other.short()
        )));
    }
    if let Some([first, ..]) = request.mac.filter(|mac| mac[0] & 1 == 1 || mac == &[0; 6]) {
        return Err(invalid(format!(
            "link-layer address {first:02x}:… of container {container} is no unicast address"
        )));
    }
    for mapping in &request.ports {
        check_port(mapping.host_ip, mapping.host_port, mapping.container_port)?;
    }
    let words = [
        ("hostname", std::slice::from_ref(&request.hostname)),
        ("name", std::slice::from_ref(&request.name)),
        ("search domain", &request.dns.search),
        ("resolver option", &request.dns.options),
    ];
    for (what, list) in words {
        list.iter().try_for_each(|word| check_word(what, word))?;
    }
    for (name, _) in &request.extra_hosts {
        if name.is_empty() {
            return Err(invalid("extra host without a name".to_owned()));
        }
        check_word("extra host", name)?;
    }
    Ok(())
}

fn check_port(host_ip: Option<IpAddr>, host_port: Option<u16>, container_port: u16) -> Result<(), Error> {
    if host_port == Some(0) || container_port == 0 {
        return Err(invalid("port 0 cannot be published".to_owned()));
    }
    match host_ip {
        Some(address) if address.is_ipv6() => Err(Error::new(
            ErrorKind::Unimplemented,
            format!("ports are published on IPv4 addresses only, and {address} is none"),
        )),
        Some(address) if address.is_multicast() => {
            Err(invalid(format!("ports cannot be published on multicast address {address}")))
        }
        _ => Ok(()),
    }
}

/// A word of hosts(5) or resolv.conf(5): nothing that ends it or begins a comment.
fn check_word(what: &str, word: &str) -> Result<(), Error> {
    if word.chars().any(|char| char.is_whitespace() || char.is_control() || matches!(char, '#' | ';')) {
        return Err(invalid(format!("{what} {word:?} contains white space, control characters, # or ;")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ross_types::ContainerId;

    use super::*;
    use crate::model::{DnsOptions, HostAddress, PortMapping, Protocol};

    fn request() -> EndpointRequest {
        EndpointRequest {
            container: ContainerId::from_random([1; 32]),
            name: "web".into(),
            hostname: "web.example".into(),
            mode: NetworkMode::Bridge,
            ports: Vec::new(),
            ip: None,
            mac: None,
            dns: DnsOptions::default(),
            extra_hosts: Vec::new(),
        }
    }

    #[test]
    fn checks() {
        let check = |change: fn(&mut EndpointRequest), expected: Result<(), &str>| {
            let mut request = request();
            change(&mut request);
            let result = super::check(&request).map_err(|error| error.to_string());
            assert_eq!(result.as_ref().map_err(String::as_str).copied(), expected);
        };
        check(|_| (), Ok(()));
        check(
            |request| {
                request.mode = NetworkMode::None;
                request.ip = Some([10, 0, 0, 2].into());
            },
            Err("container 010101010101: a fixed address needs network mode bridge"),
        );
        check(
            |request| request.mac = Some([1, 0, 0, 0, 0, 0]),
            Err("link-layer address 01:… of container 010101010101 is no unicast address"),
        );
        check(
            |request| request.hostname = "a\n1.2.3.4 bank.example".into(),
            Err("hostname \"a\\n1.2.3.4 bank.example\" contains white space, control characters, # or ;"),
        );
        check(
            |request| request.extra_hosts = vec![(String::new(), HostAddress::HostGateway)],
            Err("extra host without a name"),
        );
        check(
            |request| request.dns.search = vec!["a b".into()],
            Err("search domain \"a b\" contains white space, control characters, # or ;"),
        );
        check(
            |request| {
                request.ports = vec![PortMapping {
                    host_ip: Some("::1".parse().unwrap()),
                    host_port: Some(80),
                    container_port: 80,
                    protocol: Protocol::Tcp,
                }];
            },
            Err("ports are published on IPv4 addresses only, and ::1 is none"),
        );
        check(
            |request| {
                request.ports = vec![PortMapping {
                    host_ip: None,
                    host_port: Some(80),
                    container_port: 0,
                    protocol: Protocol::Udp,
                }];
            },
            Err("port 0 cannot be published"),
        );
    }
}
