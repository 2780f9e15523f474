//! The PORTS column: `0.0.0.0:8080->80/tcp`, neighbours brought together.

use ross_api::v1::PortMapping;

/// All mappings, in order of the container's ports, parted by commas.
pub fn ports(mappings: &[PortMapping]) -> String {
    let mut sorted: Vec<&PortMapping> = mappings.iter().collect();
    sorted.sort_by_key(|p| (&p.protocol, &p.host_ip, p.container_port, p.host_port));
    let mut groups: Vec<(&PortMapping, u32)> = Vec::new();
    for mapping in sorted {
        match groups.last_mut() {
            Some((first, length)) if follows(first, *length, mapping) => *length += 1,
            _ => groups.push((mapping, 1)),
        }
    }
    groups.sort_by_key(|(first, _)| (first.container_port, &first.protocol, &first.host_ip));
    groups.iter().map(|(first, length)| group(first, *length)).collect::<Vec<_>>().join(", ")
}

fn follows(first: &PortMapping, length: u32, next: &PortMapping) -> bool {
    let host = if first.host_port == 0 { 0 } else { first.host_port + length };
    first.protocol == next.protocol
        && first.host_ip == next.host_ip
        && next.container_port == first.container_port + length
        && next.host_port == host
}

fn group(first: &PortMapping, length: u32) -> String {
    let range =
        |port: u32| if length == 1 { port.to_string() } else { format!("{port}-{}", port + length - 1) };
    let protocol = if first.protocol.is_empty() { "tcp" } else { &first.protocol };
    let inside = format!("{}/{protocol}", range(first.container_port));
    if first.host_port == 0 {
        return inside;
    }
    let ip = match first.host_ip.as_str() {
        "" => "0.0.0.0".to_owned(),
        ip if ip.contains(':') => format!("[{ip}]"),
        ip => ip.to_owned(),
    };
    format!("{ip}:{}->{inside}", range(first.host_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(ip: &str, host: u32, container: u32, protocol: &str) -> PortMapping {
        PortMapping {
            host_ip: ip.to_owned(),
            host_port: host,
            container_port: container,
            protocol: protocol.to_owned(),
        }
    }

    #[test]
    fn groups() {
        let check = |mappings: &[PortMapping], expected: &str| assert_eq!(ports(mappings), expected);
        check(&[], "");
        check(&[mapping("", 8080, 80, "tcp")], "0.0.0.0:8080->80/tcp");
        check(&[mapping("::1", 8080, 80, "")], "[::1]:8080->80/tcp");
        check(&[mapping("", 0, 80, "tcp"), mapping("", 0, 81, "tcp")], "80-81/tcp");
        check(
            &[mapping("", 8001, 81, "tcp"), mapping("", 8000, 80, "tcp"), mapping("", 8000, 80, "udp")],
            "0.0.0.0:8000-8001->80-81/tcp, 0.0.0.0:8000->80/udp",
        );
        check(
            &[mapping("", 8000, 80, "tcp"), mapping("", 9000, 81, "tcp")],
            "0.0.0.0:8000->80/tcp, 0.0.0.0:9000->81/tcp",
        );
        check(
            &[mapping("127.0.0.1", 80, 80, "tcp"), mapping("", 0, 443, "tcp")],
            "127.0.0.1:80->80/tcp, 443/tcp",
        );
    }
}
