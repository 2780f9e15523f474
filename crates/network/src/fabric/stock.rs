//! Namespaces made ahead: linked to the bridge, with an address, so that a start need not wait for them.
//!
//! Nothing but this process keeps them: they are not pinned and not recorded, so a crash removes them by itself.
//! The stock is filled in the background after something was acquired from the bridge, never before.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::Fabric;
use crate::bridge::Bridge;
use crate::namespace::Namespace;
use crate::{Error, ipam, veth};

#[derive(Debug)]
pub(super) struct Ready {
    pub(super) namespace: Namespace,
    pub(super) host_link: String,
    pub(super) address: Ipv4Addr,
    /// The bridge that it is linked to.
    bridge: u32,
}

impl Fabric {
    fn stock(&self) -> MutexGuard<'_, Vec<Ready>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_ready(&self, count: usize) {
        self.stock_size.store(count, Ordering::Relaxed);
    }

    /// Whether [`Fabric::refill`] has something to do.
    pub(crate) fn is_short(&self) -> bool {
        let count = self.stock().len();
        count < self.stock_size.load(Ordering::Relaxed) && self.known_bridge().is_some()
    }

    /// One that is linked to `bridge` as it is now.
    pub(super) fn take_ready(&self, bridge: &Bridge) -> Option<Ready> {
        loop {
            // The guard must not outlive this statement: discarding takes other locks.
            let ready = self.stock().pop()?;
            if ready.bridge == bridge.index {
                return Some(ready);
            }
            self.discard(ready);
        }
    }

    /// Leases `address` for somebody who wants this very one, also when the stock has it or is about to.
    pub(super) fn lease_fixed(&self, bridge: &Bridge, address: Ipv4Addr) -> Result<(), Error> {
        let _no_refill = self.refilling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stock = self.stock();
        let found = stock.iter().position(|ready| ready.address == address).map(|at| stock.remove(at));
        drop(stock);
        if let Some(ready) = found {
            self.discard(ready);
        }
        self.ledger.lease_address(bridge.subnet, Some(address))?;
        // Who had it last may still answer for it until its link is gone. What is given out in order has had time.
        self.remove_retired().inspect_err(|_| self.ledger.give_back_address(address))
    }

    /// Fills the stock. What fails is left to the next acquire, which will say so.
    pub(crate) fn refill(&self) {
        let _shared = self.enter();
        let Ok(_one_at_a_time) = self.refilling.try_lock() else { return };
        while self.is_short() {
            let Some(bridge) = self.known_bridge().clone() else { return };
            match self.prepare(&bridge) {
                Ok(ready) => self.stock().push(ready),
                Err(error) => {
                    tracing::debug!(?error, "no namespace made ahead");
                    return;
                }
            }
        }
    }

    fn prepare(&self, bridge: &Bridge) -> Result<Ready, Error> {
        let address = self.ledger.lease_address(bridge.subnet, None)?;
        let prepared = veth::random_name().and_then(|host_link| {
            let mut namespace = Namespace::create()?;
            let mac = ipam::mac_of(address);
            let mut host = Self::host_socket()?;
            veth::connect(&mut host, bridge, &mut namespace, &host_link, address, mac)
                .inspect_err(|_| self.retire(host_link.clone()))?;
            Ok(Ready { namespace, host_link, address, bridge: bridge.index })
        });
        prepared.inspect_err(|_| self.ledger.give_back_address(address))
    }

    /// Empties the stock.
    pub(super) fn drain(&self) {
        let stock = std::mem::take(&mut *self.stock());
        for ready in stock {
            self.discard(ready);
        }
    }

    fn discard(&self, ready: Ready) {
        self.retire(ready.host_link);
        self.ledger.give_back_address(ready.address);
    }
}
