//! The supervisor's state and its loop: waits for events and hands each to who deals with it.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ross_runtime::Container;
use ross_sys::signalfd::Signals;
use rustix::net::sockopt::socket_peercred;

use super::connection::{Attachment, Connection, Mode, is_transient};
use super::oom::OomScore;
use super::poll::{EventFlags, Poll, Token, Watch};
use super::session::{CONTAINER, Session};
use super::setup::note;
use crate::config::ShimConfig;
use crate::log::LogWriter;

/// How many clients may be connected at once; more have to wait to be accepted.
const MAX_CONNECTIONS: usize = 200;

/// How long no connection is accepted after that failed, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much is read at once.
pub(super) const READ_BUFFER: usize = 16 << 10;

pub(super) struct Supervisor {
    pub(super) config: ShimConfig,
    pub(super) oom_score: OomScore,
    pub(super) poll: Poll,
    /// The container, from a successful start until what is left of it was deleted.
    pub(super) container: Option<Container>,
    pub(super) paused: bool,
    /// The container's first process, and the execs.
    pub(super) sessions: Vec<Session>,
    pub(super) connections: Vec<Connection>,
    pub(super) log: Option<LogWriter>,
    pub(super) leaving: bool,
    /// Something large was freed.
    pub(super) trim: bool,
    pub(super) buffer: Vec<u8>,
    pub(super) last_id: u32,
    signals: Signals,
    listener: UnixListener,
    listener_watch: Watch,
    /// Until when no connection is accepted, after one could not be.
    accept_again: Option<Instant>,
    /// Where it listens.
    socket: PathBuf,
    own_log: PathBuf,
}

impl Supervisor {
    pub(super) fn new(
        config: ShimConfig,
        oom_score: OomScore,
        signals: Signals,
        listener: UnixListener,
        socket: PathBuf,
        own_log: PathBuf,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        Watch::default().set(&poll, &signals, Token::Signals, Some(EventFlags::IN))?;
        let session = Session::new(CONTAINER, None, config.terminal, config.open_stdin);
        Ok(Self {
            config,
            oom_score,
            poll,
            container: None,
            paused: false,
            sessions: vec![session],
            connections: Vec::new(),
            log: None,
            leaving: false,
            trim: false,
            buffer: vec![0; READ_BUFFER],
            last_id: CONTAINER,
            signals,
            listener,
            listener_watch: Watch::default(),
            accept_again: None,
            socket,
            own_log,
        })
    }

    /// Serves until a client says to leave, and then until everyone has what is theirs: a slow reader the rest of the
    /// output, and whoever waits for an exec how that ended. Who goes away is owed nothing.
    pub(super) fn run(&mut self) -> io::Result<()> {
        while !self.leaving || self.owes() {
            let now = Instant::now();
            let pause = self.accept_again.filter(|at| *at > now);
            self.watch_listener(pause.is_none())?;
            let next = self.next_deadline().into_iter().chain(pause).min();
            self.poll.wait(next.map(|at| at.saturating_duration_since(now)))?;
            let mut index = 0;
            while let Some((token, flags)) = self.poll.event(index) {
                self.dispatch(token, flags);
                index += 1;
            }
            self.give_up_on_overdue_output();
            self.sweep();
            if std::mem::take(&mut self.trim) {
                ross_sys::heap::trim();
            }
        }
        Ok(())
    }

    fn owes(&self) -> bool {
        let unfinished = |id: u32| {
            self.sessions.iter().any(|session| session.id == id && session.pid != 0 && session.exit.is_none())
        };
        self.connections.iter().filter(|connection| !connection.broken).any(|connection| {
            connection.queued() > 0
                || match connection.mode {
                    Mode::Waiting(session) | Mode::Attached(Attachment { session, .. }) => {
                        unfinished(session)
                    }
                    Mode::Greeting | Mode::Ready | Mode::Closing => false,
                }
        })
    }

    /// Nobody finds this shim any more; another may take its place.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        // One that is gone already is what was wanted.
        let _ = std::fs::remove_file(&self.socket);
    }

    /// The session, unless it was forgotten.
    pub(super) fn session(&mut self, id: u32) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    /// The connection, unless it was closed.
    pub(super) fn connection(&mut self, id: u32) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    /// An id that no session or connection has had.
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Leaves a word where someone may find it.
    pub(super) fn note(&self, text: &str) {
        note(&self.own_log, text);
    }

    fn dispatch(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Signals => {
                // Children that ended together may be one signal; the other signals are not for a shim.
                while self.signals.next().is_some() {}
                self.reap();
            }
            Token::Listener => self.accept(),
            Token::Connection(id) => self.connection_ready(id, flags),
            Token::Stdin(session) => self.stdin_ready(session),
            Token::Output(session, stream) => self.output_ready(session, stream),
        }
    }

    fn accept(&mut self) {
        while !self.leaving && self.connections.len() < MAX_CONNECTIONS {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if is_transient(&error) => return,
                Err(_) => {
                    // The client waits in the queue, and would be reported again at once.
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            };
            // The socket's mode says so already; a descriptor may have been passed on, though.
            if !socket_peercred(&socket).is_ok_and(|peer| peer.uid.is_root()) {
                continue;
            }
            let id = self.next_id();
            if let Ok(mut connection) = Connection::new(id, socket) {
                connection.flush();
                connection.settle(&self.poll, true);
                self.connections.push(connection);
            }
        }
    }

    fn watch_listener(&mut self, accepting: bool) -> io::Result<()> {
        let room = !self.leaving && self.connections.len() < MAX_CONNECTIONS;
        let wanted = (accepting && room).then_some(EventFlags::IN);
        self.listener_watch.set(&self.poll, &self.listener, Token::Listener, wanted)
    }

    fn connection_ready(&mut self, id: u32, flags: EventFlags) {
        let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        if flags.contains(EventFlags::OUT) {
            connection.flush();
        }
        if connection.input_closed {
            connection.broken |= gone;
        } else if gone || flags.contains(EventFlags::IN) {
            connection.receive(&mut self.buffer);
        }
        self.take_input(id);
        self.settle(id);
        if let Some(Mode::Attached(attachment)) = self.connection(id).map(|connection| connection.mode) {
            self.hold_or_release(attachment.session);
        }
    }

    /// Sends what can be sent on a connection and watches it for what comes next.
    pub(super) fn settle(&mut self, id: u32) {
        let blocked = match self.connection(id).map(|connection| connection.mode) {
            Some(Mode::Attached(attachment)) => {
                attachment.streams.stdin
                    && self.session(attachment.session).is_some_and(|session| session.is_stdin_blocked())
            }
            _ => false,
        };
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) {
            connection.flush();
            connection.settle(&self.poll, !blocked);
        }
    }

    /// Closes the connections that are of no more use, and lets programs go on that only those held up.
    fn sweep(&mut self) {
        let mut index = 0;
        let mut closed = false;
        while index < self.connections.len() {
            if self.connections[index].broken {
                let connection = self.connections.swap_remove(index);
                self.input_ended(&connection.mode);
                connection.close(&self.poll);
                closed = true;
            } else {
                index += 1;
            }
        }
        if closed {
            self.release_held_output();
        }
    }
}

/// Nanoseconds since 1970 UTC.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
