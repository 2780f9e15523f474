//! The one door of this crate.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::Ipv4Net;
use ross_types::{ContainerId, ErrorKind};

use crate::fabric::{Fabric, stable_hash};
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
        let hash = stable_hash(state.as_os_str().as_encoded_bytes());
        format!("ross-{hash:08x}")
    }
}

/// The networks of one daemon. Cheap to clone.
///
/// Each operation is one blocking pass on a thread of tokio's blocking pool. A future that is dropped does not
/// stop it: whoever drops one of [`Networks::acquire`] releases the container, which waits for the pass to end.
#[derive(Debug, Clone)]
pub struct Networks {
    fabric: Arc<Fabric>,
}

impl Networks {
    /// Reads the leases. The host is not touched before something is acquired or reconciled.
    ///
    /// # Errors
    /// When the records cannot be read or the configuration makes no sense.
    pub async fn open(config: NetworkConfig) -> Result<Self, Error> {
        let fabric = blocking(move || Fabric::open(config)).await?;
        Ok(Self { fabric: Arc::new(fabric) })
    }

    /// Makes a container's endpoint. When it fails, everything it made is gone again.
    ///
    /// # Errors
    /// A busy port or address, an exhausted subnet, a request that contradicts itself, or what the kernel refuses.
    pub async fn acquire(&self, request: EndpointRequest) -> Result<Endpoint, Error> {
        self.run(move |fabric| fabric.acquire(&request)).await
    }

    /// Takes a container's endpoint apart. Idempotent; goes on to the end whatever fails on the way, and may then
    /// be called again.
    ///
    /// # Errors
    /// What could not be undone.
    pub async fn release(&self, container: &ContainerId) -> Result<(), Error> {
        let container = container.clone();
        self.run(move |fabric| fabric.release(&container)).await
    }

    /// Releases what belongs to none of `alive`, and repairs bridge, rules and port reservations of those that are.
    /// `alive` includes whatever is being acquired meanwhile; best called before the first acquire.
    ///
    /// # Errors
    /// What could not be removed or repaired.
    pub async fn reconcile(&self, alive: &[ContainerId]) -> Result<(), Error> {
        let alive = alive.to_vec();
        self.run(move |fabric| fabric.reconcile(&alive)).await
    }

    /// Takes down what is shared (bridge, table, forwarding) unless an endpoint still uses it.
    /// For an orderly shutdown; the next acquire makes it anew.
    ///
    /// # Errors
    /// What could not be removed.
    pub async fn close(&self) -> Result<(), Error> {
        self.run(Fabric::close).await
    }

    /// Waits until the links of released endpoints are really gone. Release leaves that, the one slow step, to the
    /// background, where it is done for many at once.
    ///
    /// # Errors
    /// When they could not be removed.
    pub async fn settle(&self) -> Result<(), Error> {
        self.run(Fabric::remove_retired).await
    }

    /// Keeps this many namespaces made ahead from now on, so that most starts find theirs ready; none at first.
    /// They show as `rv…` links on the bridge, and end with [`Networks::close`] or with the process.
    pub fn keep_ready(&self, count: usize) {
        self.fabric.keep_ready(count);
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Fabric) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let fabric = Arc::clone(&self.fabric);
        let result = blocking(move || work(&fabric)).await;
        if self.fabric.has_retired() {
            let fabric = Arc::clone(&self.fabric);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = fabric.remove_retired() {
                    tracing::warn!(?error, "links of released endpoints are left");
                }
            });
        }
        if self.fabric.is_short() {
            let fabric = Arc::clone(&self.fabric);
            tokio::task::spawn_blocking(move || fabric.refill());
        }
        result
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |error| Error::new(ErrorKind::Internal, format!("network operation ended: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
