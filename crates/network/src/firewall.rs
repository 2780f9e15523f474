//! One nftables table of our own: rules that never change, and maps of what is published.
//!
//! The table is written by the `nft` program, whole and in one transaction, when it is first needed or was found
//! damaged; containers come and go as map elements over netlink. The elements that should be there are known
//! here, so that a table that was flushed is written again complete, at once (see `watch`). No other table is ever
//! touched.

mod program;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;
pub(crate) use table::Layout;

use crate::Error;
use crate::netlink::conntrack;
use crate::netlink::elements::{self, Element, Key};
use crate::netlink::socket::{NetlinkError, NetlinkSocket};

#[derive(Debug)]
pub(crate) struct Firewall {
    table: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the table was written by this process.
    layout: Option<Layout>,
    elements: BTreeMap<Key, SocketAddrV4>,
    /// Kept open: closing a netfilter socket waits until all that was removed is destroyed (nft_rcv_nl_event),
    /// some ten milliseconds.
    socket: Option<NetlinkSocket>,
    /// Keeps the watch going; none before the table was first written.
    watch: Option<OwnedFd>,
}

impl State {
    /// Runs `work` on the socket, which is opened on first use and again after a failure other than a refusal.
    fn with_socket(
        &mut self,
        work: impl FnOnce(&mut NetlinkSocket) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(NetlinkSocket::open(NETLINK_NETFILTER)?),
        };
        let result = work(socket);
        if result.as_ref().is_err_and(|error| matches!(error.errno, Errno::NOBUFS | Errno::AGAIN)) {
            self.socket = None;
        }
        result
    }
}

impl Firewall {
    /// The table's name follows the bridge's: `ross` for `ross0`, so that daemons with other bridges keep apart.
    pub(crate) fn new(bridge: &str) -> Self {
        let table = if bridge == "ross0" { "ross".to_owned() } else { format!("ross.{bridge}") };
        Self { table, state: Mutex::default() }
    }

    /// Writes the table, with the elements known by now, in place of what is there under its name.
    pub(crate) fn install(self: &Arc<Self>, layout: Layout) -> Result<(), Error> {
        let mut state = self.state();
        if state.watch.is_none() {
            match watch::start(self) {
                Ok(end) => state.watch = Some(end),
                Err(error) => tracing::warn!(%error, "a flushed firewall will be mended late"),
            }
        }
        program::run(&table::replace(&self.table, &layout, &state.elements))?;
        state.layout = Some(layout);
        Ok(())
    }

    /// Writes the table again if rules of it are missing.
    fn mend(&self) {
        let mut state = self.state();
        let Some(layout) = state.layout.clone() else { return };
        let text = table::replace(&self.table, &layout, &state.elements);
        let mut present = 0;
        let counted = state.with_socket(|socket| {
            present = elements::count_rules(socket, &self.table)?;
            Ok(())
        });
        if counted.is_ok() && present == table::count_rules(&text) {
            return;
        }
        tracing::warn!(table = self.table, "somebody removed rules; writing the nftables table again");
        if let Err(error) = program::run(&text) {
            tracing::error!(%error, "containers are unprotected and their ports unpublished");
        }
    }

    /// Adds `elements`. When the table is gone or holds something else under a key, it is written again.
    pub(crate) fn publish(&self, elements: &[Element]) -> Result<(), Error> {
        let mut state = self.state();
        state.elements.extend(elements.iter().copied());
        let added = state.with_socket(|socket| elements::add(socket, &self.table, elements));
        if let Err(refusal) = added {
            let Some(layout) = &state.layout else {
                return Err(Error::io(format!("add elements to nftables table {}", self.table), refusal));
            };
            tracing::warn!(table = self.table, %refusal, "the nftables table is damaged; writing it again");
            program::run(&table::replace(&self.table, layout, &state.elements))?;
        }
        Ok(())
    }

    /// Removes the elements under `keys`, whether they are there or not.
    pub(crate) fn withdraw(&self, keys: &[Key]) -> Result<(), Error> {
        let mut state = self.state();
        for key in keys {
            state.elements.remove(key);
        }
        state
            .with_socket(|socket| elements::remove(socket, &self.table, keys))
            .map_err(|error| Error::io(format!("remove elements of nftables table {}", self.table), error))
    }

    /// Forgets the UDP flows that are translated to `container`.
    pub(crate) fn forget_flows_to(&self, container: Ipv4Addr) -> Result<(), Error> {
        self.state()
            .with_socket(|socket| conntrack::forget_flows_to(socket, container))
            .map_err(|error| Error::io(format!("forget tracked flows to {container}"), error))
    }

    /// Forgets the UDP flows to one of `ports` of one of the host's `addresses`.
    pub(crate) fn forget_flows_from_outside(
        &self,
        addresses: &[Ipv4Addr],
        ports: &[u16],
    ) -> Result<(), Error> {
        self.state()
            .with_socket(|socket| conntrack::forget_flows_from_outside(socket, addresses, ports))
            .map_err(|error| Error::io("forget tracked flows to published udp ports", error))
    }

    /// Notes elements that leases of an earlier process imply; the next [`Firewall::install`] writes them.
    pub(crate) fn remember(&self, elements: impl IntoIterator<Item = Element>) {
        self.state().elements.extend(elements);
    }

    /// Removes the table, if it is there.
    pub(crate) fn uninstall(&self) -> Result<(), Error> {
        let mut state = self.state();
        program::run(&table::remove(&self.table))?;
        state.layout = None;
        Ok(())
    }

    /// Removes the table, if this process wrote it.
    pub(crate) fn uninstall_if_ours(&self) -> Result<(), Error> {
        let ours = self.state().layout.is_some();
        if ours { self.uninstall() } else { Ok(()) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
