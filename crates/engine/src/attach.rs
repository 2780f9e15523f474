//! Streams of a process, for clients: connected at once, or as soon as the process is started.

use ross_shim::client::{AttachEvent, AttachReader, AttachStream, AttachWriter, ClientError, ShimClient};
use ross_shim::protocol::{self, AttachRequest, Backpressure, Streams};
use std::sync::Arc;
use tokio::sync::oneshot;

use crate::error::{EngineError, Result};
use crate::exec::Exec;
use crate::logs::LogStream;
use crate::model::{AttachOptions, Exited, OutputEvent, Stream, TerminalSize};

/// The streams of a process. Dropping both halves detaches; the process goes on.
#[derive(Debug)]
pub struct AttachSession {
    /// Towards the process.
    pub input: AttachInput,
    /// From the process.
    pub output: AttachOutput,
}

/// Towards a process.
#[derive(Debug)]
pub struct AttachInput {
    link: Link<AttachWriter>,
}

/// From a process.
#[derive(Debug)]
pub struct AttachOutput {
    /// What was logged before, first.
    pub(crate) replay: Option<LogStream>,
    link: Link<AttachReader>,
    /// Whose exit code is stored before its end is told.
    exec: Option<Arc<Exec>>,
}

/// A connection that is there, is to come, or will not come.
#[derive(Debug)]
enum Link<T> {
    Ready(T),
    Waiting(oneshot::Receiver<T>),
    Gone,
}

impl<T> Link<T> {
    /// Waits for the connection; none when it will not come. Safe to cancel.
    async fn ready(&mut self) -> Option<&mut T> {
        if let Self::Waiting(receiver) = self {
            *self = match receiver.await {
                Ok(ready) => Self::Ready(ready),
                Err(_) => Self::Gone,
            };
        }
        if let Self::Ready(ready) = self { Some(ready) } else { None }
    }
}

/// A client that waits for a container to be started.
#[derive(Debug)]
pub(crate) struct PendingAttach {
    pub(crate) options: AttachOptions,
    reader: oneshot::Sender<AttachReader>,
    writer: oneshot::Sender<AttachWriter>,
}

impl PendingAttach {
    /// The client's side, and the one that is connected later.
    pub(crate) fn new(options: AttachOptions) -> (AttachSession, Self) {
        let (reader, waits_for_reader) = oneshot::channel();
        let (writer, waits_for_writer) = oneshot::channel();
        let session = AttachSession {
            input: AttachInput { link: Link::Waiting(waits_for_writer) },
            output: AttachOutput { replay: None, link: Link::Waiting(waits_for_reader), exec: None },
        };
        (session, Self { options, reader, writer })
    }

    /// Whether the client has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.reader.is_closed() && self.writer.is_closed()
    }

    /// Connects the client to the shim of a container that is about to start.
    pub(crate) async fn connect(self, shim: &ShimClient) -> Result<(), ClientError> {
        if self.is_closed() {
            return Ok(());
        }
        let (reader, writer) = shim.attach(request(self.options, Backpressure::Block)).await?.split();
        // One of them may be gone: a client that only reads drops its input.
        let _ = (self.reader.send(reader), self.writer.send(writer));
        Ok(())
    }
}

impl AttachSession {
    /// Connects to a container that runs.
    pub(crate) async fn connect(shim: &ShimClient, options: AttachOptions) -> Result<Self, ClientError> {
        // Who sends input takes part and is waited for; who only looks on is not.
        let pressure = if options.stdin { Backpressure::Block } else { Backpressure::Disconnect };
        let mut stream = shim.attach(request(options, pressure)).await?;
        if let Some(size) = options.size {
            stream.resize(shim_size(size)).await?;
        }
        Ok(Self::over(stream, None))
    }

    /// Over streams that are connected.
    pub(crate) fn over(stream: AttachStream, exec: Option<Arc<Exec>>) -> Self {
        let (reader, writer) = stream.split();
        Self {
            input: AttachInput { link: Link::Ready(writer) },
            output: AttachOutput { replay: None, link: Link::Ready(reader), exec },
        }
    }
}

fn request(options: AttachOptions, backpressure: Backpressure) -> AttachRequest {
    let streams = Streams { stdin: options.stdin, stdout: options.stdout, stderr: options.stderr };
    AttachRequest { exec: None, streams, backpressure }
}

/// As the shim has it.
pub(crate) fn shim_size(size: TerminalSize) -> protocol::TerminalSize {
    protocol::TerminalSize { rows: size.rows, cols: size.columns }
}

fn lost(error: ClientError) -> EngineError {
    EngineError::new(error.kind(), "stream", "the connection to the process was lost").caused_by(error)
}

impl AttachInput {
    async fn writer(&mut self) -> Result<&mut AttachWriter> {
        let gone = || {
            EngineError::new(
                ross_types::ErrorKind::FailedPrecondition,
                "stdin",
                "the process has not been started",
            )
        };
        self.link.ready().await.ok_or_else(gone)
    }

    /// Sends input; waits until the process is started, and while it does not read.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn stdin(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer().await?.stdin(bytes).await.map_err(lost)
    }

    /// Says that there is no more input.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn close_stdin(&mut self) -> Result<()> {
        self.writer().await?.close_stdin().await.map_err(lost)
    }

    /// Says that the client's terminal has changed. A size told before the start belongs into
    /// [`AttachOptions::size`](crate::model::AttachOptions).
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<()> {
        self.writer().await?.resize(shim_size(size)).await.map_err(lost)
    }
}

impl AttachOutput {
    /// What comes next. [`OutputEvent::Exited`] is the last event, then `None`; `None` without it means that the
    /// process was never started. Safe to cancel: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<OutputEvent>> {
        if let Some(replay) = &mut self.replay {
            match replay.next().await {
                Some(Ok(entry)) => {
                    return Some(Ok(OutputEvent::Data { stream: entry.stream, bytes: entry.line.into() }));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => self.replay = None,
            }
        }
        let reader = self.link.ready().await?;
        match reader.next().await {
            Ok(Some(AttachEvent::Output { stream, bytes })) => {
                let stream = match stream {
                    protocol::Stream::Stdout => Stream::Stdout,
                    protocol::Stream::Stderr => Stream::Stderr,
                };
                Some(Ok(OutputEvent::Data { stream, bytes }))
            }
            Ok(Some(AttachEvent::Exited(exit))) => {
                if let Some(exec) = &self.exec {
                    exec.ended(exit.code);
                }
                let exited = Exited { code: exit.code, oom_killed: exit.oom_killed, error: exit.error };
                Some(Ok(OutputEvent::Exited(exited)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(lost(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_of_a_container_that_is_never_started_sees_the_end() {
        let (mut session, pending) = PendingAttach::new(AttachOptions::default());
        assert!(!pending.is_closed());
        drop(pending);
        assert!(session.output.next().await.is_none());
        assert!(session.input.stdin(b"x").await.is_err());
        let (session, pending) = PendingAttach::new(AttachOptions::default());
        drop(session);
        assert!(pending.is_closed());
    }
}
