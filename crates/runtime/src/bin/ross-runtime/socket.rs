//! Sockets of a caller that a descriptor is handed over: the master of a terminal, the pidfd of a program.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// A socket, and what its caller waits for.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: UnixStream,
    what: &'static str,
    name: &'static [u8],
}

impl Receiver {
    /// Connects to the socket of a console, before anything is made that would have to be undone.
    pub(crate) fn of_console(path: &Path) -> Result<Self, String> {
        Self::connect(path, "console", b"/dev/ptmx")
    }

    /// The same for a pidfd.
    pub(crate) fn of_pidfd(path: &Path) -> Result<Self, String> {
        Self::connect(path, "pidfd", b"pidfd")
    }

    fn connect(path: &Path, what: &'static str, name: &'static [u8]) -> Result<Self, String> {
        let socket = UnixStream::connect(path)
            .map_err(|error| format!("connect to {what} socket {}: {error}", path.display()))?;
        Ok(Self { socket, what, name })
    }

    /// Sends the descriptor, with a name as runc does.
    pub(crate) fn send(&self, fd: &OwnedFd) -> Result<(), String> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let name = IoSlice::new(self.name);
        sendmsg(&self.socket, &[name], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|errno| format!("send the {} over its socket: {errno}", self.what))
    }
}
