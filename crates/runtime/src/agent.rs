//! The seccomp agent: whoever listens at `linux.seccomp.listenerPath` gets the descriptor through which it decides about
//! calls with the action SCMP_ACT_NOTIFY, and is told whose they are (config-linux.md, "The Container Process State").

use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use ross_sys::SysError;
use ross_sys::clone::Child;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use crate::error::Error;
use crate::plan::HookState;
use crate::seccomp::Listener;
use crate::state::{OCI_VERSION, file, json};

/// Hands the listener, which is descriptor `number` of the child, to the agent. `container` is the state of the container
/// that the child is or joins, and `pid` its first process.
///
/// The child is inside its filter and waits: it could not send the descriptor by a call that is itself notified.
pub(crate) fn hand_over(
    listener: &Listener,
    child: &Child,
    number: i32,
    container: &HookState,
    pid: i32,
) -> Result<(), Error> {
    let fd = pidfd_getfd(&child.pidfd, number, PidfdGetfdFlags::empty())
        .map_err(|errno| SysError::new("pidfd_getfd", errno).with("the seccomp listener"))?;
    let message = format!(
        "{{\"ociVersion\":\"{OCI_VERSION}\",\"fds\":[\"seccompFd\"],\"pid\":{},\"metadata\":{},\"state\":{}}}",
        child.pid,
        json(&listener.metadata),
        container.with_pid(pid),
    );
    let message = message.as_bytes();
    let failed = |operation| move |error: std::io::Error| file(operation, &listener.path, &error);
    let mut socket = UnixStream::connect(&listener.path).map_err(failed("connect to seccomp agent"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = sendmsg(&socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL);
    // The descriptor goes with the first byte; a stream may take the others later.
    sent.map_err(std::io::Error::from)
        .and_then(|sent| socket.write_all(&message[sent..]))
        .map_err(failed("send to seccomp agent"))
}
