//! The blocking half: what [`Networks`](crate::Networks) does, on whichever thread it is called.
//!
//! Invariants: the row is written before anything is made for it; everything that is made is named in the row;
//! taking apart needs nothing but the row and may be repeated. So whatever a crash leaves, reconcile can find.

mod acquire;
mod reconcile;
mod release;
mod stock;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ipnet::Ipv4Net;
use ross_types::{ContainerId, ErrorKind};

use crate::bridge::{self, Bridge, Wanted};
use crate::firewall::{Firewall, Layout};
use crate::ledger::Ledger;
use crate::model::{EndpointRecord, NetworkMode};
use crate::netlink::route::RouteSocket;
use crate::{Error, NetworkConfig, forwarding, resolv, veth};

#[derive(Debug)]
pub(crate) struct Fabric {
    config: NetworkConfig,
    /// The alias that marks the bridge as this daemon's.
    owner: String,
    firewall: Arc<Firewall>,
    ledger: Ledger,
    /// The bridge once it was made or found by this process.
    bridge: Mutex<Option<Bridge>>,
    /// Host ends of pairs that are to be removed.
    retired: Mutex<Vec<String>>,
    /// The link group they are removed by; nobody else's, as far as a hash can tell.
    retired_group: u32,
    removing: Mutex<()>,
    stock: Mutex<Vec<stock::Ready>>,
    stock_size: AtomicUsize,
    refilling: Mutex<()>,
    /// Held shared by what works on one endpoint, alone by what looks at all of them.
    gate: RwLock<()>,
}

impl Fabric {
    pub(crate) fn open(mut config: NetworkConfig) -> Result<Self, Error> {
        check_bridge_name(&config.bridge)?;
        if let Some(subnet) = &mut config.default_subnet {
            if subnet.prefix_len() > 29 {
                let text = format!("subnet {subnet} is too small: the longest prefix is 29");
                return Err(Error::new(ErrorKind::InvalidArgument, text));
            }
            *subnet = subnet.trunc();
        }
        let ledger = Ledger::default();
        let firewall = Arc::new(Firewall::new(&config.bridge));
        for record in config.records.endpoints()? {
            firewall.remember(release::elements_of(&record));
            ledger.restore(record);
        }
        // An alias has at most 255 bytes (IFALIASZ).
        let state = config.state.display().to_string();
        let owner = match state.len() {
            ..=200 => format!("ross {state}"),
            _ => format!("ross {:08x}", stable_hash(state.as_bytes())),
        };
        Ok(Self {
            retired_group: 0x7200_0000 | stable_hash(owner.as_bytes()) >> 8,
            config,
            owner,
            firewall,
            ledger,
            bridge: Mutex::default(),
            retired: Mutex::default(),
            removing: Mutex::default(),
            stock: Mutex::default(),
            stock_size: AtomicUsize::new(0),
            refilling: Mutex::default(),
            gate: RwLock::default(),
        })
    }

    fn pins(&self) -> PathBuf {
        self.config.state.join("netns")
    }

    fn pin_of(&self, container: &ContainerId) -> PathBuf {
        self.pins().join(container.as_str())
    }

    fn make_pins_folder(&self) -> Result<(), Error> {
        let pins = self.pins();
        fs::create_dir_all(&pins).map_err(|error| Error::io(format!("create {}", pins.display()), error))
    }

    fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_bridge(&self) -> MutexGuard<'_, Option<Bridge>> {
        self.bridge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host_socket() -> Result<RouteSocket, Error> {
        RouteSocket::open().map_err(|error| Error::io("open a netlink socket", error))
    }

    /// The bridge with all that goes with it, made on first use and again when somebody removed it.
    fn bridge(&self, host: &mut RouteSocket) -> Result<Bridge, Error> {
        let mut known = self.known_bridge();
        if let Some(bridge) = known.as_ref() {
            let link = host.link(&bridge.name).map_err(|error| Error::io("look up the bridge", error))?;
            if link.is_some_and(|link| link.index == bridge.index) {
                return Ok(bridge.clone());
            }
        }
        *known = None;
        match self.make_bridge(host) {
            Ok(bridge) => Ok(known.insert(bridge).clone()),
            Err(error) => {
                // A bridge without its rules would be open to everybody.
                if self.ledger.records().iter().all(|record| record.mode != NetworkMode::Bridge)
                    && let Err(failure) = self.undo_bridge(host, Firewall::uninstall_if_ours)
                {
                    tracing::warn!(?failure, "left behind by a bridge that could not be made");
                }
                Err(error)
            }
        }
    }

    /// Makes or repairs bridge, forwarding and table, and links the ends of living pairs to the bridge.
    fn make_bridge(&self, host: &mut RouteSocket) -> Result<Bridge, Error> {
        let records = self.ledger.records();
        let name_servers: Vec<IpAddr> = resolv::servers(&resolv::of_host()).collect();
        let wanted = Wanted {
            name: &self.config.bridge,
            owner: &self.owner,
            configured: self.config.default_subnet,
            leased: records.iter().find_map(leased_subnet),
            name_servers: &name_servers,
        };
        self.make_pins_folder()?;
        let bridge = bridge::ensure(host, &wanted)?;
        let guarded = forwarding::guarded(&self.config.state, host, &bridge.name)?;
        // The rules come before the first packet: nothing is linked to a new bridge, and nothing forwarded, yet.
        self.firewall.install(Layout { bridge: bridge.name.clone(), subnet: bridge.subnet, guarded })?;
        forwarding::enable()?;
        for name in records.iter().filter_map(|record| record.host_link.as_deref()) {
            // Its container may have gone with it.
            if let Err(error) = veth::attach(host, &bridge, name) {
                tracing::warn!(%error, "a container is cut off");
            }
        }
        Ok(bridge)
    }

    /// Removes table and bridge, and turns forwarding off where ross turned it on.
    fn remove_bridge(&self) -> Result<(), Error> {
        let mut known = self.known_bridge();
        let mut host = Self::host_socket()?;
        let name = &self.config.bridge;
        let present = host.link(name).map_err(|error| Error::io("look up the bridge", error))?;
        let ours = present.is_some_and(|link| link.is_bridge && link.alias == self.owner);
        if !ours && known.is_none() {
            return Ok(());
        }
        *known = None;
        self.undo_bridge(&mut host, Firewall::uninstall)
    }

    /// The bridge goes last, and stays while rules are left: by it a later process knows that there is something to undo.
    fn undo_bridge(
        &self,
        host: &mut RouteSocket,
        uninstall: fn(&Firewall) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let name = &self.config.bridge;
        let restored = forwarding::restore(&self.config.state, host, name);
        let removed = uninstall(&self.firewall).and_then(|()| bridge::remove(host, name, &self.owner));
        let failures = [restored.err(), removed.err()].into_iter().flatten().collect();
        Error::unless_none("take down the default bridge", failures)
    }
}

fn leased_subnet(record: &EndpointRecord) -> Option<Ipv4Net> {
    match (&record.mode, record.endpoint.address) {
        (NetworkMode::Bridge, Some(ipnet::IpNet::V4(address))) => Some(address.trunc()),
        _ => None,
    }
}

/// FNV-1a: stable between builds, which the standard library's hashers do not promise.
pub(crate) fn stable_hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The name goes into paths and into the firewall's text.
fn check_bridge_name(name: &str) -> Result<(), Error> {
    const IFNAMSIZ: usize = 16;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() >= IFNAMSIZ || !name.bytes().all(allowed) || name.starts_with('-') {
        let text = format!("bridge name {name:?} is not 1 to 15 of [A-Za-z0-9_-], the first no dash");
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Ok(())
}
