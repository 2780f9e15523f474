//! How containers are connected: as asked for, and as they are.

use std::str::FromStr;

use ross_api::v1::{NetworkOptions, NetworkStatus, PortMapping};
use ross_engine::model;
use tonic::Status;

use crate::status::{invalid, of_engine};

/// What a request asks for.
pub fn options(options: NetworkOptions) -> Result<model::NetworkOptions, Status> {
    Ok(model::NetworkOptions {
        mode: options.mode.parse().map_err(|error| of_engine(&error))?,
        ports: options.ports.iter().map(mapping).collect::<Result<_, _>>()?,
        exposed_ports: options
            .exposed_ports
            .iter()
            .map(|port| port.parse().map_err(|error| of_engine(&error)))
            .collect::<Result<_, _>>()?,
        publish_all: options.publish_all,
        aliases: options.aliases,
        ipv4_address: address("network.ipv4_address", &options.ipv4_address)?,
        ipv6_address: address("network.ipv6_address", &options.ipv6_address)?,
        mac_address: mac(&options.mac_address)?,
        dns_servers: options
            .dns_servers
            .iter()
            .map(|server| {
                server
                    .parse()
                    .map_err(|_| invalid("network.dns_servers", format!("`{server}` is no IP address")))
            })
            .collect::<Result<_, _>>()?,
        dns_search: options.dns_search,
        dns_options: options.dns_options,
    })
}

fn address<T: FromStr>(field: &str, text: &str) -> Result<Option<T>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| invalid(field, format!("`{text}` is no such address")))
}

fn port(field: &str, number: u32) -> Result<u16, Status> {
    u16::try_from(number).map_err(|_| invalid(field, format!("{number} is above 65535")))
}

fn mapping(mapping: &PortMapping) -> Result<model::PortMapping, Status> {
    let container_port = port("network.ports.container_port", mapping.container_port)?;
    if container_port == 0 {
        return Err(invalid("network.ports.container_port", "it is missing"));
    }
    let host_port = port("network.ports.host_port", mapping.host_port)?;
    Ok(model::PortMapping {
        host_ip: address("network.ports.host_ip", &mapping.host_ip)?,
        host_port: (host_port != 0).then_some(host_port),
        container_port,
        protocol: mapping.protocol.parse().map_err(|error| of_engine(&error))?,
    })
}

fn mac(text: &str) -> Result<Option<[u8; 6]>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |reason: &str| invalid("network.mac_address", format!("`{text}` {reason}"));
    let mut bytes = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut bytes {
        let part =
            parts.next().filter(|part| part.len() == 2).ok_or_else(|| wrong("is no hardware address"))?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong("is no hardware address"))?;
    }
    if parts.next().is_some() {
        return Err(wrong("is no hardware address"));
    }
    if bytes[0] & 1 == 1 {
        return Err(wrong("is a multicast address"));
    }
    Ok(Some(bytes))
}

/// What was asked for, as a message.
pub fn options_message(options: &model::NetworkOptions) -> NetworkOptions {
    let shown = |address: Option<String>| address.unwrap_or_default();
    NetworkOptions {
        mode: options.mode.to_string(),
        ports: options.ports.iter().map(mapping_message).collect(),
        exposed_ports: options.exposed_ports.iter().map(ToString::to_string).collect(),
        publish_all: options.publish_all,
        aliases: options.aliases.clone(),
        ipv4_address: shown(options.ipv4_address.map(|ip| ip.to_string())),
        ipv6_address: shown(options.ipv6_address.map(|ip| ip.to_string())),
        mac_address: options.mac_address.map(mac_message).unwrap_or_default(),
        dns_servers: options.dns_servers.iter().map(ToString::to_string).collect(),
        dns_search: options.dns_search.clone(),
        dns_options: options.dns_options.clone(),
    }
}

fn mapping_message(mapping: &model::PortMapping) -> PortMapping {
    PortMapping {
        host_ip: mapping.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        host_port: mapping.host_port.unwrap_or(0).into(),
        container_port: mapping.container_port.into(),
        protocol: mapping.protocol.as_str().to_owned(),
    }
}

fn mac_message(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// How it is connected now.
pub fn status(status: &model::NetworkStatus) -> NetworkStatus {
    NetworkStatus {
        mode: status.mode.to_string(),
        namespace_path: status.namespace.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        ipv4_address: status.ipv4_address.map(|ip| ip.to_string()).unwrap_or_default(),
        ipv4_prefix_len: status.ipv4_prefix_len.into(),
        ipv4_gateway: status.ipv4_gateway.map(|ip| ip.to_string()).unwrap_or_default(),
        mac_address: status.mac_address.map(mac_message).unwrap_or_default(),
        ports: status.ports.iter().map(mapping_message).collect(),
    }
}

/// The ports a list shows: the published ones, and those that are only exposed.
pub fn listed_ports(status: &model::NetworkStatus, options: &model::NetworkOptions) -> Vec<PortMapping> {
    let mut ports: Vec<PortMapping> = status.ports.iter().map(mapping_message).collect();
    for exposed in &options.exposed_ports {
        let published = status
            .ports
            .iter()
            .any(|port| port.container_port == exposed.port && port.protocol == exposed.protocol);
        if !published {
            ports.push(PortMapping {
                container_port: exposed.port.into(),
                protocol: exposed.protocol.as_str().to_owned(),
                ..PortMapping::default()
            });
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let asked = NetworkOptions {
            mode: "container:web".to_owned(),
            ports: vec![PortMapping {
                host_ip: "::1".to_owned(),
                host_port: 8080,
                container_port: 80,
                protocol: "udp".to_owned(),
            }],
            exposed_ports: vec!["70/tcp".to_owned()],
            publish_all: true,
            aliases: vec!["db".to_owned()],
            ipv4_address: "10.0.0.2".to_owned(),
            ipv6_address: "fd00::2".to_owned(),
            mac_address: "02:00:00:00:00:ff".to_owned(),
            dns_servers: vec!["9.9.9.9".to_owned()],
            dns_search: vec!["example.org".to_owned()],
            dns_options: vec!["ndots:1".to_owned()],
        };
        assert_eq!(options_message(&options(asked.clone()).unwrap()), asked);
        assert_eq!(options_message(&options(NetworkOptions::default()).unwrap()).mode, "bridge");
    }

    #[test]
    fn refusals_name_the_field() {
        let check = |change: fn(&mut NetworkOptions), field: &str| {
            let mut asked = NetworkOptions::default();
            change(&mut asked);
            let status = options(asked).expect_err(field);
            assert!(status.message().contains(field), "{}", status.message());
        };
        check(|o| o.mode = "container:".to_owned(), "network mode");
        check(|o| o.ipv4_address = "1.2.3".to_owned(), "ipv4_address");
        check(|o| o.mac_address = "02:00".to_owned(), "mac_address");
        check(|o| o.mac_address = "01:00:00:00:00:00".to_owned(), "multicast");
        check(|o| o.dns_servers = vec!["x".to_owned()], "dns_servers");
        check(|o| o.exposed_ports = vec!["0".to_owned()], "exposed port");
        check(|o| o.ports = vec![PortMapping::default()], "container_port");
        check(|o| o.ports = vec![PortMapping { container_port: 70_000, ..PortMapping::default() }], "70000");
    }
}
