//! Making an endpoint, or nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use ross_types::ErrorKind;

use super::Fabric;
use super::release::elements_of;
use crate::bridge::Bridge;
use crate::ledger::Lease;
use crate::model::{Endpoint, EndpointRecord, EndpointRequest, HostAddress, NetworkMode, Protocol};
use crate::namespace::Namespace;
use crate::netlink::route::RouteSocket;
use crate::{Error, hosts, ipam, request, resolv, veth};

impl Fabric {
    pub(crate) fn acquire(&self, request: &EndpointRequest) -> Result<Endpoint, Error> {
        request::check(request)?;
        let _shared = self.enter();
        self.ledger.open(&request.container)?;
        let mut lease = Box::new(Lease { record: empty_record(request), sockets: Vec::new() });
        match self.build(request, &mut lease) {
            Ok(()) => {
                let endpoint = lease.record.endpoint.clone();
                self.ledger.put_back(lease);
                Ok(endpoint)
            }
            Err(error) => {
                let failures = self.dismantle(&mut lease);
                if failures.is_empty() {
                    self.ledger.close(lease);
                } else {
                    // Kept, so that its address stays nobody's until release or reconcile gets through.
                    let failures = Error::several("undo a failed acquire", failures);
                    tracing::warn!(container = request.container.short(), failures = ?failures, "left behind");
                    self.ledger.put_back(lease);
                }
                Err(error)
            }
        }
    }

    fn build(&self, request: &EndpointRequest, lease: &mut Lease) -> Result<(), Error> {
        match &request.mode {
            NetworkMode::Host => {
                let extra = extra_hosts(request, Some(Ipv4Addr::LOCALHOST))?;
                let file = fs::read_to_string("/etc/hosts").unwrap_or_default();
                lease.record.endpoint.hosts_file = hosts::for_host_namespace(&file, &extra);
                lease.record.endpoint.resolv_conf =
                    resolv::for_host_namespace(&resolv::of_host(), &request.dns);
                self.record(lease)
            }
            NetworkMode::Container(other) => {
                let shared = self.ledger.endpoint(other).ok_or_else(|| {
                    let text = format!("container {} has no network to share: start it first", other.short());
                    Error::new(ErrorKind::FailedPrecondition, text)
                })?;
                lease.record.endpoint = Endpoint { ports: Vec::new(), ..shared };
                self.record(lease)
            }
            NetworkMode::None => {
                self.write_names(request, lease, None)?;
                self.make_pins_folder()?;
                lease.record.endpoint.netns = Some(self.pin_of(&request.container));
                self.record(lease)?;
                Namespace::create()?.pin(&self.pin_of(&request.container))
            }
            NetworkMode::Bridge => self.build_on_bridge(request, lease),
        }
    }

    fn build_on_bridge(&self, request: &EndpointRequest, lease: &mut Lease) -> Result<(), Error> {
        let mut host = Self::host_socket()?;
        let bridge = self.bridge(&mut host)?;
        let fresh_link = veth::random_name()?;
        // What is in stock has no address or link-layer address of anybody's choice.
        let any = request.ip.is_none() && request.mac.is_none();
        let ready = if any { self.take_ready(&bridge) } else { None };
        let address = match (&ready, request.ip) {
            (Some(ready), _) => ready.address,
            (None, Some(fixed)) => self.lease_fixed(&bridge, fixed).map(|()| fixed)?,
            (None, None) => self.ledger.lease_address(bridge.subnet, None)?,
        };
        // From here on the record names what is to be undone.
        let host_link = ready.as_ref().map_or(fresh_link, |ready| ready.host_link.clone());
        let mac = request.mac.unwrap_or_else(|| ipam::mac_of(address));
        let pin = self.pin_of(&request.container);
        let with_prefix = Ipv4Net::new(address, bridge.subnet.prefix_len()).map(IpNet::V4);
        lease.record.host_link = Some(host_link.clone());
        lease.record.endpoint = Endpoint {
            netns: Some(pin.clone()),
            address: Some(with_prefix.expect("the prefix is that of a subnet")),
            gateway: Some(bridge.gateway.into()),
            mac: Some(mac),
            interface: Some(veth::INSIDE.to_owned()),
            ..lease.record.endpoint.clone()
        };
        for mapping in &request.ports {
            let (port, socket) = self.ledger.lease_port(mapping, &request.container)?;
            lease.record.endpoint.ports.push(port);
            lease.sockets.push(socket);
        }
        self.write_names(request, lease, Some(&bridge))?;
        self.record(lease)?;

        let namespace = match ready {
            Some(ready) => ready.namespace,
            None => {
                let mut namespace = Namespace::create()?;
                veth::connect(&mut host, &bridge, &mut namespace, &host_link, address, mac)?;
                namespace
            }
        };
        namespace.pin(&pin)?;
        self.publish(&mut host, lease)
    }

    fn publish(&self, host: &mut RouteSocket, lease: &Lease) -> Result<(), Error> {
        let elements = elements_of(&lease.record);
        if elements.is_empty() {
            return Ok(());
        }
        self.firewall.publish(&elements)?;
        let udp = lease.record.endpoint.ports.iter().filter(|port| port.protocol == Protocol::Udp);
        let udp: Vec<u16> = udp.map(|port| port.host_port).collect();
        if !udp.is_empty() {
            let addresses = host.addresses().map_err(|error| Error::io("list addresses", error))?;
            let addresses: Vec<_> = addresses.into_iter().map(|(_, address)| address.addr()).collect();
            // Only a client that was sending before would notice.
            if let Err(error) = self.firewall.forget_flows_from_outside(&addresses, &udp) {
                tracing::warn!(?error, "clients of a published port may have to begin anew");
            }
        }
        Ok(())
    }

    fn write_names(
        &self,
        request: &EndpointRequest,
        lease: &mut Lease,
        bridge: Option<&Bridge>,
    ) -> Result<(), Error> {
        let extra = extra_hosts(request, bridge.map(|bridge| bridge.gateway))?;
        let endpoint = &mut lease.record.endpoint;
        let address = endpoint.address.map(|address| address.addr());
        endpoint.hosts_file = hosts::for_own_namespace(address, &request.hostname, &request.name, &extra);
        endpoint.resolv_conf = resolv::for_own_namespace(&resolv::of_host(), &request.dns);
        Ok(())
    }

    fn record(&self, lease: &Lease) -> Result<(), Error> {
        Ok(self.config.records.put_endpoint(&lease.record)?)
    }
}

fn empty_record(request: &EndpointRequest) -> EndpointRecord {
    EndpointRecord {
        container: request.container.clone(),
        mode: request.mode.clone(),
        endpoint: Endpoint::default(),
        host_link: None,
    }
}

fn extra_hosts(request: &EndpointRequest, gateway: Option<Ipv4Addr>) -> Result<Vec<(String, IpAddr)>, Error> {
    let resolve = |(name, address): &(String, HostAddress)| match (address, gateway) {
        (HostAddress::Ip(address), _) => Ok((name.clone(), *address)),
        (HostAddress::HostGateway, Some(gateway)) => Ok((name.clone(), gateway.into())),
        (HostAddress::HostGateway, None) => {
            let text = format!("extra host {name}: without a network there is no way to the host");
            Err(Error::new(ErrorKind::InvalidArgument, text))
        }
    };
    request.extra_hosts.iter().map(resolve).collect()
}
