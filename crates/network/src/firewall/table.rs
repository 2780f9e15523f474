//! The text of the table: constant rules over sets and maps.
//!
//! What each chain is for:
//! - `loopback`: a container can neither reach the host's loopback through the bridge nor pose as it, although `route_localnet` is on
//!   there for the answers to connections from localhost.
//! - `prerouting`, `output`: published ports, for packets that arrive and for the host's own. A destination on
//!   loopback is never translated for a packet that arrives, so that a port bound to 127.0.0.1 stays private.
//! - `postrouting`: containers reach the outside with the host's address; a container that reaches itself or a
//!   neighbour by a published port, and the host by localhost, must get their answers back through the host.
//! - `forward`: neighbours on one bridge talk; everything else that would enter a bridge must be an answer or
//!   published; bridges are closed to each other; between interfaces for which ross alone turned forwarding on,
//!   nothing passes.
//!
//! `accept` here ends only this table's chain: what the host's own tables drop stays dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddrV4;

use ipnet::Ipv4Net;

use crate::netlink::elements::{Key, MAP_ANY, MAP_BOUND};

/// What the rules speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) bridge: String,
    pub(crate) subnet: Ipv4Net,
    /// Interfaces between which the host did not forward before ross made it forward.
    pub(crate) guarded: Vec<String>,
}

/// A script that puts the table in place of any of the same name.
pub(super) fn replace(table: &str, layout: &Layout, elements: &BTreeMap<Key, SocketAddrV4>) -> String {
    let Layout { bridge, subnet, guarded } = layout;
    let of_map = |map: &str| {
        let lines = elements.iter().filter(|(key, _)| key.map() == map).map(|(key, target)| {
            let address = key.address.map(|address| format!("{address} . ")).unwrap_or_default();
            format!("{address}{} . {} : {} . {}", key.protocol, key.port, target.ip(), target.port())
        });
        element_list(lines)
    };
    let guarded = element_list(guarded.iter().map(|name| format!("{name:?}")));
    let (any, bound) = (of_map(MAP_ANY), of_map(MAP_BOUND));
    let remove = remove(table);
    format!(
        r#"{remove}table inet {table} {{
	set bridges {{ type ifname; elements = {{ "{bridge}" }}; }}
	set neighbours {{ type ifname . ifname; elements = {{ "{bridge}" . "{bridge}" }}; }}
	set subnets4 {{ type ipv4_addr; flags interval; elements = {{ {subnet} }}; }}
	set guarded {{ type ifname; {guarded}}}
	map {MAP_ANY} {{ type inet_proto . inet_service : ipv4_addr . inet_service; {any}}}
	map {MAP_BOUND} {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; {bound}}}

	chain published {{
		meta nfproto ipv4 meta l4proto {{ tcp, udp }} dnat ip to ip daddr . meta l4proto . th dport map @{MAP_BOUND}
		meta nfproto ipv4 meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . th dport map @{MAP_ANY}
	}}
	chain loopback {{
		type filter hook prerouting priority -300; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop
		iifname @bridges ip saddr 127.0.0.0/8 drop
	}}
	chain prerouting {{
		type nat hook prerouting priority -100; policy accept;
		ip daddr 127.0.0.0/8 return
		fib daddr type local jump published
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		fib daddr type local jump published
	}}
	chain postrouting {{
		type nat hook postrouting priority 100; policy accept;
		oifname @bridges ct status dnat ip saddr 127.0.0.0/8 masquerade
		oifname @bridges ct status dnat ip saddr @subnets4 masquerade
		ip saddr @subnets4 oifname != @bridges masquerade
	}}
	chain forward {{
		type filter hook forward priority 0; policy accept;
		iifname . oifname @neighbours accept
		oifname @bridges ct state established,related accept
		oifname @bridges ct status dnat accept
		oifname @bridges drop
		iifname @guarded oifname @guarded ct state new,invalid,untracked drop
	}}
}}
"#
    )
}

/// How many rules a script of [`replace`] makes.
pub(super) fn count_rules(script: &str) -> usize {
    let in_chain = |line: &&str| line.starts_with("\t\t") && !line.starts_with("\t\ttype ");
    script.lines().filter(in_chain).count()
}

/// A script that removes the table, whether it is there or not.
pub(super) fn remove(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

fn element_list(elements: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for element in elements {
        let separator = if text.is_empty() { "elements = { " } else { ", " };
        // Writing into a string cannot fail.
        let _ = write!(text, "{separator}{element}");
    }
    if !text.is_empty() {
        text.push_str(" }; ");
    }
    text
}
