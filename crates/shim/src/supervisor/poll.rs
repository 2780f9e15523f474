//! epoll, with tokens that say what an event is about.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
pub(super) use rustix::event::epoll::EventFlags;
use rustix::event::epoll::{self, CreateFlags, Event, EventData};
use rustix::io::Errno;

use crate::protocol::Stream;

/// How many events are taken at once.
const BATCH: usize = 16;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A signal came, such as that a child ended.
    Signals,
    /// A client connects.
    Listener,
    /// A client sent something, or takes more.
    Connection(u32),
    /// A program takes more input.
    Stdin(u32),
    /// A program wrote something.
    Output(u32, Stream),
}

pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What a descriptor is watched for, so that the kernel is told only what changes.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<EventFlags>);

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(BATCH) })
    }

    /// Waits for events, at most for `timeout`; none when it passed.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The event at `index` of the last wait.
    pub(super) fn event(&self, index: usize) -> Option<(Token, EventFlags)> {
        let event = self.events.get(index)?;
        Some((Token::from_data(event.data.u64())?, event.flags))
    }
}

impl Watch {
    /// Watches `fd` for `wanted` from now on; `None` is not even for errors.
    pub(super) fn set(
        &mut self,
        poll: &Poll,
        fd: impl AsFd,
        token: Token,
        wanted: Option<EventFlags>,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token.data());
        match (self.0, wanted) {
            (before, after) if before == after => {}
            (None, Some(flags)) => epoll::add(&poll.epoll, fd, data, flags)?,
            (Some(_), Some(flags)) => epoll::modify(&poll.epoll, fd, data, flags)?,
            (_, None) => epoll::delete(&poll.epoll, fd)?,
        }
        self.0 = wanted;
        Ok(())
    }
}

impl Token {
    fn data(self) -> u64 {
        let (kind, id) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Connection(id) => (2, id),
            Self::Stdin(id) => (3, id),
            Self::Output(id, Stream::Stdout) => (4, id),
            Self::Output(id, Stream::Stderr) => (5, id),
        };
        kind << 32 | u64::from(id)
    }

    fn from_data(data: u64) -> Option<Self> {
        let id = u32::try_from(data & 0xffff_ffff).expect("masked to 32 bits");
        Some(match data >> 32 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Connection(id),
            3 => Self::Stdin(id),
            4 => Self::Output(id, Stream::Stdout),
            5 => Self::Output(id, Stream::Stderr),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel() {
        for token in [
            Token::Signals,
            Token::Listener,
            Token::Connection(u32::MAX),
            Token::Stdin(0),
            Token::Output(7, Stream::Stdout),
            Token::Output(u32::MAX, Stream::Stderr),
        ] {
            assert_eq!(Token::from_data(token.data()), Some(token));
        }
        assert_eq!(Token::from_data(99 << 32), None);
    }
}
