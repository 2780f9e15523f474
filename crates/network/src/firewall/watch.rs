//! Seeing that somebody removed our rules: `nft flush ruleset` is how most hosts reload their firewall.
//!
//! Without its rules the bridge would be open to the wire, and the host's loopback to containers, until the next
//! container is published. The kernel tells of every change of its tables; a thread listens and has the table written
//! again. It ends with the firewall it watches.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::thread;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::Firewall;
use crate::netlink::elements;
use crate::netlink::socket::NetlinkSocket;

/// Starts watching in the calling thread's network namespace. The thread ends when what is returned is dropped.
pub(super) fn start(firewall: &Arc<Firewall>) -> io::Result<OwnedFd> {
    let mut changes = NetlinkSocket::open(NETLINK_NETFILTER)?;
    changes.join(elements::CHANGES_OF_TABLES)?;
    let (ended, end) = pipe_with(PipeFlags::CLOEXEC)?;
    let firewall = Arc::downgrade(firewall);
    let watching = move || watch(&mut changes, &ended, &firewall);
    thread::Builder::new().name("ross-firewall".into()).spawn(watching)?;
    Ok(end)
}

fn watch(changes: &mut NetlinkSocket, ended: &OwnedFd, firewall: &Weak<Firewall>) {
    loop {
        let mut ready =
            [PollFd::new(ended, PollFlags::IN), PollFd::from_borrowed_fd(changes.as_fd(), PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            Err(errno) => return tracing::warn!(%errno, "the firewall is no longer watched"),
            Ok(_) if !ready[0].revents().is_empty() => return,
            Ok(_) => {}
        }
        let Some(firewall) = firewall.upgrade() else { return };
        let ours = match changes.notifications() {
            Ok(messages) => {
                messages.iter().any(|message| elements::takes_away_from(message, &firewall.table))
            }
            // More changes than the socket holds: any may have been among them.
            Err(error) if error.errno == Errno::NOBUFS => true,
            Err(error) => return tracing::warn!(%error, "the firewall is no longer watched"),
        };
        if ours {
            firewall.mend();
        }
    }
}
