//! `linux.netDevices`: network interfaces of the host, moved into the container with their addresses.
//!
//! The parent does it, over rtnetlink(7), once the child is in its namespaces. What is physical comes back to the host
//! when the network namespace ends, by the kernel; what is virtual ends with it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ross_sys::SysError;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice::name_to_index, recv, send,
    socket_with,
};

use crate::error::Error;
use crate::spec::NetDevice;

/// Message types and flags of linux/rtnetlink.h and linux/netlink.h.
const NEW_LINK: u16 = 16;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;

/// Attributes of linux/if_link.h and linux/if_addr.h.
const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;
const ADDRESS_LABEL: u16 = 3;
const ADDRESS_CACHE: u16 = 6;
const ADDRESS_FLAGS: u16 = 8;

const UP: u32 = 1;
const PERMANENT: u32 = 0x80;
/// What of an address's flags is the administrator's: IFA_F_NODAD and IFA_F_NOPREFIXROUTE.
const KEPT_FLAGS: u32 = 0x02 | 0x200;

const HEADER: usize = 16;

/// Moves interfaces into the network namespace of process `pid`.
pub(crate) fn move_all(devices: &BTreeMap<String, NetDevice>, pid: i32) -> std::result::Result<(), Error> {
    if devices.is_empty() {
        return Ok(());
    }
    let path = format!("/proc/{pid}/ns/net");
    let namespace =
        std::fs::File::open(&path).map_err(|error| crate::state::file("open", path.as_ref(), &error))?;
    for (name, device) in devices {
        let new_name = if device.name.is_empty() { name } else { &device.name };
        let failed = |step| {
            move |errno| SysError::new("rtnetlink", errno).with(format!("linux.netDevices.{name}: {step}"))
        };
        let host = route_socket().map_err(failed("open a socket"))?;
        let index = name_to_index(&host, name).map_err(failed("find the interface"))?;
        let addresses = addresses_of(host.as_fd(), index).map_err(failed("read its addresses"))?;
        // The kernel moves first and names then: what fails half-way would end with the container.
        let is_free = || match name_to_index(&route_socket()?, new_name) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NODEV) => Ok(()),
            Err(errno) => Err(errno),
        };
        within(namespace.as_fd(), is_free).map_err(failed("move it"))?;
        move_one(host.as_fd(), index, namespace.as_fd(), new_name).map_err(failed("move it"))?;
        let settle = || {
            let inside = route_socket()?;
            let index = name_to_index(&inside, new_name)?;
            addresses.iter().try_for_each(|address| address.add(inside.as_fd(), index))?;
            request(inside.as_fd(), Message::link(NEW_LINK, index, UP))
        };
        within(namespace.as_fd(), settle).map_err(failed("give it its addresses and bring it up"))?;
    }
    Ok(())
}

fn within(namespace: BorrowedFd<'_>, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    ross_sys::netns::within(namespace, work)
        .unwrap_or_else(|error| Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}

/// The default protocol is NETLINK_ROUTE.
fn route_socket() -> Result<OwnedFd> {
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// Moves an interface and names it, in one message.
fn move_one(socket: BorrowedFd<'_>, index: u32, namespace: BorrowedFd<'_>, name: &str) -> Result<()> {
    let mut message = Message::link(SET_LINK, index, 0);
    message.attribute(LINK_NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
    message.attribute(LINK_NAME, &[name.as_bytes(), &[0]].concat());
    request(socket, message)
}

/// A message being written.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    /// `struct ifinfomsg`, with these flags set.
    fn link(kind: u16, index: u32, flags: u32) -> Self {
        let mut body = [0; 16];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        body[12..16].copy_from_slice(&flags.to_ne_bytes());
        Self::new(kind, ACK, &body)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(value.len() + 4).expect("values are names, numbers and addresses");
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn send(mut self, socket: BorrowedFd<'_>) -> Result<()> {
        let len = u32::try_from(self.0.len()).expect("a message is short");
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        send(socket, &self.0, SendFlags::empty()).map(drop)
    }
}

/// Sends a message and waits until it is carried out.
fn request(socket: BorrowedFd<'_>, message: Message) -> Result<()> {
    message.send(socket)?;
    answers(socket, |_, _| Ok(()))
}

/// Reads messages up to the one that ends them.
fn answers(socket: BorrowedFd<'_>, mut each: impl FnMut(u16, &[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let (len, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..len];
        while let Some((kind, body, next)) = split(rest) {
            match kind {
                ERROR => {
                    let errno = i32::from_ne_bytes(*body.first_chunk().ok_or(Errno::PROTO)?);
                    return if errno == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-errno)) };
                }
                DONE => return Ok(()),
                kind => each(kind, body)?,
            }
            rest = next;
        }
    }
}

/// The first message of several: its type, its body, and what follows.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The first attribute of several: its type, its value, and what follows.
fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
    let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
    Some((kind, bytes.get(4..len)?, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// An address of an interface, as the kernel tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Reads `struct ifaddrmsg` and its attributes: those of this interface that somebody gave it for the world.
    fn read(body: &[u8], index: u32) -> Option<Self> {
        let (&[family, prefix, flags, scope], rest) = body.split_first_chunk()?;
        let (of, mut rest) = rest.split_first_chunk()?;
        let mut address = Self { family, prefix, flags: u32::from(flags), attributes: Vec::new() };
        while let Some((kind, value, next)) = split_attribute(rest) {
            match kind {
                ADDRESS_FLAGS => address.flags = u32::from_ne_bytes(*value.first_chunk()?),
                // The label begins with the old name; lifetimes are for ever.
                ADDRESS_LABEL | ADDRESS_CACHE => {}
                kind => address.attributes.push((kind, value.to_owned())),
            }
            rest = next;
        }
        let of = u32::from_ne_bytes(*of);
        (of == index && scope == 0 && address.flags & PERMANENT != 0).then_some(address)
    }

    fn add(&self, socket: BorrowedFd<'_>, index: u32) -> Result<()> {
        let mut body = [self.family, self.prefix, 0, 0, 0, 0, 0, 0];
        body[4..].copy_from_slice(&index.to_ne_bytes());
        let mut message = Message::new(NEW_ADDRESS, ACK | CREATE, &body);
        for (kind, value) in &self.attributes {
            message.attribute(*kind, value);
        }
        message.attribute(ADDRESS_FLAGS, &(self.flags & KEPT_FLAGS).to_ne_bytes());
        request(socket, message)
    }
}

fn addresses_of(socket: BorrowedFd<'_>, index: u32) -> Result<Vec<Address>> {
    Message::new(GET_ADDRESS, DUMP, &[0; 8]).send(socket)?;
    let mut found = Vec::new();
    answers(socket, |kind, body| {
        if kind == NEW_ADDRESS {
            found.extend(Address::read(body, index));
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let mut message = Message::new(NEW_ADDRESS, 0, &[2, 24, 0x80, 0, 7, 0, 0, 0]);
        message.attribute(2, &[10, 0, 0, 1]);
        message.attribute(ADDRESS_LABEL, b"eth0\0");
        message.attribute(ADDRESS_FLAGS, &0x280_u32.to_ne_bytes());
        let body = &message.0[HEADER..];
        let found = Address::read(body, 7).unwrap();
        assert_eq!(
            found,
            Address { family: 2, prefix: 24, flags: 0x280, attributes: vec![(2, vec![10, 0, 0, 1])] }
        );
        assert_eq!(Address::read(body, 8), None, "of another interface");
        assert_eq!(Address::read(&[2, 24, 0x80, 253, 7, 0, 0, 0], 7), None, "of the link");
        assert_eq!(Address::read(&[2, 24, 0, 0, 7, 0, 0, 0], 7), None, "for a time");
        for end in 0..body.len() {
            let _ = Address::read(&body[..end], 7);
            let _ = split(&body[..end]);
        }
    }
}
