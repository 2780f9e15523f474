//! One client's connection: bytes in, bytes out, never waiting.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::poll::{EventFlags, Poll, Token, Watch};
use crate::protocol::{self, Backpressure, OutputFrame, Response, Stream, Streams};

/// Buffers larger than this are given back when they are empty.
const KEPT_CAPACITY: usize = 4 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u32,
    pub(super) mode: Mode,
    /// What was received and not yet handled.
    pub(super) input: Vec<u8>,
    /// The client will send nothing more.
    pub(super) input_closed: bool,
    /// The connection is of no more use.
    pub(super) broken: bool,
    socket: UnixStream,
    watch: Watch,
    output: Vec<u8>,
    sent: usize,
}

/// What a connection is used for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The client has yet to say that it speaks the protocol.
    Greeting,
    /// It may send a request.
    Ready,
    /// It waits for the end of this session.
    Waiting(u32),
    /// It is connected to a session's streams.
    Attached(Attachment),
    /// What is queued is sent, then the connection closes.
    Closing,
}

/// A connection to a session's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attachment {
    pub(super) session: u32,
    pub(super) streams: Streams,
    pub(super) backpressure: Backpressure,
}

impl Attachment {
    pub(super) fn wants(&self, session: u32, stream: Stream) -> bool {
        self.session == session
            && match stream {
                Stream::Stdout => self.streams.stdout,
                Stream::Stderr => self.streams.stderr,
            }
    }
}

impl Connection {
    pub(super) fn new(id: u32, socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            id,
            mode: Mode::Greeting,
            input: Vec::new(),
            input_closed: false,
            broken: false,
            socket,
            watch: Watch::default(),
            output: protocol::preamble().to_vec(),
            sent: 0,
        })
    }

    /// Reads once, through `buffer`, into `input`.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        match self.socket.read(buffer) {
            Ok(0) => self.input_closed = true,
            Ok(read) => self.input.extend_from_slice(&buffer[..read]),
            Err(error) if is_transient(&error) => {}
            Err(_) => self.broken = true,
        }
    }

    /// Queues an answer.
    pub(super) fn respond(&mut self, response: &Response) {
        if protocol::append(&mut self.output, response).is_err() {
            self.broken = true;
        }
    }

    /// Queues bytes that the program wrote.
    pub(super) fn queue_output(&mut self, stream: Stream, bytes: &[u8]) {
        protocol::append_output(&mut self.output, stream, bytes);
    }

    /// Queues the last frame of an attachment.
    pub(super) fn queue_last(&mut self, frame: &OutputFrame<'_>) {
        if protocol::append(&mut self.output, frame).is_err() {
            self.broken = true;
        }
        self.mode = Mode::Closing;
    }

    /// How many bytes wait for the client.
    pub(super) fn queued(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) {
        while self.sent < self.output.len() && !self.broken {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        if self.sent == self.output.len() {
            self.sent = 0;
            self.output.clear();
            if self.output.capacity() > KEPT_CAPACITY {
                self.output = Vec::new();
            }
            self.broken |= self.mode == Mode::Closing;
        } else if self.sent > self.output.len() / 2 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Ends it, whatever is still queued.
    pub(super) fn close(mut self, poll: &Poll) {
        // That this fails means that it was not watched.
        let _ = self.watch.set(poll, &self.socket, Token::Connection(self.id), None);
    }

    /// Watches the socket for what can be done with it now; `listening` says whether input is wanted.
    pub(super) fn settle(&mut self, poll: &Poll, listening: bool) {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, listening && !self.input_closed);
        flags.set(EventFlags::OUT, self.queued() > 0);
        // A client that has gone is reported for ever: where its last input has to wait, so has this.
        let wanted = if listening || self.queued() > 0 { Some(flags) } else { None };
        self.broken |= self.watch.set(poll, &self.socket, Token::Connection(self.id), wanted).is_err();
        if self.input.is_empty() && self.input.capacity() > KEPT_CAPACITY {
            self.input = Vec::new();
        }
    }
}

pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
