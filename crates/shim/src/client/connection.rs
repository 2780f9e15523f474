//! One connection to a shim: frames in and out, safe to cancel while reading.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use ross_types::ErrorKind;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::ClientError;
use crate::protocol::{self, FrameError, PREAMBLE_LEN, Request, Response};

/// The longest path that fits `sockaddr_un` with its terminator (`unix(7)`).
const MAX_SOCKET_PATH: usize = 107;

const READ_CHUNK: usize = 32 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

#[derive(Debug)]
pub(super) struct Reader {
    socket: OwnedReadHalf,
    buffer: BytesMut,
    path: Arc<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Writer {
    socket: OwnedWriteHalf,
    path: Arc<PathBuf>,
}

impl Connection {
    pub(super) async fn open(path: &Arc<PathBuf>) -> Result<Self, ClientError> {
        let connect = |source| ClientError::Connect { path: path.to_path_buf(), source };
        let socket = connect_any_length(path).await.map_err(connect)?;
        let (reader, writer) = socket.into_split();
        let mut connection = Self {
            reader: Reader { socket: reader, buffer: BytesMut::new(), path: Arc::clone(path) },
            writer: Writer { socket: writer, path: Arc::clone(path) },
        };
        connection.writer.send_bytes(&protocol::preamble()).await?;
        let answer = connection.reader.exactly(PREAMBLE_LEN).await?;
        protocol::check_preamble(&answer).map_err(|source| connection.reader.protocol(source))?;
        Ok(connection)
    }

    /// Sends `request` and reads its answer, turning a refusal into an error.
    pub(super) async fn call(&mut self, request: &Request) -> Result<Response, ClientError> {
        self.writer.send(request).await?;
        let payload = self.reader.frame().await?.ok_or_else(|| self.reader.lost(eof()))?;
        match protocol::decode(&payload).map_err(|source| self.reader.protocol(source))? {
            Response::Error { kind, text } => {
                Err(ClientError::Refused { kind: ErrorKind::from_reason(&kind), text })
            }
            response => Ok(response),
        }
    }
}

impl Reader {
    /// The next frame's payload; `None` when the shim closed the connection between two frames.
    ///
    /// Nothing is lost when the future is dropped: what was read stays in the buffer.
    pub(super) async fn frame(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let split = protocol::split_frame(&self.buffer).map_err(|source| self.protocol(source))?;
            if let Some((payload, used)) = split {
                let header = used - payload.len();
                let mut frame = self.buffer.split_to(used);
                frame.advance(header);
                return Ok(Some(frame.freeze()));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(self.lost(eof())) };
            }
        }
    }

    pub(super) fn protocol(&self, source: FrameError) -> ClientError {
        ClientError::Protocol { path: self.path.to_path_buf(), source }
    }

    pub(super) fn lost(&self, source: io::Error) -> ClientError {
        ClientError::Lost { path: self.path.to_path_buf(), source }
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, ClientError> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(self.lost(eof()));
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn fill(&mut self) -> Result<usize, ClientError> {
        self.buffer.reserve(READ_CHUNK);
        self.socket.read_buf(&mut self.buffer).await.map_err(|source| self.lost(source))
    }
}

impl Writer {
    pub(super) async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), ClientError> {
        let mut bytes = Vec::new();
        protocol::append(&mut bytes, message)
            .map_err(|source| ClientError::Protocol { path: self.path.to_path_buf(), source })?;
        self.send_bytes(&bytes).await
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.socket
            .write_all(bytes)
            .await
            .map_err(|source| ClientError::Lost { path: self.path.to_path_buf(), source })
    }
}

/// Connects to the socket at `path`, through its directory when the path is too long for an address.
async fn connect_any_length(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return UnixStream::connect(path).await;
    }
    let (directory, name) = path
        .parent()
        .zip(path.file_name())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no socket"))?;
    let directory = File::open(directory)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name)).await
}

fn eof() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
