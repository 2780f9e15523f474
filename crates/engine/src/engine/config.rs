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
    /// Open files that a container's processes may have unless it says otherwise; what the daemon itself may have
    /// when absent.
    pub open_files: Option<OpenFiles>,
}

/// A limit on open files (RLIMIT_NOFILE, getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// What holds.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}
