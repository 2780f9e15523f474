//! Veth pairs: one end on the bridge, the other made right inside the container's namespace, in one message.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};

use ross_types::ErrorKind;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkUnspec, LinkVeth};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::Error;
use crate::bridge::Bridge;
use crate::namespace::Namespace;
use crate::netlink::route::{Change, RouteSocket};

/// The interface's name inside a container.
pub(crate) const INSIDE: &str = "eth0";
/// How the host's ends of all pairs begin.
pub(crate) const PREFIX: &str = "rv";

/// A name for the host's end: the prefix and twelve random digits.
pub(crate) fn random_name() -> Result<String, Error> {
    let mut bits = [0_u8; 6];
    getrandom(&mut bits, GetRandomFlags::empty()).map_err(|errno| Error::io("draw a link name", errno))?;
    Ok(bits.iter().fold(PREFIX.to_owned(), |name, byte| format!("{name}{byte:02x}")))
}

/// Links `namespace` to the bridge: a pair that is up at both ends, address, default route.
pub(crate) fn connect(
    host: &mut RouteSocket,
    bridge: &Bridge,
    namespace: &mut Namespace,
    host_link: &str,
    address: Ipv4Addr,
    mac: [u8; 6],
) -> Result<(), Error> {
    let inside = LinkUnspec::new_with_name(INSIDE)
        .up()
        .mtu(bridge.mtu)
        .address(mac.to_vec())
        .setns_by_fd(namespace.as_fd().as_raw_fd())
        .build();
    let pair = LinkVeth::new(host_link, INSIDE)
        .up()
        .mtu(bridge.mtu)
        .controller(bridge.index)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inside)))
        .build();
    host.apply([Change::CreateLink(pair)]).map_err(|error| match error.errno {
        // A bridge has at most 1024 ports (BR_MAX_PORTS).
        Errno::XFULL => Error::new(
            ErrorKind::ResourceExhausted,
            format!("bridge {} is full: no more than 1023 containers can be on it", bridge.name),
        ),
        _ => Error::io(format!("create veth pair {host_link} on bridge {}", bridge.name), error),
    })?;
    configure(namespace, bridge, address)
        .map_err(|error| Error::io(format!("configure {INSIDE} with {address}"), error))
}

fn configure(namespace: &mut Namespace, bridge: &Bridge, address: Ipv4Addr) -> std::io::Result<()> {
    let link = namespace.route.link(INSIDE)?.ok_or(Errno::NODEV)?;
    namespace.route.apply([
        Change::add_address(link.index, address, bridge.subnet.prefix_len()),
        Change::add_default_route(link.index, bridge.gateway),
    ])?;
    Ok(())
}

/// Removes a pair by its host end; none is no error.
pub(crate) fn disconnect(host: &mut RouteSocket, host_link: &str) -> Result<(), Error> {
    match host.apply([Change::delete_link(host_link)]) {
        Err(error) if error.errno != Errno::NODEV => {
            Err(Error::io(format!("remove link {host_link}"), error))
        }
        _ => Ok(()),
    }
}
