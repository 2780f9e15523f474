//! What an engine is opened with.

use std::path::PathBuf;

use ross_image::RegistryConfig;
use ross_network::Ipv4Net;

/// Where the engine keeps its things and what it starts.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What lives through a reboot: database, images, containers, volumes.
    pub root: PathBuf,
    /// What does not: sockets, mounts, namespaces; on a tmpfs.
    pub state: PathBuf,
    /// The ross-shim binary.
    pub shim: PathBuf,
    /// How registries are reached.
    pub registries: RegistryConfig,
    /// Subnet of the default bridge; chosen when absent.
    pub default_subnet: Option<Ipv4Net>,
}
