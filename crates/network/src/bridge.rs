//! The default bridge: its subnet, its address, and the kernel settings that go with it.
//!
//! The bridge carries an alias that names its owner, so that two daemons never share one by accident.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use ross_types::ErrorKind;
use rtnetlink::{LinkBridge, LinkUnspec};

use crate::netlink::route::{Change, Link, Route, RouteSocket};
use crate::{Error, ipam};

/// Private subnets in the order they are tried: clear of Docker's (172.17 to 172.19 first) and Podman's (10.88).
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let first = (20..=30).rev().map(|second| Ipv4Addr::new(172, second, 0, 0));
    let then = (200..=220).map(|second| Ipv4Addr::new(10, second, 0, 0));
    first.chain(then).map(|network| Ipv4Net::new_assert(network, 16))
}

/// The bridge as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) subnet: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) mtu: u32,
}

/// The bridge as it should be.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// The alias that marks it as ours.
    pub(crate) owner: &'a str,
    /// What the configuration says.
    pub(crate) configured: Option<Ipv4Net>,
    /// What the leases say.
    pub(crate) leased: Option<Ipv4Net>,
    /// The host's name servers, which must stay reachable.
    pub(crate) name_servers: &'a [IpAddr],
}

/// Makes the bridge, or finds it; puts right what of it is wrong.
pub(crate) fn ensure(host: &mut RouteSocket, wanted: &Wanted<'_>) -> Result<Bridge, Error> {
    let name = wanted.name;
    let failed = |what: &str| format!("{what} bridge {name}");
    let links = host.links().map_err(|error| Error::io("list links", error))?;
    let addresses = host.addresses().map_err(|error| Error::io("list addresses", error))?;
    let routes = host.routes().map_err(|error| Error::io("list routes", error))?;

    let mut found = links.iter().find(|link| link.name == name);
    if let Some(link) = found {
        refuse_foreign(link, wanted)?;
    }
    let subnet_of = |link: &Link| {
        let address = addresses.iter().find(|(index, _)| *index == link.index)?.1;
        (address.addr() == ipam::gateway(address)).then(|| address.trunc())
    };
    let mut present = found.and_then(subnet_of);
    let decided = wanted.leased.or(wanted.configured);
    if let (Some(link), Some(_)) = (found, present)
        && decided.is_some_and(|decided| Some(decided) != present)
    {
        host.apply([Change::delete_link(&link.name)]).map_err(|error| Error::io(failed("replace"), error))?;
        (found, present) = (None, None);
    }

    let subnet = match present {
        Some(subnet) => subnet,
        None => {
            let others: Vec<Ipv4Net> = taken(&routes, &addresses, wanted.name_servers, found).collect();
            choose(wanted, &others)?
        }
    };
    let mtu = uplink_mtu(&links, &routes);
    let gateway = ipam::gateway(subnet);
    if found.is_none() {
        // An explicit address keeps the bridge from taking the lowest of its ports', which changes with them.
        let link = LinkBridge::new(name).mtu(mtu).address(ipam::mac_of(gateway).to_vec()).build();
        let alias = LinkUnspec::new_with_name(name).alias(wanted.owner).build();
        host.apply([Change::CreateLink(link), Change::SetLink(alias)])
            .map_err(|error| Error::io(failed("create"), error))?;
    }
    let link = host.link(name).map_err(|error| Error::io(failed("look up"), error))?.ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("bridge {name} vanished while it was set up"))
    })?;
    // Before it is up and has an address: no router advertisement of a container may configure the host.
    set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;
    set(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
    let mut changes = vec![Change::SetLink(LinkUnspec::new_with_index(link.index).up().build())];
    if present.is_none() {
        changes.push(Change::add_address(link.index, gateway, subnet.prefix_len()));
    }
    host.apply(changes).map_err(|error| Error::io(failed("configure"), error))?;
    Ok(Bridge { name: name.to_owned(), index: link.index, subnet, gateway, mtu: link.mtu })
}

/// Removes the bridge, if it is there and ours.
pub(crate) fn remove(host: &mut RouteSocket, name: &str, owner: &str) -> Result<(), Error> {
    let failed = |error| Error::io(format!("remove bridge {name}"), error);
    match host.link(name).map_err(failed)? {
        Some(link) if link.is_bridge && link.alias == owner => {
            host.apply([Change::delete_link(name)]).map_err(failed)
        }
        _ => Ok(()),
    }
}

fn refuse_foreign(link: &Link, wanted: &Wanted<'_>) -> Result<(), Error> {
    let name = wanted.name;
    let refuse = |text: String| Err(Error::new(ErrorKind::FailedPrecondition, text));
    if !link.is_bridge {
        return refuse(format!(
            "link {name} is there already and is no bridge: remove it, or choose another bridge name"
        ));
    }
    if !link.alias.is_empty() && link.alias != wanted.owner {
        return refuse(format!(
            "bridge {name} belongs to `{}`: stop that daemon, or give this one another bridge name",
            link.alias
        ));
    }
    Ok(())
}

/// Networks that the bridge's subnet must not overlap.
fn taken<'a>(
    routes: &'a [Route],
    addresses: &'a [(u32, Ipv4Net)],
    name_servers: &'a [IpAddr],
    own: Option<&'a Link>,
) -> impl Iterator<Item = Ipv4Net> + 'a {
    let own = own.map(|link| link.index);
    let routed = routes
        .iter()
        .filter(move |route| route.link.is_none() || route.link != own)
        .map(|route| route.destination)
        .filter(|destination| destination.prefix_len() > 0);
    let held = addresses.iter().filter(move |(link, _)| Some(*link) != own).map(|(_, address)| *address);
    let named = name_servers.iter().filter_map(|server| match server {
        IpAddr::V4(server) => Some(Ipv4Net::from(*server)),
        IpAddr::V6(_) => None,
    });
    routed.chain(held).chain(named)
}

fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

fn choose(wanted: &Wanted<'_>, taken: &[Ipv4Net]) -> Result<Ipv4Net, Error> {
    let conflict = |subnet: &Ipv4Net| taken.iter().find(|other| overlap(subnet, other)).copied();
    // Containers already live there: that decides, whatever came up since.
    if let Some(leased) = wanted.leased {
        return Ok(leased);
    }
    if let Some(subnet) = wanted.configured.map(|subnet| subnet.trunc()) {
        return match conflict(&subnet) {
            None => Ok(subnet),
            Some(other) => Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!(
                    "subnet {subnet} of bridge {} overlaps {other}, which this host uses already",
                    wanted.name
                ),
            )),
        };
    }
    candidates().find(|subnet| conflict(subnet).is_none()).ok_or_else(|| {
        Error::new(
            ErrorKind::ResourceExhausted,
            format!("this host uses every subnet that bridge {} could have: configure one", wanted.name),
        )
    })
}

/// What fits through the link of the default route; no more than Ethernet's 1500, which is what peers expect.
fn uplink_mtu(links: &[Link], routes: &[Route]) -> u32 {
    const ETHERNET: u32 = 1500;
    const IPV4_MINIMUM: u32 = 576;
    let default =
        routes.iter().filter(|route| route.destination.prefix_len() == 0).min_by_key(|route| route.metric);
    let uplink = default.and_then(|route| links.iter().find(|link| Some(link.index) == route.link));
    uplink.map_or(ETHERNET, |link| link.mtu.clamp(IPV4_MINIMUM, ETHERNET))
}

/// Sets a kernel parameter unless it is set so already. One that does not exist (no IPv6) needs no setting.
pub(crate) fn set(parameter: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/{parameter}");
    match fs::read_to_string(&path) {
        Ok(current) if current.trim() == value => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        _ => {}
    }
    fs::write(&path, value).map_err(|error| Error::io(format!("set {path} to {value}"), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<Ipv4Net> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn wanted(configured: Option<&str>, leased: Option<&str>) -> Wanted<'static> {
        let parse = |net: &str| net.parse().unwrap();
        Wanted {
            name: "ross0",
            owner: "ross",
            configured: configured.map(parse),
            leased: leased.map(parse),
            name_servers: &[],
        }
    }

    #[test]
    fn chooses_a_free_subnet() {
        let check = |taken: &[&str], expected: &str| {
            assert_eq!(choose(&wanted(None, None), &nets(taken)).unwrap().to_string(), expected, "{taken:?}");
        };
        check(&[], "172.30.0.0/16");
        check(&["192.168.0.0/24"], "172.30.0.0/16");
        check(&["172.30.5.0/24"], "172.29.0.0/16");
        check(&["172.30.0.1/32", "172.28.0.0/15"], "172.27.0.0/16");
        check(&["172.16.0.0/12"], "10.200.0.0/16");
        let full = choose(&wanted(None, None), &nets(&["172.16.0.0/12", "10.0.0.0/8"])).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
    }

    #[test]
    fn a_configured_subnet_must_be_free() {
        let chosen = choose(&wanted(Some("10.5.0.0/24"), None), &nets(&["10.6.0.0/16"])).unwrap();
        assert_eq!(chosen.to_string(), "10.5.0.0/24");
        let error = choose(&wanted(Some("10.5.0.0/24"), None), &nets(&["10.0.0.0/8"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert_eq!(
            error.to_string(),
            "subnet 10.5.0.0/24 of bridge ross0 overlaps 10.0.0.0/8, which this host uses already"
        );
    }

    #[test]
    fn leases_decide() {
        let chosen =
            choose(&wanted(Some("10.5.0.0/24"), Some("10.7.0.0/24")), &nets(&["10.0.0.0/8"])).unwrap();
        assert_eq!(chosen.to_string(), "10.7.0.0/24");
    }

    #[test]
    fn mtu_follows_the_default_route() {
        let link = |index, mtu| Link {
            index,
            name: String::new(),
            is_bridge: false,
            controller: None,
            mtu,
            alias: String::new(),
        };
        let route =
            |link, metric| Route { destination: "0.0.0.0/0".parse().unwrap(), link: Some(link), metric };
        let links = [link(1, 1400), link(2, 9001), link(3, 100)];
        let check = |routes: &[Route], expected| assert_eq!(uplink_mtu(&links, routes), expected);
        check(&[], 1500);
        check(&[route(1, 100)], 1400);
        check(&[route(1, 100), route(2, 50)], 1500);
        check(&[route(3, 0)], 576);
        check(&[route(9, 0)], 1500);
    }
}
