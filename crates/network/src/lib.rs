//! Bridges, veth pairs, addresses, NAT, published ports and name files of containers.
//!
//! Knows containers only by id and name: nothing of images, processes or the database, which it reaches through
//! [`NetworkRecords`]. Everything it makes on the host is named by its own scheme (bridge, `rv…` links, one
//! nftables table, files under `<state>/netns`), so that [`Networks::reconcile`] can tell what belongs to nobody.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bridge;
mod error;
mod fabric;
mod firewall;
mod forwarding;
mod hosts;
mod ipam;
mod ledger;
mod model;
mod namespace;
mod netlink;
mod networks;
mod ports;
mod request;
mod resolv;
mod veth;

pub use error::Error;
pub use ipnet::{IpNet, Ipv4Net};
pub use model::{
    DnsOptions, Endpoint, EndpointRecord, EndpointRequest, HostAddress, NetworkMode, NetworkRecords,
    PortMapping, Protocol, PublishedPort, RecordsError,
};
pub use networks::{NetworkConfig, Networks};
