//! How a container is connected: as asked for, and as it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// The network a container is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum NetworkMode {
    /// The default bridge.
    #[default]
    Bridge,
    /// A namespace with nothing but loopback.
    None,
    /// The host's.
    Host,
    /// That of another container: name or id.
    Container(String),
    /// A network by name.
    Named(String),
    /// A namespace by absolute path.
    Path(PathBuf),
}

impl FromStr for NetworkMode {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let invalid = |reason: &str| EngineError::invalid("network mode", format!("`{text}`: {reason}"));
        Ok(match text {
            "" | "default" | "bridge" => Self::Bridge,
            "none" => Self::None,
            "host" => Self::Host,
            other => {
                if let Some(name) = other.strip_prefix("container:") {
                    if name.is_empty() {
                        return Err(invalid("the container's name is missing"));
                    }
                    Self::Container(name.to_owned())
                } else if let Some(path) = other.strip_prefix("ns:") {
                    if !path.starts_with('/') {
                        return Err(invalid("the namespace's path must be absolute"));
                    }
                    Self::Path(path.into())
                } else {
                    Self::Named(other.to_owned())
                }
            }
        })
    }
}

impl TryFrom<String> for NetworkMode {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        text.parse()
    }
}

impl From<NetworkMode> for String {
    fn from(mode: NetworkMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => out.write_str("bridge"),
            Self::None => out.write_str("none"),
            Self::Host => out.write_str("host"),
            Self::Container(name) => write!(out, "container:{name}"),
            Self::Named(name) => out.write_str(name),
            Self::Path(path) => write!(out, "ns:{}", path.display()),
        }
    }
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The word people type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl FromStr for Protocol {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text.to_ascii_lowercase().as_str() {
            "" | "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            other => Err(EngineError::invalid("protocol", format!("`{other}` is none of tcp, udp"))),
        }
    }
}

/// `PORT[/PROTOCOL]`, a port the image or the user says is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortSpec {
    /// In the container.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

impl FromStr for PortSpec {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
        let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(|| {
            EngineError::invalid(
                "exposed port",
                format!("`{text}` is not PORT[/PROTOCOL] with a port of 1 to 65535"),
            )
        })?;
        Ok(Self { port, protocol: protocol.parse()? })
    }
}

impl TryFrom<String> for PortSpec {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        text.parse()
    }
}

impl From<PortSpec> for String {
    fn from(spec: PortSpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.port, self.protocol.as_str())
    }
}

/// A port of the container on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// All addresses when absent.
    pub host_ip: Option<IpAddr>,
    /// An ephemeral one when absent.
    pub host_port: Option<u16>,
    /// In the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// An address in /etc/hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAddress {
    /// This one.
    Address(IpAddr),
    /// The host as seen from the container.
    HostGateway,
}

/// A further name in /etc/hosts: `host:ip` or `host=ip`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub address: HostAddress,
}

impl FromStr for ExtraHost {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let invalid =
            || EngineError::invalid("extra host", format!("`{text}` is not HOST:IP or HOST:host-gateway"));
        let at = text.find(['=', ':']).ok_or_else(invalid)?;
        let (name, address) = (&text[..at], &text[at + 1..]);
        let name_ok = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if !name_ok {
            return Err(invalid());
        }
        let address = match address {
            "host-gateway" => HostAddress::HostGateway,
            ip => {
                let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
                HostAddress::Address(bare.parse().map_err(|_| invalid())?)
            }
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Address(ip) => write!(out, "{}:{ip}", self.name),
            HostAddress::HostGateway => write!(out, "{}:host-gateway", self.name),
        }
    }
}

/// How a container is to be connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkOptions {
    /// To what.
    pub mode: NetworkMode,
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Ports that are served.
    pub exposed_ports: Vec<PortSpec>,
    /// Publish every exposed port on an ephemeral one.
    pub publish_all: bool,
    /// Further names on its network.
    pub aliases: Vec<String>,
    /// A fixed address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A fixed address.
    pub ipv6_address: Option<std::net::Ipv6Addr>,
    /// A fixed hardware address.
    pub mac_address: Option<[u8; 6]>,
    /// Name servers instead of the host's.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains instead of the host's.
    pub dns_search: Vec<String>,
    /// Resolver options instead of the host's.
    pub dns_options: Vec<String>,
}

/// How a container is connected now; empty but for the mode while it does not run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStatus {
    /// To what.
    pub mode: NetworkMode,
    /// Its namespace; none in host mode.
    pub namespace: Option<PathBuf>,
    /// Its address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// Length of its subnet's prefix.
    pub ipv4_prefix_len: u8,
    /// Its way out.
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// Its hardware address.
    pub mac_address: Option<[u8; 6]>,
    /// Published ports, ephemeral ones resolved.
    pub ports: Vec<PortMapping>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_round_trip() {
        for text in ["bridge", "none", "host", "container:web", "mynet", "ns:/run/netns/x"] {
            assert_eq!(text.parse::<NetworkMode>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<NetworkMode>().unwrap(), NetworkMode::Bridge);
        for bad in ["container:", "ns:relative"] {
            assert!(bad.parse::<NetworkMode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn extra_hosts() {
        let check =
            |text: &str, shown: &str| assert_eq!(text.parse::<ExtraHost>().unwrap().to_string(), shown);
        check("db:10.0.0.1", "db:10.0.0.1");
        check("db=10.0.0.1", "db:10.0.0.1");
        check("me:host-gateway", "me:host-gateway");
        check("six:[::1]", "six:::1");
        check("six:::1", "six:::1");
        for bad in ["", "db", "db:", ":1.2.3.4", "a b:1.2.3.4", "db:1.2.3", "x\n:1.2.3.4"] {
            assert!(bad.parse::<ExtraHost>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn port_specs() {
        assert_eq!("80".parse::<PortSpec>().unwrap().to_string(), "80/tcp");
        assert_eq!("53/UDP".parse::<PortSpec>().unwrap().to_string(), "53/udp");
        for bad in ["", "0", "65536", "80/sctp", "80-90"] {
            assert!(bad.parse::<PortSpec>().is_err(), "{bad}");
        }
    }
}
