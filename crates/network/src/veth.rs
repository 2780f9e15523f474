//! Veth pairs: one end on the bridge, the other made right inside the container's namespace, in one message.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};

use ross_types::ErrorKind;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkBridgePort, LinkUnspec, LinkVeth};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::Error;
use crate::bridge::Bridge;
use crate::namespace::Namespace;
use crate::netlink::route::{Change, RouteSocket};
use crate::netlink::socket::NetlinkError;

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
    // The inner end cannot come up here: the kernel joins the ends only after it made both (veth_open: ENOTCONN).
    let inside = LinkUnspec::new_with_name(INSIDE)
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
    host.apply([Change::CreateLink(pair)].into_iter().chain(hairpin(host_link))).map_err(
        |error| match error.errno {
            // A bridge has at most 1024 ports (BR_MAX_PORTS).
            Errno::XFULL => Error::new(
                ErrorKind::ResourceExhausted,
                format!("bridge {} is full: no more than 1023 containers can be on it", bridge.name),
            ),
            _ => Error::io(format!("create veth pair {host_link} on bridge {}", bridge.name), error),
        },
    )?;
    configure(namespace, bridge, address)
        .map_err(|error| Error::io(format!("configure {INSIDE} with {address}"), error))
}

fn configure(namespace: &mut Namespace, bridge: &Bridge, address: Ipv4Addr) -> std::io::Result<()> {
    let link = namespace.route.link(INSIDE)?.ok_or(Errno::NODEV)?;
    namespace.route.apply([
        Change::SetLink(LinkUnspec::new_with_index(link.index).up().build()),
        Change::add_address(link.index, address, bridge.subnet.prefix_len()),
        Change::add_default_route(link.index, bridge.gateway),
    ])?;
    Ok(())
}

/// Puts the host's end of a pair back onto the bridge.
pub(crate) fn attach(host: &mut RouteSocket, bridge: &Bridge, host_link: &str) -> Result<(), Error> {
    let port = LinkUnspec::new_with_name(host_link).controller(bridge.index).up().build();
    host.apply([Change::SetLink(port)].into_iter().chain(hairpin(host_link)))
        .map_err(|error| Error::io(format!("put link {host_link} on bridge {}", bridge.name), error))
}

/// With br_netfilter in force, translation happens before the bridge decides, and a container that calls itself by
/// a published port must be sent out of the port it came in by. Otherwise the host routes such packets, and
/// reflecting is only noise.
fn hairpin(host_link: &str) -> Option<Change> {
    let in_force = fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables");
    in_force.is_ok_and(|text| text.trim() == "1").then(|| {
        let port = LinkBridgePort::new(0).name(host_link).hairpin(true);
        Change::SetPort(port.build())
    })
}

/// Removes all these pairs, by their host ends, at once; those that are gone already are no error.
///
/// The kernel makes rtnl wait for every processor meanwhile, some tens of milliseconds, however many pairs it
/// removes together: so they are put into a link group of their own, and the group is removed.
pub(crate) fn remove_all(host: &mut RouteSocket, host_links: &[String], group: u32) -> Result<(), Error> {
    let regroup = |name: &String| Change::SetLink(LinkUnspec::new_with_name(name).link_group(group).build());
    let gone = |result: Result<(), NetlinkError>| match result {
        Err(error) if error.errno != Errno::NODEV => {
            Err(Error::io(format!("remove links {}", host_links.join(", ")), error))
        }
        _ => Ok(()),
    };
    gone(host.apply(host_links.iter().map(regroup)))?;
    gone(host.apply([Change::DeleteLink(LinkUnspec::new_with_index(0).link_group(group).build())]))
}
