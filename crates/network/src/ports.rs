//! Ports of the host that are promised to a container.
//!
//! A port is held twice: in the ledger of this daemon, which knows whose it is, and by a socket that is bound but
//! never listens, so that another program's attempt to listen fails instead of being shadowed by the translation.
//! The socket is lost with the daemon; reconcile binds it again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use ross_types::{ContainerId, ErrorKind};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::Error;
use crate::model::{PortMapping, Protocol, PublishedPort};

/// Linux's own default range of ephemeral ports, `net.ipv4.ip_local_port_range`.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Whose each promised port is.
#[derive(Debug, Default)]
pub(crate) struct PortLedger {
    held: BTreeMap<(Protocol, u16), Vec<(IpAddr, ContainerId)>>,
    last_ephemeral: Option<u16>,
}

impl PortLedger {
    /// The container that already has this port on an address that overlaps.
    fn holder(&self, address: IpAddr, protocol: Protocol, port: u16) -> Option<&ContainerId> {
        let held = self.held.get(&(protocol, port))?;
        let overlaps =
            |other: &IpAddr| *other == address || other.is_unspecified() || address.is_unspecified();
        held.iter().find(|(other, _)| overlaps(other)).map(|(_, container)| container)
    }

    /// Enters a port of an older lease.
    pub(crate) fn restore(&mut self, port: &PublishedPort, container: &ContainerId) {
        self.held.entry((port.protocol, port.host_port)).or_default().push((port.host_ip, container.clone()));
    }

    /// Strikes every port of `container`.
    pub(crate) fn give_back(&mut self, container: &ContainerId) {
        self.held.retain(|_, holders| {
            holders.retain(|(_, holder)| holder != container);
            !holders.is_empty()
        });
    }

    /// Promises the port that `mapping` asks for and binds it.
    pub(crate) fn take(
        &mut self,
        mapping: &PortMapping,
        container: &ContainerId,
    ) -> Result<(PublishedPort, OwnedFd), Error> {
        let host_ip = mapping.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let published = |host_port| PublishedPort {
            host_ip,
            host_port,
            container_port: mapping.container_port,
            protocol: mapping.protocol,
        };
        let (port, socket) = match mapping.host_port {
            Some(host_port) => {
                let port = published(host_port);
                if let Some(holder) = self.holder(host_ip, mapping.protocol, host_port) {
                    return Err(allocated(&port, &format!(" to container {}", holder.short())));
                }
                let socket = reserve_patiently(&port)?;
                (port, socket)
            }
            None => self.take_ephemeral(published)?,
        };
        self.restore(&port, container);
        Ok((port, socket))
    }

    fn take_ephemeral(
        &mut self,
        published: impl Fn(u16) -> PublishedPort,
    ) -> Result<(PublishedPort, OwnedFd), Error> {
        // In order, so that a port that was just freed is not soon another container's.
        let (first, end) = (*EPHEMERAL.start(), *EPHEMERAL.end());
        let start = self.last_ephemeral.filter(|last| *last < end).map_or(first, |last| last + 1);
        for host_port in (start..=end).chain(first..start) {
            let port = published(host_port);
            if self.holder(port.host_ip, port.protocol, host_port).is_some() {
                continue;
            }
            match reserve(&port) {
                Ok(socket) => {
                    self.last_ephemeral = Some(host_port);
                    return Ok((port, socket));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        let text = format!("no free {} port is left in {first} to {end}", published(0).protocol);
        Err(Error::new(ErrorKind::ResourceExhausted, text))
    }
}

fn shown(port: &PublishedPort) -> String {
    format!("{}/{}", SocketAddr::new(port.host_ip, port.host_port), port.protocol)
}

fn allocated(port: &PublishedPort, to: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("port {} is already allocated{to}", shown(port)))
}

/// A port that was just let go may live on for a moment in a child of this process between fork and exec.
fn reserve_patiently(port: &PublishedPort) -> Result<OwnedFd, Error> {
    const ATTEMPTS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..ATTEMPTS {
        match reserve(port) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
    reserve(port)
}

/// Binds `port`, or says who or what is in the way.
pub(crate) fn reserve(port: &PublishedPort) -> Result<OwnedFd, Error> {
    bind_quietly(port).map_err(|errno| match errno {
        Errno::ADDRINUSE => allocated(port, " by another program of this host"),
        Errno::ADDRNOTAVAIL => Error::new(
            ErrorKind::InvalidArgument,
            format!("port {} cannot be published: this host has no address {}", shown(port), port.host_ip),
        ),
        errno => Error::io(format!("bind port {}", shown(port)), errno),
    })
}

fn bind_quietly(port: &PublishedPort) -> Result<OwnedFd, Errno> {
    let kind = match port.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let family = if port.host_ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    match port.protocol {
        // With the option on, connections that linger in TIME_WAIT are no obstacle; with it off again, a program
        // that sets it cannot listen here.
        Protocol::Tcp => {
            set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddr::new(port.host_ip, port.host_port))?;
            set_socket_reuseaddr(&socket, false)?;
        }
        // What is not translated is not kept either.
        Protocol::Udp => {
            set_socket_recv_buffer_size(&socket, 0)?;
            bind(&socket, &SocketAddr::new(port.host_ip, port.host_port))?;
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_random([byte; 32])
    }

    fn mapping(host_port: Option<u16>, protocol: Protocol) -> PortMapping {
        PortMapping { host_ip: Some(Ipv4Addr::LOCALHOST.into()), host_port, container_port: 80, protocol }
    }

    #[test]
    fn a_port_of_another_program() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut ledger = PortLedger::default();
        let error = ledger.take(&mapping(Some(port), Protocol::Tcp), &id(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("port 127.0.0.1:{port}/tcp is already allocated by another program of this host")
        );
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        ledger.take(&mapping(Some(port), Protocol::Udp), &id(1)).expect("udp is another port");
    }

    #[test]
    fn a_reserved_port_keeps_others_out() {
        let mut ledger = PortLedger::default();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let (port, socket) = ledger.take(&mapping(None, protocol), &id(1)).unwrap();
            let try_to_use = || match protocol {
                Protocol::Tcp => TcpListener::bind(("127.0.0.1", port.host_port)).map(drop),
                Protocol::Udp => UdpSocket::bind(("127.0.0.1", port.host_port)).map(drop),
            };
            assert_eq!(try_to_use().unwrap_err().kind(), std::io::ErrorKind::AddrInUse, "{protocol}");
            drop(socket);
            try_to_use().unwrap();
        }
    }

    #[test]
    fn a_port_of_another_container() {
        let mut ledger = PortLedger::default();
        let (port, socket) = ledger.take(&mapping(None, Protocol::Tcp), &id(1)).unwrap();
        drop(socket);
        let everywhere = PortMapping { host_ip: None, ..mapping(Some(port.host_port), Protocol::Tcp) };
        let error = ledger.take(&everywhere, &id(2)).unwrap_err();
        let expected =
            format!("port 0.0.0.0:{}/tcp is already allocated to container 010101010101", port.host_port);
        assert_eq!(error.to_string(), expected);
        ledger.give_back(&id(1));
        ledger.take(&everywhere, &id(2)).unwrap();
    }

    #[test]
    fn ephemeral_ports_go_on() {
        let mut ledger = PortLedger::default();
        let (first, _held) = ledger.take(&mapping(None, Protocol::Tcp), &id(1)).unwrap();
        let (second, _held) = ledger.take(&mapping(None, Protocol::Tcp), &id(2)).unwrap();
        assert!(EPHEMERAL.contains(&first.host_port));
        assert!(second.host_port > first.host_port);
    }

    #[test]
    fn an_address_of_another_host() {
        let foreign =
            PortMapping { host_ip: Some([192, 0, 2, 200].into()), ..mapping(Some(80), Protocol::Tcp) };
        let error = PortLedger::default().take(&foreign, &id(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.to_string(),
            "port 192.0.2.200:80/tcp cannot be published: this host has no address 192.0.2.200"
        );
    }
}
