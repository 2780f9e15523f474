//! A blocking netlink socket: several requests in one datagram, and the answer to each.
//!
//! Source: netlink(7); extended acknowledgements are of Linux 4.12.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rtnetlink::sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size_force, set_socket_timeout};

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The kernel always answers; this only turns a bug into an error.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const RECEIVE_BUFFER: usize = 64 * 1024;
/// Thousands of ports may be published in one batch.
const SEND_BUFFER: usize = 8 * 1024 * 1024;
const DUMP_ATTEMPTS: u32 = 5;

/// A request: everything but the length, sequence and port of the header.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
}

/// Something the kernel tells of its own accord.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

/// The kernel refused one of the requests of a datagram.
#[derive(Debug, thiserror::Error)]
#[error("{errno}{}", detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub(crate) struct NetlinkError {
    pub(crate) errno: Errno,
    detail: Option<String>,
}

impl From<Errno> for NetlinkError {
    fn from(errno: Errno) -> Self {
        Self { errno, detail: None }
    }
}

impl From<io::Error> for NetlinkError {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => Self { errno, detail: None },
            None => Self { errno: Errno::IO, detail: Some(error.to_string()) },
        }
    }
}

impl From<NetlinkError> for io::Error {
    fn from(error: NetlinkError) -> Self {
        let kind = io::Error::from(error.errno).kind();
        match error.detail {
            None => error.errno.into(),
            Some(_) => Self::new(kind, error),
        }
    }
}

pub(crate) struct NetlinkSocket {
    socket: Socket,
    sequence: u32,
}

impl std::fmt::Debug for NetlinkSocket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NetlinkSocket").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl NetlinkSocket {
    /// Opens a socket in the calling thread's network namespace, where it stays.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        // Needs CAP_NET_ADMIN, as does all the rest; the default is enough for everyday batches.
        let _ = set_socket_send_buffer_size_force(&socket, SEND_BUFFER);
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends `messages` in one datagram, waits for the end of each that asks for an acknowledgement or a dump,
    /// and returns the answers (whole messages). The first refusal is the error; the rest is still waited for.
    pub(crate) fn exchange(&mut self, messages: &[Message]) -> Result<Vec<Vec<u8>>, NetlinkError> {
        let mut datagram = Vec::new();
        let first = self.sequence.wrapping_add(1);
        let mut open = 0_usize;
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            let length = u32::try_from(HEADER + message.body.len()).map_err(|_| Errno::MSGSIZE)?;
            datagram.extend(length.to_ne_bytes());
            datagram.extend(message.kind.to_ne_bytes());
            datagram.extend(message.flags.to_ne_bytes());
            datagram.extend(self.sequence.to_ne_bytes());
            datagram.extend([0; 4]);
            datagram.extend(&message.body);
            datagram.resize(datagram.len().next_multiple_of(4), 0);
            open += usize::from(message.flags & (NLM_F_ACK | NLM_F_DUMP) != 0);
        }
        self.socket.send(&datagram, 0)?;
        let count = u32::try_from(messages.len()).map_err(|_| Errno::MSGSIZE)?;
        self.collect(open, |sequence| sequence.wrapping_sub(first) < count)
    }

    fn collect(&mut self, mut open: usize, ours: impl Fn(u32) -> bool) -> Result<Vec<Vec<u8>>, NetlinkError> {
        let mut answers = Vec::new();
        let mut refusal = None;
        let mut interrupted = false;
        while open > 0 {
            let mut buffer = Vec::with_capacity(RECEIVE_BUFFER);
            self.socket.recv(&mut buffer, 0)?;
            for answer in Answers(&buffer).filter(|answer| ours(answer.sequence)) {
                interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
                match answer.kind {
                    NLMSG_ERROR => {
                        open -= 1;
                        if let Some(error) = answer.refusal() {
                            // A refused batch header is answered in place of all that was in it.
                            if !answer.is_acknowledged_request() {
                                return Err(error);
                            }
                            refusal.get_or_insert(error);
                        }
                    }
                    NLMSG_DONE => {
                        open -= 1;
                        // A dump that failed half-way ends with the reason.
                        refusal = refusal.or(answer.refusal());
                    }
                    _ => answers.push(answer.whole.to_vec()),
                }
            }
        }
        match (refusal, interrupted) {
            (Some(error), _) => Err(error),
            (None, true) => Err(Errno::INTR.into()),
            (None, false) => Ok(answers),
        }
    }

    /// Has the kernel tell this socket of the changes that `group` is about.
    pub(crate) fn join(&mut self, group: u32) -> io::Result<()> {
        self.socket.add_membership(group)
    }

    /// What the kernel tells; waits until it tells something.
    pub(crate) fn notifications(&mut self) -> Result<Vec<Notification>, NetlinkError> {
        let mut buffer = Vec::with_capacity(RECEIVE_BUFFER);
        self.socket.recv(&mut buffer, 0)?;
        let told = Answers(&buffer);
        Ok(told.map(|answer| Notification { kind: answer.kind, body: answer.body().to_vec() }).collect())
    }

    /// Asks for a whole table, again when it changed while it was read.
    pub(crate) fn dump(&mut self, kind: u16, body: &[u8]) -> Result<Vec<Vec<u8>>, NetlinkError> {
        let mut attempt = 1;
        loop {
            let message = Message { kind, flags: NLM_F_REQUEST | NLM_F_DUMP, body: body.to_vec() };
            match self.exchange(&[message]) {
                Err(error) if error.errno == Errno::INTR && attempt < DUMP_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }
}

struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    whole: &'a [u8],
}

impl Answer<'_> {
    fn body(&self) -> &[u8] {
        &self.whole[HEADER..]
    }

    fn refusal(&self) -> Option<NetlinkError> {
        let code = i32::from_ne_bytes(self.body().get(..4)?.try_into().ok()?);
        if code == 0 {
            return None;
        }
        let mut detail = None;
        if self.flags & NLM_F_ACK_TLVS != 0 {
            // With NETLINK_CAP_ACK the request's header alone comes back, then the attributes.
            let attributes = self.body().get(4 + HEADER..).unwrap_or_default();
            detail = attribute(attributes, NLMSGERR_ATTR_MSG)
                .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        Some(NetlinkError { errno: Errno::from_raw_os_error(-code), detail })
    }

    /// Whether the request this answers had asked for an answer.
    fn is_acknowledged_request(&self) -> bool {
        let flags = self.body().get(4 + 6..4 + 8).and_then(|bytes| bytes.try_into().ok());
        flags.map(u16::from_ne_bytes).is_some_and(|flags| flags & (NLM_F_ACK | NLM_F_DUMP) != 0)
    }
}

struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let header = self.0.get(..HEADER)?;
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = usize::try_from(word(0)).ok()?;
        let whole = self.0.get(..length).filter(|_| length >= HEADER)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Answer { kind: half(4), flags: half(6), sequence: word(8), whole })
    }
}

/// The payload of the first attribute of `kind`, nested or not.
pub(crate) fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    const TYPE_MASK: u16 = 0x3fff;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let found = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        let payload = attributes.get(4..length)?;
        if found == kind {
            return Some(payload);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// Appends an attribute, padded.
pub(crate) fn push_attribute(out: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 4).expect("attributes are split before they pass 64 KiB");
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Appends an attribute whose payload is attributes.
pub(crate) fn push_nested(out: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    const NLA_F_NESTED: u16 = 0x8000;
    let mut payload = Vec::new();
    fill(&mut payload);
    push_attribute(out, kind | NLA_F_NESTED, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_behind_padding() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 1, b"abcde");
        push_nested(&mut bytes, 2, |inner| push_attribute(inner, 7, &[1, 2]));
        assert_eq!(bytes.len(), 12 + 12);
        assert_eq!(attribute(&bytes, 1), Some(&b"abcde"[..]));
        assert_eq!(attribute(attribute(&bytes, 2).unwrap(), 7), Some(&[1, 2][..]));
        assert_eq!(attribute(&bytes, 3), None);
        assert_eq!(attribute(&bytes[..6], 1), None, "cut off");
    }

    #[test]
    fn answers_stop_at_nonsense() {
        assert_eq!(Answers(&[0; 16]).count(), 0, "a length of zero");
        assert_eq!(Answers(&[0xff; 40]).count(), 0, "a length beyond the end");
        assert_eq!(Answers(&[1, 2, 3]).count(), 0);
    }
}
