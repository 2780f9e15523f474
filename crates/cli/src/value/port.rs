//! Published and exposed ports: `[[HOST-IP:]HOST-PORT:]PORT[/PROTOCOL]`, each port possibly a range.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ross_api::v1::PortMapping;

use super::Parsed;

/// The mappings one `--publish` stands for.
pub fn publish(text: &str) -> Parsed<Vec<PortMapping>> {
    let (rest, protocol) = protocol(text)?;
    let (host, container) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((host, container)) => (Some(host), container),
    };
    let container = range(container).map_err(|reason| format!("the container's port {reason}"))?;
    let (ip, host_ports) = match host {
        None => (String::new(), None),
        Some(host) => host_side(host)?,
    };
    let count = container.clone().count();
    if let Some(ports) = &host_ports
        && ports.clone().count() != count
    {
        return Err("the two ranges of ports differ in length".to_owned());
    }
    let mut host_ports = host_ports.into_iter().flatten();
    Ok(container
        .map(|port| PortMapping {
            host_ip: ip.clone(),
            host_port: u32::from(host_ports.next().unwrap_or(0)),
            container_port: u32::from(port),
            protocol: protocol.to_owned(),
        })
        .collect())
}

/// The ports one `--expose` stands for, as `PORT/PROTOCOL`.
pub fn expose(text: &str) -> Parsed<Vec<String>> {
    let (ports, protocol) = protocol(text)?;
    let ports = range(ports).map_err(|reason| format!("the port {reason}"))?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

fn protocol(text: &str) -> Parsed<(&str, &str)> {
    match text.rsplit_once('/') {
        None => Ok((text, "tcp")),
        Some((rest, "tcp" | "TCP")) => Ok((rest, "tcp")),
        Some((rest, "udp" | "UDP")) => Ok((rest, "udp")),
        Some((_, other)) => Err(format!("`{other}` is neither tcp nor udp")),
    }
}

/// What stands before the container's port: address, ports, or both.
fn host_side(text: &str) -> Parsed<(String, Option<RangeInclusive<u16>>)> {
    let (ip, ports) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        ip.parse::<Ipv6Addr>().map_err(|_| format!("`{ip}` is no IPv6 address"))?;
        let ports = after.strip_prefix(':').ok_or("expected a colon after the bracket")?;
        (ip, ports)
    } else {
        match text.rsplit_once(':') {
            None if text.parse::<Ipv4Addr>().is_ok() => (text, ""),
            None => ("", text),
            Some((ip, ports)) => {
                ip.parse::<IpAddr>().map_err(|_| format!("`{ip}` is no IP address"))?;
                (ip, ports)
            }
        }
    };
    if ports.is_empty() {
        return if ip.is_empty() {
            Err("the host's port is missing".to_owned())
        } else {
            Ok((ip.to_owned(), None))
        };
    }
    let ports = if ports == "0" {
        None
    } else {
        Some(range(ports).map_err(|reason| format!("the host's port {reason}"))?)
    };
    Ok((ip.to_owned(), ports))
}

fn range(text: &str) -> Parsed<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("range `{text}` runs backwards"));
    }
    Ok(first..=last)
}

fn port(text: &str) -> Parsed<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(format!("`{text}` is not a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let one =
            |p: &PortMapping| format!("{}|{}|{}/{}", p.host_ip, p.host_port, p.container_port, p.protocol);
        Ok(publish(text)?.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn publishes() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text).as_deref(), Ok(expected), "{text:?}");
        check("80", "|0|80/tcp");
        check("80/udp", "|0|80/udp");
        check("8080:80", "|8080|80/tcp");
        check("0:80", "|0|80/tcp");
        check("8080:80/UDP", "|8080|80/udp");
        check("127.0.0.1:8080:80", "127.0.0.1|8080|80/tcp");
        check("127.0.0.1::80", "127.0.0.1|0|80/tcp");
        check("127.0.0.1:80", "127.0.0.1|0|80/tcp");
        check("[::1]:8080:80", "::1|8080|80/tcp");
        check("[::1]::80/udp", "::1|0|80/udp");
        check("::1:8080:80", "::1|8080|80/tcp");
        check("8000-8002:80-82", "|8000|80/tcp |8001|81/tcp |8002|82/tcp");
        check("3000-3001", "|0|3000/tcp |0|3001/tcp");
        check("10.0.0.1:7-8:7-8/udp", "10.0.0.1|7|7/udp 10.0.0.1|8|8/udp");
    }

    #[test]
    fn refusals() {
        let check = |text: &str, part: &str| {
            let reason = shown(text).expect_err(text);
            assert!(reason.contains(part), "{text:?}: {reason}");
        };
        check("", "container's port");
        check("abc", "`abc`");
        check("80:abc", "`abc`");
        check("abc:80", "`abc`");
        check("0", "1 to 65535");
        check("65536", "65536");
        check("80/sctp", "sctp");
        check("80/", "neither");
        check("8000-8001:80", "differ in length");
        check("81-80:80-81", "backwards");
        check(":80", "missing");
        check("[::1:80", "bracket");
        check("[::1]8080:80", "colon");
        check("1.2.3:80:80", "1.2.3");
        check("+80", "+80");
    }

    #[test]
    fn exposes() {
        assert_eq!(expose("80").unwrap(), ["80/tcp"]);
        assert_eq!(expose("80-82/udp").unwrap(), ["80/udp", "81/udp", "82/udp"]);
        assert!(expose("8080:80").is_err());
    }
}
