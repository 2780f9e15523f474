//! What a container asks of the network, and what it gets.
//!
//! These are domain types: plain values without I/O. [`EndpointRecord`] is also the row the engine keeps; its
//! serde form is the disk format, so fields are only ever added, with defaults.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::IpNet;
use ross_types::{ContainerId, ErrorKind};
use serde::{Deserialize, Serialize};

/// Which network namespace a container's processes live in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A namespace of its own, linked to the default bridge.
    Bridge,
    /// A namespace of its own with nothing but `lo`.
    None,
    /// The host's namespace.
    Host,
    /// The namespace of another container, which must have an endpoint now.
    Container(ContainerId),
}

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The lower-case name, as in `8080/tcp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One port to publish. A range is as many mappings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// The host address to publish on; all of the host's when `None` or unspecified.
    pub host_ip: Option<IpAddr>,
    /// The port on the host; a free one of 32768 to 60999 when `None`.
    pub host_port: Option<u16>,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol of both.
    pub protocol: Protocol,
}

/// A port that is published, with what was left open now decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host address; `0.0.0.0` for all IPv4 addresses of the host.
    pub host_ip: IpAddr,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol of both.
    pub protocol: Protocol,
}

/// What a user said about name resolution. Each list that is not empty replaces the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// Addresses of name servers.
    pub servers: Vec<IpAddr>,
    /// Search domains; the single entry `.` stands for none at all.
    pub search: Vec<String>,
    /// Options of resolv.conf(5), such as `ndots:2`.
    pub options: Vec<String>,
}

/// The address of an extra line in `/etc/hosts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// This address.
    Ip(IpAddr),
    /// `host-gateway`: whatever address the container reaches the host by.
    HostGateway,
}

/// All that [`Networks::acquire`](crate::Networks::acquire) needs to know.
#[derive(Debug, Clone)]
pub struct EndpointRequest {
    /// The container that will own the endpoint.
    pub container: ContainerId,
    /// Its name, written beside the hostname into `/etc/hosts`; may be empty.
    pub name: String,
    /// Its hostname, perhaps with a domain; may be empty.
    pub hostname: String,
    /// Which namespace it gets.
    pub mode: NetworkMode,
    /// Ports to publish (mode bridge; ignored in modes none and host, refused in mode container).
    pub ports: Vec<PortMapping>,
    /// A fixed address on the bridge's subnet (mode bridge).
    pub ip: Option<Ipv4Addr>,
    /// A fixed link-layer address (mode bridge).
    pub mac: Option<[u8; 6]>,
    /// Name resolution.
    pub dns: DnsOptions,
    /// Extra lines of `/etc/hosts`: name, address.
    pub extra_hosts: Vec<(String, HostAddress)>,
}

/// A container's place on the network, ready before its first process starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where the namespace is pinned; `None` is the host's own.
    pub netns: Option<PathBuf>,
    /// Address and prefix on the bridge.
    pub address: Option<IpNet>,
    /// The default route.
    pub gateway: Option<IpAddr>,
    /// The link-layer address of the interface.
    pub mac: Option<[u8; 6]>,
    /// Published ports, in the order asked for.
    pub ports: Vec<PublishedPort>,
    /// The text of `/etc/hosts`.
    pub hosts_file: String,
    /// The text of `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// The interface's name inside the namespace.
    pub interface: Option<String>,
}

/// The row that outlives a restart: an endpoint, and what must be undone when it goes. Rows are the address leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The owner.
    pub container: ContainerId,
    /// The mode it was acquired in.
    pub mode: NetworkMode,
    /// What it was given.
    pub endpoint: Endpoint,
    /// The host's end of its veth pair.
    #[serde(default)]
    pub host_link: Option<String>,
}

/// Where endpoint rows are kept. The engine implements it over its database.
///
/// Calls block and come from blocking threads. A row that was put is durable enough to be listed after the
/// daemon was killed; `put_endpoint` replaces the row of the same container.
pub trait NetworkRecords: Send + Sync + fmt::Debug {
    /// Inserts or replaces the row of `record.container`.
    ///
    /// # Errors
    /// When the row could not be written.
    fn put_endpoint(&self, record: &EndpointRecord) -> Result<(), RecordsError>;

    /// Removes the row of `container`; no row is no error.
    ///
    /// # Errors
    /// When the row could not be removed.
    fn remove_endpoint(&self, container: &ContainerId) -> Result<(), RecordsError>;

    /// All rows.
    ///
    /// # Errors
    /// When the rows could not be read.
    fn endpoints(&self) -> Result<Vec<EndpointRecord>, RecordsError>;
}

/// The record store failed.
#[derive(Debug, thiserror::Error)]
#[error("network records")]
pub struct RecordsError {
    kind: ErrorKind,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl RecordsError {
    /// Wraps the store's own error.
    #[must_use]
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// What a caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
