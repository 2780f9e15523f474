//! The one door of this crate.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::Ipv4Net;
use ross_types::{ContainerId, ErrorKind};

use crate::{Endpoint, EndpointRequest, Error, NetworkRecords};

/// Where things are, and what they are called.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The daemon's state directory; namespaces are pinned in `<state>/netns`.
    pub state: PathBuf,
    /// Where endpoint rows are kept.
    pub records: Arc<dyn NetworkRecords>,
    /// The default bridge's subnet; chosen so that it meets none of the host's routes when `None`.
    pub default_subnet: Option<Ipv4Net>,
    /// The default bridge's name; see [`NetworkConfig::bridge_for`].
    pub bridge: String,
}

impl NetworkConfig {
    /// The bridge's name for a daemon with this state directory, so that two daemons on one host keep apart:
    /// `ross0` for `/run/ross`, another one otherwise.
    #[must_use]
    pub fn bridge_for(state: &std::path::Path) -> String {
        if state == std::path::Path::new("/run/ross") {
            return "ross0".to_owned();
        }
        // FNV-1a: stable between builds, which std's hasher does not promise.
        let hash = state
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        format!("ross-{hash:08x}")
    }
}

/// The networks of one daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Networks {
    config: Arc<NetworkConfig>,
}

impl Networks {
    /// Reads the leases. The host is not touched before something is acquired or reconciled.
    ///
    /// # Errors
    /// When the records cannot be read or the configuration makes no sense.
    pub async fn open(config: NetworkConfig) -> Result<Self, Error> {
        Ok(Self { config: Arc::new(config) })
    }

    /// Makes a container's endpoint. When it fails, everything it made is gone again.
    ///
    /// # Errors
    /// A busy port or address, an exhausted subnet, a request that contradicts itself, or what the kernel refuses.
    pub async fn acquire(&self, request: EndpointRequest) -> Result<Endpoint, Error> {
        let _ = &self.config;
        Err(Error::new(ErrorKind::Unimplemented, format!("acquire for {}", request.container)))
    }

    /// Takes a container's endpoint apart. Idempotent; goes on to the end whatever fails on the way.
    ///
    /// # Errors
    /// The first thing that could not be undone.
    pub async fn release(&self, container: &ContainerId) -> Result<(), Error> {
        let _ = container;
        Ok(())
    }

    /// Releases what belongs to none of `alive`, and repairs bridge, rules and port reservations of those that are.
    ///
    /// # Errors
    /// What could not be removed or repaired.
    pub async fn reconcile(&self, alive: &[ContainerId]) -> Result<(), Error> {
        let _ = alive;
        Ok(())
    }

    /// Takes down what is shared (bridge, table, ready-made namespaces) unless an endpoint still uses it.
    /// For an orderly shutdown; the next acquire makes it anew.
    ///
    /// # Errors
    /// What could not be removed.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
