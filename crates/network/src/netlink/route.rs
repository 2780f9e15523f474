//! Links, addresses and routes of one network namespace.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::{AddressMessageBuilder, LinkUnspec, RouteMessageBuilder};
use rustix::io::Errno;

use super::socket::{
    Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkError, NetlinkSocket,
};

/// One change of the namespace's configuration.
#[derive(Debug)]
pub(crate) enum Change {
    CreateLink(LinkMessage),
    SetLink(LinkMessage),
    /// What only RTM_NEWLINK can set of a link that is there: its properties as a port of a bridge.
    SetPort(LinkMessage),
    DeleteLink(LinkMessage),
    AddAddress(AddressMessage),
    AddRoute(RouteMessage),
}

impl Change {
    pub(crate) fn delete_link(name: &str) -> Self {
        Self::DeleteLink(LinkUnspec::new_with_name(name).build())
    }

    pub(crate) fn add_address(link: u32, address: Ipv4Addr, prefix: u8) -> Self {
        Self::AddAddress(
            AddressMessageBuilder::<Ipv4Addr>::new().index(link).address(address, prefix).build(),
        )
    }

    pub(crate) fn add_default_route(link: u32, gateway: Ipv4Addr) -> Self {
        Self::AddRoute(RouteMessageBuilder::<Ipv4Addr>::new().output_interface(link).gateway(gateway).build())
    }

    fn into_message(self) -> Message {
        let create = NLM_F_CREATE | NLM_F_EXCL;
        let (message, extra) = match self {
            Self::CreateLink(link) => (RouteNetlinkMessage::NewLink(link), create),
            Self::SetLink(link) => (RouteNetlinkMessage::SetLink(link), 0),
            Self::SetPort(link) => (RouteNetlinkMessage::NewLink(link), 0),
            Self::DeleteLink(link) => (RouteNetlinkMessage::DelLink(link), 0),
            Self::AddAddress(address) => (RouteNetlinkMessage::NewAddress(address), create),
            Self::AddRoute(route) => (RouteNetlinkMessage::NewRoute(route), create),
        };
        Message { flags: NLM_F_REQUEST | NLM_F_ACK | extra, ..encode(&message) }
    }
}

fn encode(message: &RouteNetlinkMessage) -> Message {
    let mut body = vec![0; message.buffer_len()];
    message.serialize(&mut body);
    Message { kind: message.message_type(), flags: NLM_F_REQUEST, body }
}

/// A link, as far as this crate cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_bridge: bool,
    pub(crate) controller: Option<u32>,
    pub(crate) mtu: u32,
    pub(crate) alias: String,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            is_bridge: false,
            controller: None,
            mtu: 0,
            alias: String::new(),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Controller(index) => link.controller = Some(index),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::IfAlias(alias) => link.alias = alias,
                LinkAttribute::LinkInfo(infos) => {
                    link.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
                }
                _ => {}
            }
        }
        link
    }
}

/// An IPv4 route: where to, through which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: Ipv4Net,
    pub(crate) link: Option<u32>,
    pub(crate) metric: u32,
}

/// A socket in the namespace it was opened in, wherever it is used.
#[derive(Debug)]
pub(crate) struct RouteSocket(NetlinkSocket);

impl RouteSocket {
    pub(crate) fn open() -> io::Result<Self> {
        NetlinkSocket::open(NETLINK_ROUTE).map(Self)
    }

    /// Makes all `changes` in order, in one system call; goes on after a refusal, and returns the first.
    pub(crate) fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), NetlinkError> {
        let messages: Vec<_> = changes.into_iter().map(Change::into_message).collect();
        self.0.exchange(&messages).map(drop)
    }

    /// The link called `name`, if there is one.
    pub(crate) fn link(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let request = RouteNetlinkMessage::GetLink(LinkUnspec::new_with_name(name).build());
        let message = Message { flags: NLM_F_REQUEST | NLM_F_ACK, ..encode(&request) };
        match self.0.exchange(&[message]) {
            Ok(answers) => Ok(links(&answers).next()),
            Err(error) if error.errno == Errno::NODEV => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let answers = self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(links(&answers).collect())
    }

    /// All IPv4 addresses with the index of their link.
    pub(crate) fn addresses(&mut self) -> Result<Vec<(u32, Ipv4Net)>, NetlinkError> {
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet;
        let answers = self.dump(&RouteNetlinkMessage::GetAddress(request))?;
        let parsed = answers.iter().filter_map(|answer| decode(answer)).filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        });
        Ok(parsed.filter_map(|address| Some((address.header.index, local_address(&address)?))).collect())
    }

    /// All IPv4 routes of all tables but the local one.
    pub(crate) fn routes(&mut self) -> Result<Vec<Route>, NetlinkError> {
        const RT_TABLE_LOCAL: u8 = 255;
        let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let answers = self.dump(&RouteNetlinkMessage::GetRoute(request))?;
        let parsed = answers.iter().filter_map(|answer| decode(answer)).filter_map(|message| match message {
            RouteNetlinkMessage::NewRoute(route) if route.header.table != RT_TABLE_LOCAL => Some(route),
            _ => None,
        });
        Ok(parsed.filter_map(|route| simple_route(&route)).collect())
    }

    fn dump(&mut self, request: &RouteNetlinkMessage) -> Result<Vec<Vec<u8>>, NetlinkError> {
        let message = encode(request);
        self.0.dump(message.kind, &message.body)
    }
}

fn links(answers: &[Vec<u8>]) -> impl Iterator<Item = Link> {
    answers.iter().filter_map(|answer| decode(answer)).filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link.into()),
        _ => None,
    })
}

/// What the library cannot parse is something newer than it, and nothing of ours.
fn decode(answer: &[u8]) -> Option<RouteNetlinkMessage> {
    let (header, body) = answer.split_at_checked(16)?;
    let message_type = u16::from_ne_bytes([header[4], header[5]]);
    let mut parsed = NetlinkHeader::default();
    parsed.message_type = message_type;
    RouteNetlinkMessage::deserialize(&parsed, body).ok()
}

fn local_address(message: &AddressMessage) -> Option<Ipv4Net> {
    let pick = |wanted: fn(&AddressAttribute) -> Option<std::net::IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    let local = pick(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        pick(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    match address {
        std::net::IpAddr::V4(address) => Ipv4Net::new(address, message.header.prefix_len).ok(),
        std::net::IpAddr::V6(_) => None,
    }
}

fn simple_route(message: &RouteMessage) -> Option<Route> {
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let (mut link, mut metric) = (None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = *address,
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::Priority(priority) => metric = *priority,
            _ => {}
        }
    }
    let destination = Ipv4Net::new(destination, message.header.destination_prefix_length).ok()?;
    Some(Route { destination, link, metric })
}
