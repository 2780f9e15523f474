//! What programs write, to the log and to attached clients; and what clients send, to programs.

use super::connection::{Attachment, Mode};
use super::serve::{Supervisor, now};
use super::session::CONTAINER;
use crate::protocol::{Backpressure, OutputFrame, Stream};

/// How many reads go into one batch: as much as a pipe holds.
const READS_PER_BATCH: usize = 4;

/// A program is held up when this much waits for a client that asked for it.
const HOLD_ABOVE: usize = 256 << 10;

/// The rest of an ended program's output may make this much wait: more than is left of it in its pipes, which hold at
/// most a mebibyte each. Beyond that it is of others, who hold the pipes and write on.
const HOLD_ENDED_ABOVE: usize = 4 << 20;

/// It goes on when no more than this waits.
const RELEASE_BELOW: usize = 64 << 10;

/// A client that did not ask for it is disconnected when this much waits.
const DISCONNECT_ABOVE: usize = 1 << 20;

impl Supervisor {
    /// A program wrote something, or closed its end.
    pub(super) fn output_ready(&mut self, id: u32, stream: Stream) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else { return };
        let mut time = None;
        for _ in 0..READS_PER_BATCH {
            let Some(read) = session.read(&self.poll, stream, &mut self.buffer) else { break };
            let bytes = &self.buffer[..read];
            if id == CONTAINER
                && let Some(log) = &mut self.log
            {
                log.append(stream, bytes, *time.get_or_insert_with(now));
            }
            for connection in &mut self.connections {
                if let Mode::Attached(attachment) = connection.mode
                    && attachment.wants(id, stream)
                {
                    connection.queue_output(stream, bytes);
                }
            }
            if read < self.buffer.len() {
                break;
            }
        }
        if id == CONTAINER
            && let Some(log) = &mut self.log
        {
            log.flush();
        }
        self.settle_attached(id);
        self.hold_or_release(id);
        self.finish_if_drained(id);
    }

    /// A program takes more input: what waits is written, and the clients that were held up are heard again.
    pub(super) fn stdin_ready(&mut self, id: u32) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.write_pending(&self.poll);
        }
        self.settle_attached(id);
    }

    /// Goes on with every connection to this session: input that waited, output that was queued.
    pub(super) fn settle_attached(&mut self, id: u32) {
        let attached =
            |mode: &Mode| matches!(mode, Mode::Attached(Attachment { session, .. }) if *session == id);
        let mut index = 0;
        while let Some(connection) = self.connections.get(index) {
            if attached(&connection.mode) {
                let connection = connection.id;
                self.take_input(connection);
                self.settle(connection);
            }
            index += 1;
        }
    }

    /// No more input comes on a connection.
    pub(super) fn connection_input_closed(&mut self, id: u32) {
        let Some(connection) = self.connection(id) else { return };
        let mode = connection.mode;
        match mode {
            // It may still listen.
            Mode::Attached(_) | Mode::Closing => {}
            // An answer may be on its way.
            Mode::Greeting | Mode::Ready => connection.mode = Mode::Closing,
            Mode::Waiting(_) => connection.broken = true,
        }
        let blocked = !connection.input.is_empty();
        if !blocked {
            self.input_ended(&mode);
        }
    }

    /// Nobody will send input any more. An exec belongs to its client; a container does not.
    pub(super) fn input_ended(&mut self, mode: &Mode) {
        if let Mode::Attached(attachment) = mode
            && attachment.streams.stdin
            && attachment.session != CONTAINER
        {
            self.end_stdin(attachment.session);
        }
    }

    pub(super) fn end_stdin(&mut self, id: u32) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.end_stdin(&self.poll);
        }
    }

    /// Holds a program up when a client asked for that and does not keep up, and disconnects one that did
    /// not.
    pub(super) fn hold_or_release(&mut self, id: u32) {
        let mut most_queued = 0;
        for connection in &mut self.connections {
            let Mode::Attached(attachment) = connection.mode else { continue };
            if attachment.session != id || connection.broken {
                continue;
            }
            match attachment.backpressure {
                Backpressure::Block => most_queued = most_queued.max(connection.queued()),
                Backpressure::Disconnect if connection.queued() > DISCONNECT_ABOVE => {
                    connection.queue_last(&OutputFrame::Error {
                        kind: ross_types::ErrorKind::ResourceExhausted.reason().to_owned(),
                        text: "the client does not keep up with the output".to_owned(),
                    });
                }
                Backpressure::Disconnect => {}
            }
        }
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else { return };
        let limit = if session.ended.is_none() { HOLD_ABOVE } else { HOLD_ENDED_ABOVE };
        let held = most_queued > limit || (session.held && most_queued > RELEASE_BELOW);
        if held != session.held {
            session.held = held;
            session.watch_outputs(&self.poll);
        }
    }

    /// Looks again at every session that is held up.
    pub(super) fn release_held_output(&mut self) {
        let held = self.sessions.iter().filter(|session| session.held);
        let ids: Vec<u32> = held.map(|session| session.id).collect();
        for id in ids {
            self.hold_or_release(id);
        }
    }
}
