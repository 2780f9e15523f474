//! Taking an endpoint apart, however much of it there is.

use std::net::{IpAddr, SocketAddrV4};
use std::sync::{MutexGuard, PoisonError};

use ross_types::ContainerId;

use super::Fabric;
use crate::ledger::{Lease, own_address};
use crate::model::{EndpointRecord, NetworkMode, Protocol};
use crate::netlink::elements::{Element, Key};
use crate::{Error, namespace, veth};

/// The map elements that publish this endpoint's ports.
pub(super) fn elements_of(record: &EndpointRecord) -> Vec<Element> {
    let Some(address) = own_address(record) else { return Vec::new() };
    let element = |port: &crate::PublishedPort| {
        let IpAddr::V4(host_ip) = port.host_ip else { return None };
        let bound = (!host_ip.is_unspecified()).then_some(host_ip);
        let key = Key { address: bound, protocol: port.protocol, port: port.host_port };
        Some((key, SocketAddrV4::new(address, port.container_port)))
    };
    record.endpoint.ports.iter().filter_map(element).collect()
}

impl Fabric {
    pub(crate) fn release(&self, container: &ContainerId) -> Result<(), Error> {
        let _shared = self.enter();
        self.release_one(container)
    }

    pub(super) fn release_one(&self, container: &ContainerId) -> Result<(), Error> {
        let Some(mut lease) = self.ledger.take_out(container) else { return Ok(()) };
        let failures = self.dismantle(&mut lease);
        if failures.is_empty() {
            self.ledger.close(lease);
            Ok(())
        } else {
            // The lease stays, so that nobody else gets its address, and release can be tried again.
            self.ledger.put_back(lease);
            Err(Error::several(format!("release the network of container {}", container.short()), failures))
        }
    }

    /// Undoes all that the lease's record names, and then the record. Goes on to the end; returns what failed.
    pub(super) fn dismantle(&self, lease: &mut Lease) -> Vec<Error> {
        let record = &lease.record;
        let mut failures = Vec::new();
        let mut attempt = |result: Result<(), Error>| failures.extend(result.err());

        let keys: Vec<Key> = elements_of(record).into_iter().map(|(key, _)| key).collect();
        if !keys.is_empty() {
            attempt(self.firewall.withdraw(&keys));
            self.forget_flows(record);
        }
        if let Some(link) = &record.host_link {
            self.retire(link.clone());
        }
        // In the other modes the namespace is somebody else's.
        if let (NetworkMode::Bridge | NetworkMode::None, Some(pin)) = (&record.mode, &record.endpoint.netns) {
            attempt(namespace::unpin(pin));
        }
        if failures.is_empty() {
            let removed = self.config.records.remove_endpoint(&record.container);
            failures.extend(removed.err().map(Error::from));
        }
        lease.sockets.clear();
        failures
    }
}

impl Fabric {
    /// Whether links wait for [`Fabric::remove_retired`].
    pub(crate) fn has_retired(&self) -> bool {
        !self.retired_links().is_empty()
    }

    /// Removes the links of what was released before this call. Slow, and so apart from release: whoever waits for
    /// a container to go should not wait for this. A crash in between costs nothing, as the kernel removes the
    /// pair with the container's namespace.
    pub(crate) fn remove_retired(&self) -> Result<(), Error> {
        let _one_at_a_time = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let links = std::mem::take(&mut *self.retired_links());
        if links.is_empty() {
            return Ok(());
        }
        Self::host_socket()
            .and_then(|mut host| veth::remove_all(&mut host, &links, self.retired_group))
            // The next one tries again.
            .inspect_err(|_| self.retired_links().extend(links))
    }

    /// Hands a link, by its host end, to [`Fabric::remove_retired`].
    pub(super) fn retire(&self, host_link: String) {
        self.retired_links().push(host_link);
    }

    fn retired_links(&self) -> MutexGuard<'_, Vec<String>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only a client that goes on sending would notice that it failed.
    fn forget_flows(&self, record: &EndpointRecord) {
        let any_udp = record.endpoint.ports.iter().any(|port| port.protocol == Protocol::Udp);
        if let (true, Some(address)) = (any_udp, own_address(record))
            && let Err(error) = self.firewall.forget_flows_to(address)
        {
            tracing::warn!(?error, "clients of a published port may have to begin anew");
        }
    }
}
