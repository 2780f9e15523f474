//! An attached connection: output and the end one way, input the other.

use bytes::Bytes;
use ross_types::ErrorKind;

use super::ClientError;
use super::connection::{Connection, Reader, Writer};
use crate::protocol::{self, Exit, InputFrame, OutputFrame, Stream, TerminalSize};

/// How much input goes into one frame.
const INPUT_CHUNK: usize = 64 << 10;

/// What comes from an attached program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachEvent {
    /// It wrote something.
    Output {
        /// Where.
        stream: Stream,
        /// What.
        bytes: Bytes,
    },
    /// It ended, and this was all its output. Nothing follows.
    Exited(Exit),
}

/// The streams of a container or an exec. Dropping it detaches and disturbs nothing.
#[derive(Debug)]
pub struct AttachStream {
    reader: AttachReader,
    writer: AttachWriter,
}

/// The reading side of an [`AttachStream`].
#[derive(Debug)]
pub struct AttachReader(Reader);

/// The writing side of an [`AttachStream`]. A call that is dropped before it is done may have sent half a message:
/// nothing can be written after it.
#[derive(Debug)]
pub struct AttachWriter(Writer);

impl AttachStream {
    pub(super) fn new(connection: Connection) -> Self {
        Self { reader: AttachReader(connection.reader), writer: AttachWriter(connection.writer) }
    }

    /// Both sides, to be used apart. The connection closes when both are gone.
    #[must_use]
    pub fn split(self) -> (AttachReader, AttachWriter) {
        (self.reader, self.writer)
    }

    /// See [`AttachReader::next`].
    ///
    /// # Errors
    /// See [`AttachReader::next`].
    pub async fn next(&mut self) -> Result<Option<AttachEvent>, ClientError> {
        self.reader.next().await
    }

    /// See [`AttachWriter::stdin`].
    ///
    /// # Errors
    /// See [`AttachWriter::stdin`].
    pub async fn stdin(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.writer.stdin(bytes).await
    }

    /// See [`AttachWriter::close_stdin`].
    ///
    /// # Errors
    /// See [`AttachWriter::close_stdin`].
    pub async fn close_stdin(&mut self) -> Result<(), ClientError> {
        self.writer.close_stdin().await
    }

    /// See [`AttachWriter::resize`].
    ///
    /// # Errors
    /// See [`AttachWriter::resize`].
    pub async fn resize(&mut self, size: TerminalSize) -> Result<(), ClientError> {
        self.writer.resize(size).await
    }
}

impl AttachReader {
    /// What comes next; `None` after the end. Safe to cancel: nothing is lost.
    ///
    /// # Errors
    /// When the shim goes away (kind `Unavailable`) or gives this client up (`ResourceExhausted`: it did
    /// not keep up).
    pub async fn next(&mut self) -> Result<Option<AttachEvent>, ClientError> {
        let Some(payload) = self.0.frame().await? else { return Ok(None) };
        match protocol::decode(&payload).map_err(|source| self.0.protocol(source))? {
            OutputFrame::Output { stream, bytes } => {
                Ok(Some(AttachEvent::Output { stream, bytes: payload.slice_ref(bytes) }))
            }
            OutputFrame::Exited(exit) => Ok(Some(AttachEvent::Exited(exit))),
            OutputFrame::Error { kind, text } => {
                Err(ClientError::Refused { kind: ErrorKind::from_reason(&kind), text })
            }
        }
    }
}

impl AttachWriter {
    /// Sends input; waits while the program does not read it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn stdin(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        for chunk in bytes.chunks(INPUT_CHUNK) {
            self.0.send(&InputFrame::Stdin(chunk)).await?;
        }
        Ok(())
    }

    /// Says that there is no more input: closes an exec's stdin, and the container's when it is
    /// `stdin_once` and has no terminal. Only this does; a connection that is lost leaves a container's
    /// stdin open.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn close_stdin(&mut self) -> Result<(), ClientError> {
        self.0.send(&InputFrame::StdinClosed).await
    }

    /// Resizes the terminal.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<(), ClientError> {
        self.0.send(&InputFrame::Resize(size)).await
    }
}
