//! Who holds what: one slot per container, the addresses, the ports. In memory; the records are its copy on disk.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv4Net};
use ross_types::{ContainerId, ErrorKind};

use crate::Error;
use crate::ipam::AddressPool;
use crate::model::{Endpoint, EndpointRecord, PortMapping, PublishedPort};
use crate::ports::PortLedger;

/// A container's endpoint with what only this process holds of it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) record: EndpointRecord,
    /// One bound socket for each published port; none yet for a lease of an earlier process.
    pub(crate) sockets: Vec<OwnedFd>,
}

#[derive(Debug)]
enum Slot {
    /// Being acquired, released or looked after by another thread.
    Busy,
    Held(Box<Lease>),
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<ContainerId, Slot>,
    addresses: AddressPool,
    ports: PortLedger,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    settled: Condvar,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a lease of an earlier process.
    pub(crate) fn restore(&self, record: EndpointRecord) {
        let mut state = self.state();
        if let Some(address) = own_address(&record) {
            state.addresses.restore(address);
        }
        for port in &record.endpoint.ports {
            state.ports.restore(port, &record.container);
        }
        let container = record.container.clone();
        state.slots.insert(container, Slot::Held(Box::new(Lease { record, sockets: Vec::new() })));
    }

    /// Opens a slot for `container`, which must have none.
    pub(crate) fn open(&self, container: &ContainerId) -> Result<(), Error> {
        let mut state = self.state();
        if state.slots.contains_key(container) {
            let text = format!("container {} has a network endpoint already", container.short());
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        state.slots.insert(container.clone(), Slot::Busy);
        Ok(())
    }

    /// Takes the lease out of its slot to work on it; `None` when there is none. Waits while another thread has it.
    pub(crate) fn take_out(&self, container: &ContainerId) -> Option<Box<Lease>> {
        let mut state = self.state();
        loop {
            match state.slots.get_mut(container) {
                None => return None,
                Some(slot @ Slot::Held(_)) => match std::mem::replace(slot, Slot::Busy) {
                    Slot::Held(lease) => return Some(lease),
                    Slot::Busy => {}
                },
                Some(Slot::Busy) => {
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Puts a lease into the slot of its container.
    pub(crate) fn put_back(&self, lease: Box<Lease>) {
        self.state().slots.insert(lease.record.container.clone(), Slot::Held(lease));
        self.settled.notify_all();
    }

    /// Ends a lease: address and ports are free again, and the slot is gone.
    pub(crate) fn close(&self, lease: Box<Lease>) {
        let record = &lease.record;
        let mut state = self.state();
        if let Some(address) = own_address(record) {
            state.addresses.give_back(address);
        }
        state.ports.give_back(&record.container);
        state.slots.remove(&record.container);
        drop(state);
        self.settled.notify_all();
    }

    pub(crate) fn lease_address(&self, subnet: Ipv4Net, fixed: Option<Ipv4Addr>) -> Result<Ipv4Addr, Error> {
        let pool = &mut self.state().addresses;
        match fixed {
            Some(address) => pool.take(subnet, address).map(|()| address),
            None => pool.take_next(subnet),
        }
    }

    /// For an address that never came into a lease.
    pub(crate) fn give_back_address(&self, address: Ipv4Addr) {
        self.state().addresses.give_back(address);
    }

    pub(crate) fn lease_port(
        &self,
        mapping: &PortMapping,
        container: &ContainerId,
    ) -> Result<(PublishedPort, OwnedFd), Error> {
        self.state().ports.take(mapping, container)
    }

    /// The endpoint of a container that has one now.
    pub(crate) fn endpoint(&self, container: &ContainerId) -> Option<Endpoint> {
        match self.state().slots.get(container)? {
            Slot::Held(lease) => Some(lease.record.endpoint.clone()),
            Slot::Busy => None,
        }
    }

    /// The records of all leases that no thread is working on.
    pub(crate) fn records(&self) -> Vec<EndpointRecord> {
        let state = self.state();
        let held = state.slots.values().filter_map(|slot| match slot {
            Slot::Held(lease) => Some(lease.record.clone()),
            Slot::Busy => None,
        });
        held.collect()
    }
}

/// The address that this record leases; the address of a container whose namespace is shared is not its own.
pub(crate) fn own_address(record: &EndpointRecord) -> Option<Ipv4Addr> {
    match (&record.mode, record.endpoint.address.map(|address: IpNet| address.addr())) {
        (crate::NetworkMode::Bridge, Some(IpAddr::V4(address))) => Some(address),
        _ => None,
    }
}
