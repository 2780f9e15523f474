//! Passes on what a program tells by sd_notify(3): from its own socket to that of the service manager which started the
//! runtime.
//!
//! The manager believes only its main process and knows only process ids of the host: what a program says about
//! processes and descriptors goes no further, and which process is the main one the runtime says itself.

use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::log::Log;

/// Longest message that systemd takes.
const LONGEST: usize = 4096;

/// What a program may say of itself. Not MAINPID, FDSTORE, BARRIER and the like.
const PASSED: [&str; 10] = [
    "READY=",
    "RELOADING=",
    "STOPPING=",
    "MONOTONIC_USEC=",
    "STATUS=",
    "ERRNO=",
    "BUSERROR=",
    "EXIT_STATUS=",
    "WATCHDOG=",
    "EXTEND_TIMEOUT_USEC=",
];

/// How long the manager may take to have read all that was said.
const BARRIER: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// How long it may take to have room for the message that the program is ready. All others it misses if it has none.
const ROOM: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Messages passed on at a time: a program that never stops talking keeps the runtime from nothing else.
const AT_ONCE: usize = 64;

/// Whether there is a manager to tell.
pub(crate) fn is_wanted() -> bool {
    manager().is_some()
}

fn manager() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
}

/// Connects to the manager; `None` when there is none, or it cannot be reached: no service fails for that.
pub(crate) fn connect(log: &Log) -> Option<UnixDatagram> {
    let path = manager()?;
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let connected = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // Its queue is short, and a manager may be stuck.
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    connected.inspect_err(|error| log.warn(&format!("NOTIFY_SOCKET {}: {error}", path.display()))).ok()
}

/// The way from a program to the manager.
#[derive(Debug)]
pub(crate) struct Relay {
    program: UnixDatagram,
    manager: UnixDatagram,
    main: u32,
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

impl Relay {
    /// `main` is what the manager is to take for the main process once the program is ready.
    pub(crate) fn new(program: UnixDatagram, manager: UnixDatagram, main: u32) -> Self {
        Self { program, manager, main }
    }

    /// Passes on what the program has said; whether it said that it is ready.
    pub(crate) fn pass(&self) -> bool {
        let mut ready = false;
        let mut message = [0; LONGEST];
        for _ in 0..AT_ONCE {
            // Descriptors that come with a message are dropped: who waits behind a barrier goes on.
            match recv(&self.program, &mut message[..], RecvFlags::DONTWAIT) {
                Ok((count, _)) => {
                    let (text, says_ready) = translate(&message[..count], self.main);
                    ready |= says_ready;
                    if !text.is_empty() {
                        self.tell(text.as_bytes(), says_ready);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        ready
    }

    /// A manager that is gone, or has no room, is nothing the program could help.
    fn tell(&self, text: &[u8], wait: bool) {
        let full = |sent: &std::io::Result<usize>| {
            sent.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        if full(&self.manager.send(text)) && wait && self.has_room(&ROOM) {
            let _ = self.manager.send(text);
        }
    }

    /// Waits until the manager takes another message.
    fn has_room(&self, patience: &Timespec) -> bool {
        let mut fds = [PollFd::new(&self.manager, PollFlags::OUT)];
        loop {
            match poll(&mut fds, Some(patience)) {
                Err(Errno::INTR) => {}
                polled => return polled.is_ok_and(|ready| ready > 0),
            }
        }
    }

    /// Passes on what the program says until it is ready and the manager knows, or it has ended. `program` is its pidfd.
    pub(crate) fn wait_ready(&self, program: BorrowedFd<'_>, log: &Log) {
        if self.is_ready(program) {
            self.wait_manager();
        } else {
            log.warn("the program has ended, and never said that it is ready");
        }
    }

    fn is_ready(&self, program: BorrowedFd<'_>) -> bool {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.program.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(program, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                Err(_) => return false,
                Ok(_) => {}
            }
            let ended = !fds[1].revents().is_empty();
            let ready = self.pass();
            if ready || ended {
                return ready;
            }
        }
    }

    /// Waits until the manager has read what it was sent: it asks who the sender is, and this process is about to be
    /// gone. sd_notify_barrier(3): the manager closes the descriptor it gets.
    fn wait_manager(&self) {
        let Ok((ours, theirs)) = pipe_with(PipeFlags::CLOEXEC) else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [theirs.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let message = [IoSlice::new(b"BARRIER=1")];
        if !self.has_room(&BARRIER)
            || sendmsg(&self.manager, &message, &mut control, SendFlags::NOSIGNAL).is_err()
        {
            return;
        }
        drop(theirs);
        let mut fds = [PollFd::new(&ours, PollFlags::empty())];
        while let Err(Errno::INTR) = poll(&mut fds, Some(&BARRIER)) {}
    }
}

/// What of a message goes on, and whether it says that the program is ready.
fn translate(message: &[u8], main: u32) -> (String, bool) {
    let mut passed = String::new();
    let mut ready = false;
    for line in message.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if PASSED.iter().any(|name| line.starts_with(name)) {
            passed.push_str(line);
            passed.push('\n');
        }
        if line == "READY=1" && !ready {
            ready = true;
            passed.push_str(&format!("MAINPID={main}\n"));
        }
    }
    (passed, ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let check = |message: &str, passed: &str, ready: bool| {
            assert_eq!(translate(message.as_bytes(), 7), (passed.to_owned(), ready), "{message:?}");
        };
        check("READY=1", "READY=1\nMAINPID=7\n", true);
        check("STATUS=a b\nREADY=1\nREADY=1\n", "STATUS=a b\nREADY=1\nMAINPID=7\nREADY=1\n", true);
        check("MAINPID=1\nFDSTORE=1\nFDNAME=x\nBARRIER=1\nMAINPIDFD=1", "", false);
        check("READY=0\nWATCHDOG=1", "READY=0\nWATCHDOG=1\n", false);
        check("STOPPING=1\n\nX_A=b\n", "STOPPING=1\n", false);
        check("", "", false);
        let (passed, ready) = translate(b"STATUS=\xff\nREADY=1", 7);
        assert_eq!((passed.as_str(), ready), ("READY=1\nMAINPID=7\n", true));
    }
}
