//! Between a container's network options and ross-network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ross_network::{DnsOptions, Endpoint, EndpointRequest, IpNet};

use crate::container::Registry;
use crate::db::ContainerRow;
use crate::error::{EngineError, Result};
use crate::model::{
    ContainerConfig, HostAddress, NetworkMode, NetworkOptions, NetworkStatus, PortMapping, PortSpec, Protocol,
};

/// What to ask of the network for a container.
pub(crate) fn request(
    row: &ContainerRow,
    config: &ContainerConfig,
    hostname: &str,
    registry: &Registry,
) -> Result<EndpointRequest> {
    let options = &config.network;
    let mode = match &options.mode {
        NetworkMode::Bridge => ross_network::NetworkMode::Bridge,
        NetworkMode::None => ross_network::NetworkMode::None,
        // A namespace given by path is somebody else's: nothing is made in it, and names are the host's.
        NetworkMode::Host | NetworkMode::Path(_) => ross_network::NetworkMode::Host,
        NetworkMode::Container(name) => {
            let handle = registry.find(name)?;
            if !handle.view().run.state.is_running() {
                return Err(EngineError::not_running(name));
            }
            ross_network::NetworkMode::Container(handle.id)
        }
        NetworkMode::Named(name) => {
            let text = format!("network {name} not found");
            return Err(EngineError::new(ross_types::ErrorKind::NotFound, name, text));
        }
    };
    let full_name = match config.domainname.as_str() {
        "" => hostname.to_owned(),
        domain => format!("{hostname}.{domain}"),
    };
    let address = |address: &HostAddress| match address {
        HostAddress::Address(ip) => ross_network::HostAddress::Ip(*ip),
        HostAddress::HostGateway => ross_network::HostAddress::HostGateway,
    };
    let bridged = options.mode == NetworkMode::Bridge;
    Ok(EndpointRequest {
        container: row.id.clone(),
        name: row.name.to_string(),
        hostname: full_name,
        mode,
        ports: if bridged { ports(options) } else { Vec::new() },
        ip: options.ipv4_address.filter(|_| bridged),
        mac: options.mac_address.filter(|_| bridged),
        dns: DnsOptions {
            servers: options.dns_servers.clone(),
            search: options.dns_search.clone(),
            options: options.dns_options.clone(),
        },
        extra_hosts: config
            .extra_hosts
            .iter()
            .map(|host| (host.name.clone(), address(&host.address)))
            .collect(),
    })
}

fn ports(options: &NetworkOptions) -> Vec<ross_network::PortMapping> {
    let protocol = |protocol: Protocol| match protocol {
        Protocol::Tcp => ross_network::Protocol::Tcp,
        Protocol::Udp => ross_network::Protocol::Udp,
    };
    let mut ports: Vec<ross_network::PortMapping> = options
        .ports
        .iter()
        .map(|port| ross_network::PortMapping {
            host_ip: port.host_ip,
            host_port: port.host_port,
            container_port: port.container_port,
            protocol: protocol(port.protocol),
        })
        .collect();
    if options.publish_all {
        let published: BTreeSet<PortSpec> = options
            .ports
            .iter()
            .map(|port| PortSpec { port: port.container_port, protocol: port.protocol })
            .collect();
        let missing = options.exposed_ports.iter().filter(|exposed| !published.contains(exposed));
        ports.extend(missing.map(|exposed| ross_network::PortMapping {
            host_ip: None,
            host_port: None,
            container_port: exposed.port,
            protocol: protocol(exposed.protocol),
        }));
    }
    ports
}

/// How it is connected, from what it was given.
pub(crate) fn status(mode: &NetworkMode, endpoint: &Endpoint) -> NetworkStatus {
    let protocol = |protocol: ross_network::Protocol| match protocol {
        ross_network::Protocol::Tcp => Protocol::Tcp,
        ross_network::Protocol::Udp => Protocol::Udp,
    };
    let address = match endpoint.address {
        Some(IpNet::V4(net)) => Some(net),
        _ => None,
    };
    NetworkStatus {
        mode: mode.clone(),
        namespace: match mode {
            NetworkMode::Path(path) => Some(path.clone()),
            _ => endpoint.netns.clone(),
        },
        ipv4_address: address.map(|net| net.addr()),
        ipv4_prefix_len: address.map_or(0, |net| net.prefix_len()),
        ipv4_gateway: match endpoint.gateway {
            Some(IpAddr::V4(gateway)) => Some(gateway),
            _ => None,
        },
        mac_address: endpoint.mac,
        ports: endpoint
            .ports
            .iter()
            .map(|port| PortMapping {
                host_ip: Some(port.host_ip),
                host_port: Some(port.host_port),
                container_port: port.container_port,
                protocol: protocol(port.protocol),
            })
            .collect(),
    }
}

/// A failure of the network, said of a container.
pub(crate) fn failed(name: &str, error: ross_network::Error) -> EngineError {
    EngineError::new(error.kind(), name, "connect it to its network").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_all_adds_what_is_exposed_and_not_published() {
        let options = NetworkOptions {
            publish_all: true,
            exposed_ports: ["80/tcp", "53/udp"].map(|port| port.parse().unwrap()).into(),
            ports: vec![PortMapping {
                host_ip: None,
                host_port: Some(8080),
                container_port: 80,
                protocol: Protocol::Tcp,
            }],
            ..NetworkOptions::default()
        };
        let ports = ports(&options);
        assert_eq!(ports.len(), 2);
        assert_eq!((ports[0].host_port, ports[0].container_port), (Some(8080), 80));
        assert_eq!((ports[1].host_port, ports[1].container_port), (None, 53));
    }
}
