//! Console sockets: the master of a terminal, handed to whoever listens.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// Connects to a console socket, before anything is made that would have to be undone.
pub(crate) fn connect(path: &Path) -> Result<UnixStream, String> {
    UnixStream::connect(path)
        .map_err(|error| format!("connect to console socket {}: {error}", path.display()))
}

/// Sends the master, with a name as runc does.
pub(crate) fn send(socket: &UnixStream, master: &OwnedFd) -> Result<(), String> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [master.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let name = IoSlice::new(b"/dev/ptmx");
    sendmsg(socket, &[name], &mut control, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(|errno| format!("send the console over its socket: {errno}"))
}
