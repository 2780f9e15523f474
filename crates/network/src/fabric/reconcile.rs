//! Bringing host and records back together after a restart, a crash or somebody else's cleaning up.

use std::collections::HashSet;
use std::fs;
use std::io;

use ross_types::ContainerId;

use super::Fabric;
use crate::model::{EndpointRecord, NetworkMode};
use crate::{Error, namespace, ports, veth};

impl Fabric {
    pub(crate) fn reconcile(&self, alive: &[ContainerId]) -> Result<(), Error> {
        let _alone = self.enter_alone();
        let alive: HashSet<&ContainerId> = alive.iter().collect();
        let mut failures = Vec::new();
        for record in self.ledger.records().iter().filter(|record| !alive.contains(&record.container)) {
            failures.extend(self.release_one(&record.container).err());
        }
        let records = self.ledger.records();
        failures.extend(self.remove_stray_pins(&records).err());
        failures.extend(self.remove_stray_links(&records).err());
        self.drain();
        failures.extend(self.remove_retired().err());
        failures.extend(self.repair(&records).err());
        Error::unless_none("reconcile networks", failures)
    }

    /// For an orderly end: what is shared goes when nobody uses it.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let _alone = self.enter_alone();
        self.drain();
        let mut failures: Vec<Error> = self.remove_retired().err().into_iter().collect();
        if self.ledger.records().iter().all(|record| record.mode != NetworkMode::Bridge) {
            failures.extend(self.remove_bridge().err());
        }
        Error::unless_none("close networks", failures)
    }

    fn repair(&self, records: &[EndpointRecord]) -> Result<(), Error> {
        if records.iter().all(|record| record.mode != NetworkMode::Bridge) {
            return self.remove_bridge();
        }
        let mut host = Self::host_socket()?;
        *self.known_bridge() = None;
        let repaired = self.bridge(&mut host).map(drop);
        for record in records {
            self.hold_ports(&record.container);
        }
        repaired
    }

    /// Binds the ports of a lease from an earlier process again. One that was taken meanwhile stays published.
    fn hold_ports(&self, container: &ContainerId) {
        let Some(mut lease) = self.ledger.take_out(container) else { return };
        if lease.sockets.is_empty() {
            for port in &lease.record.endpoint.ports {
                match ports::reserve(port) {
                    Ok(socket) => lease.sockets.push(socket),
                    Err(error) => {
                        tracing::warn!(container = container.short(), %error, "cannot hold a published port");
                    }
                }
            }
        }
        self.ledger.put_back(lease);
    }

    fn remove_stray_pins(&self, records: &[EndpointRecord]) -> Result<(), Error> {
        let pins = self.pins();
        let failed = |error| Error::io(format!("list {}", pins.display()), error);
        let entries = match fs::read_dir(&pins) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(failed)?,
        };
        let mut failures = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if !records.iter().any(|record| record.endpoint.netns.as_ref() == Some(&path)) {
                failures.extend(namespace::unpin(&path).err());
            }
        }
        Error::unless_none("remove namespaces of nobody", failures)
    }

    /// Removes links that are named like ours, sit on our bridge and belong to no lease.
    fn remove_stray_links(&self, records: &[EndpointRecord]) -> Result<(), Error> {
        let mut host = Self::host_socket()?;
        let links = host.links().map_err(|error| Error::io("list links", error))?;
        let Some(bridge) = links.iter().find(|link| link.name == self.config.bridge) else { return Ok(()) };
        let leased: HashSet<&str> = records.iter().filter_map(|record| record.host_link.as_deref()).collect();
        let stray = links.iter().filter(|link| {
            link.controller == Some(bridge.index)
                && link.name.starts_with(veth::PREFIX)
                && !leased.contains(link.name.as_str())
        });
        let stray: Vec<String> = stray.map(|link| link.name.clone()).collect();
        // The kernel may be removing them just now, with a namespace whose pin went a moment ago.
        if stray.is_empty() { Ok(()) } else { veth::remove_all(&mut host, &stray, self.retired_group) }
    }
}
