//! Elements of nftables maps, written over nfnetlink: what changes when a container comes or goes.
//!
//! Source: `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h`. A batch is one transaction: all of it
//! happens or nothing. Concatenated keys and data are their parts, each padded to four bytes.

use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::io::Errno;

use super::socket::{
    Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkError, NetlinkSocket, Notification, attribute,
    push_attribute, push_nested,
};
use crate::model::Protocol;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_DELCHAIN: u16 = 5;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_DELRULE: u16 = 8;
const NFPROTO_INET: u8 = 1;
/// `NFNLGRP_NFTABLES`
pub(crate) const CHANGES_OF_TABLES: u32 = 7;

/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and `NFTA_RULE_TABLE` are one number.
const NFTA_TABLE: u16 = 1;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;

/// An attribute holds at most 64 KiB, an element at most 44 bytes.
const ELEMENTS_PER_MESSAGE: usize = 1_000;

/// The map of ports published on all addresses of the host.
pub(crate) const MAP_ANY: &str = "published4";
/// The map of ports published on one address of the host.
pub(crate) const MAP_BOUND: &str = "published4_bound";

/// What arrives at the host and is sent on to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// `None`: any address of the host.
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

impl Key {
    pub(crate) fn map(&self) -> &'static str {
        if self.address.is_some() { MAP_BOUND } else { MAP_ANY }
    }

    fn bytes(&self) -> Vec<u8> {
        let number = match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        let mut bytes = Vec::with_capacity(12);
        bytes.extend(self.address.iter().flat_map(Ipv4Addr::octets));
        bytes.extend([number, 0, 0, 0]);
        bytes.extend(self.port.to_be_bytes());
        bytes.extend([0, 0]);
        bytes
    }
}

/// A key and where it leads.
pub(crate) type Element = (Key, SocketAddrV4);

fn target_bytes(target: &SocketAddrV4) -> Vec<u8> {
    let mut bytes = target.ip().octets().to_vec();
    bytes.extend(target.port().to_be_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// `struct nfgenmsg`.
fn generic_header(family: u8, resource: u16) -> Vec<u8> {
    let mut body = vec![family, 0];
    body.extend(resource.to_be_bytes());
    body
}

fn batch_edge(kind: u16) -> Message {
    Message { kind, flags: NLM_F_REQUEST, body: generic_header(0, NFNL_SUBSYS_NFTABLES) }
}

fn c_string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn element_message(
    message: u16,
    flags: u16,
    table: &str,
    map: &str,
    elements: &[(Key, Option<SocketAddrV4>)],
) -> Message {
    let mut body = generic_header(NFPROTO_INET, 0);
    push_attribute(&mut body, NFTA_SET_ELEM_LIST_TABLE, &c_string(table));
    push_attribute(&mut body, NFTA_SET_ELEM_LIST_SET, &c_string(map));
    push_nested(&mut body, NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
        for (key, target) in elements {
            push_nested(list, NFTA_LIST_ELEM, |element| {
                push_nested(element, NFTA_SET_ELEM_KEY, |data| {
                    push_attribute(data, NFTA_DATA_VALUE, &key.bytes());
                });
                if let Some(target) = target {
                    push_nested(element, NFTA_SET_ELEM_DATA, |data| {
                        push_attribute(data, NFTA_DATA_VALUE, &target_bytes(target));
                    });
                }
            });
        }
    });
    Message { kind: NFNL_SUBSYS_NFTABLES << 8 | message, flags: NLM_F_REQUEST | NLM_F_ACK | flags, body }
}

fn batch(message: u16, flags: u16, table: &str, elements: &[(Key, Option<SocketAddrV4>)]) -> Vec<Message> {
    let mut messages = vec![batch_edge(NFNL_MSG_BATCH_BEGIN)];
    for map in [MAP_ANY, MAP_BOUND] {
        let of_map: Vec<_> = elements.iter().filter(|(key, _)| key.map() == map).copied().collect();
        messages.extend(
            of_map
                .chunks(ELEMENTS_PER_MESSAGE)
                .map(|chunk| element_message(message, flags, table, map, chunk)),
        );
    }
    messages.push(batch_edge(NFNL_MSG_BATCH_END));
    messages
}

/// Adds all `elements` to the maps of `inet <table>`, or none. An element that is there already is no error
/// when it leads to the same place.
pub(crate) fn add(socket: &mut NetlinkSocket, table: &str, elements: &[Element]) -> Result<(), NetlinkError> {
    let elements: Vec<_> = elements.iter().map(|(key, target)| (*key, Some(*target))).collect();
    socket.exchange(&batch(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, &elements)).map(drop)
}

/// Whether a notification says that a rule, a chain or all of `inet <table>` was removed.
pub(crate) fn takes_away_from(message: &Notification, table: &str) -> bool {
    let removal = [NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE];
    let of_inet = message.body.first() == Some(&NFPROTO_INET);
    let name = message.body.get(4..).and_then(|attributes| attribute(attributes, NFTA_TABLE));
    removal.map(|kind| NFNL_SUBSYS_NFTABLES << 8 | kind).contains(&message.kind)
        && of_inet
        && name == Some(&c_string(table))
}

/// How many rules `inet <table>` has; none when there is no such table.
pub(crate) fn count_rules(socket: &mut NetlinkSocket, table: &str) -> Result<usize, NetlinkError> {
    let mut body = generic_header(NFPROTO_INET, 0);
    push_attribute(&mut body, NFTA_TABLE, &c_string(table));
    match socket.dump(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, &body) {
        Err(error) if error.errno == Errno::NOENT => Ok(0),
        rules => rules.map(|rules| rules.len()),
    }
}

/// Removes `keys` from the maps of `inet <table>`; a key, map or table that is not there is no error.
pub(crate) fn remove(socket: &mut NetlinkSocket, table: &str, keys: &[Key]) -> Result<(), NetlinkError> {
    let elements: Vec<_> = keys.iter().map(|key| (*key, None)).collect();
    match socket.exchange(&batch(NFT_MSG_DELSETELEM, 0, table, &elements)) {
        // One missing key fails the whole transaction (NFT_MSG_DESTROYSETELEM is of Linux 6.3): halves are tried,
        // until the missing ones are alone.
        Err(error) if error.errno == Errno::NOENT => {
            if keys.len() > 1 {
                let (one, other) = keys.split_at(keys.len() / 2);
                remove(socket, table, one)?;
                remove(socket, table, other)?;
            }
            Ok(())
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `nft --debug=mnl add element inet ross …` sends, nested flags included.
    #[test]
    fn golden_bytes() {
        let key = Key { address: Some(Ipv4Addr::new(1, 2, 3, 4)), protocol: Protocol::Udp, port: 8080 };
        let target = SocketAddrV4::new(Ipv4Addr::new(172, 30, 0, 2), 80);
        let messages = batch(NFT_MSG_NEWSETELEM, NLM_F_CREATE, "ross", &[(key, Some(target))]);
        let kinds: Vec<u16> = messages.iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [0x10, 0xa0c, 0x11]);
        assert_eq!(messages[0].body, [0, 0, 0, 10]);
        #[rustfmt::skip]
        let expected: &[u8] = &[
            1, 0, 0, 0,
            9, 0, 1, 0, b'r', b'o', b's', b's', 0, 0, 0, 0,
            21, 0, 2, 0, b'p', b'u', b'b', b'l', b'i', b's', b'h', b'e', b'd', b'4', b'_', b'b', b'o', b'u', b'n', b'd', 0, 0, 0, 0,
            44, 0, 3, 0x80,
            40, 0, 1, 0x80,
            20, 0, 1, 0x80, 16, 0, 1, 0, 1, 2, 3, 4, 0x11, 0, 0, 0, 0x1f, 0x90, 0, 0,
            16, 0, 2, 0x80, 12, 0, 1, 0, 0xac, 0x1e, 0, 2, 0, 0x50, 0, 0,
        ];
        assert_eq!(messages[1].body, expected);
    }

    #[test]
    fn large_batches_are_split() {
        let element = |port| (Key { address: None, protocol: Protocol::Tcp, port }, None);
        let elements: Vec<_> = (1..=2_500).map(element).collect();
        let messages = batch(NFT_MSG_DELSETELEM, 0, "ross", &elements);
        assert_eq!(messages.len(), 2 + 3);
    }
}
