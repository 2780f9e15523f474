//! Forgetting tracked UDP flows whose translation is no longer true.
//!
//! A flow keeps the translation it began with: a client that goes on sending to a published UDP port would be
//! sent to the container that had it before, or to none. Connections of TCP end by themselves.
//!
//! Source: `linux/netfilter/nfnetlink_conntrack.h`; filtered dumps are of Linux 5.8.

use std::net::Ipv4Addr;

use rustix::io::Errno;

use super::socket::{
    Message, NLM_F_ACK, NLM_F_REQUEST, NetlinkError, NetlinkSocket, attribute, push_attribute, push_nested,
};

const IPCTNL_MSG_CT_GET: u16 = 1 << 8 | 1;
const IPCTNL_MSG_CT_DELETE: u16 = 1 << 8 | 2;
const AF_INET: u8 = 2;
const IPPROTO_UDP: u8 = 17;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const BY_SOURCE: u32 = 1 << 0;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

const HEADER: usize = 16 + 4;

/// Forgets the UDP flows that are translated to `container`.
pub(crate) fn forget_flows_to(socket: &mut NetlinkSocket, container: Ipv4Addr) -> Result<(), NetlinkError> {
    let mut request = generic_header();
    push_nested(&mut request, CTA_TUPLE_REPLY, |tuple| {
        push_nested(tuple, CTA_TUPLE_IP, |ip| push_attribute(ip, CTA_IP_V4_SRC, &container.octets()));
        push_protocol(tuple, None);
    });
    push_filter(&mut request, 0, BY_SOURCE | BY_PROTOCOL);
    forget(socket, &request, |_| true)
}

/// Forgets the UDP flows to one of `ports` of one of `addresses` of this host.
pub(crate) fn forget_flows_from_outside(
    socket: &mut NetlinkSocket,
    addresses: &[Ipv4Addr],
    ports: &[u16],
) -> Result<(), NetlinkError> {
    // The kernel compares with one port at most.
    let only = if let [port] = ports { Some(*port) } else { None };
    let mut request = generic_header();
    push_nested(&mut request, CTA_TUPLE_ORIG, |tuple| push_protocol(tuple, only));
    push_filter(&mut request, BY_PROTOCOL | only.map_or(0, |_| BY_DESTINATION_PORT), 0);
    forget(socket, &request, |original| {
        let address = attribute(original, CTA_TUPLE_IP).and_then(|ip| attribute(ip, CTA_IP_V4_DST));
        let port = attribute(original, CTA_TUPLE_PROTO).and_then(|l4| attribute(l4, CTA_PROTO_DST_PORT));
        addresses.iter().any(|wanted| address == Some(&wanted.octets()[..]))
            && ports.iter().any(|wanted| port == Some(&wanted.to_be_bytes()[..]))
    })
}

fn forget(
    socket: &mut NetlinkSocket,
    request: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<(), NetlinkError> {
    for flow in socket.dump(IPCTNL_MSG_CT_GET, request)? {
        let attributes = flow.get(HEADER..).unwrap_or_default();
        let Some(original) = attribute(attributes, CTA_TUPLE_ORIG).filter(|tuple| wanted(tuple)) else {
            continue;
        };
        let mut body = generic_header();
        push_nested(&mut body, CTA_TUPLE_ORIG, |tuple| tuple.extend(original));
        let message = Message { kind: IPCTNL_MSG_CT_DELETE, flags: NLM_F_REQUEST | NLM_F_ACK, body };
        match socket.exchange(&[message]) {
            Err(error) if error.errno != Errno::NOENT => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn push_protocol(tuple: &mut Vec<u8>, destination_port: Option<u16>) {
    push_nested(tuple, CTA_TUPLE_PROTO, |protocol| {
        push_attribute(protocol, CTA_PROTO_NUM, &[IPPROTO_UDP]);
        if let Some(port) = destination_port {
            push_attribute(protocol, CTA_PROTO_DST_PORT, &port.to_be_bytes());
        }
    });
}

fn push_filter(request: &mut Vec<u8>, original: u32, reply: u32) {
    push_nested(request, CTA_FILTER, |filter| {
        push_attribute(filter, CTA_FILTER_ORIG_FLAGS, &original.to_ne_bytes());
        push_attribute(filter, CTA_FILTER_REPLY_FLAGS, &reply.to_ne_bytes());
    });
}

/// `struct nfgenmsg`.
fn generic_header() -> Vec<u8> {
    vec![AF_INET, 0, 0, 0]
}
