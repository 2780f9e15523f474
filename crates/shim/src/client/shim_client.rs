//! The client: a shim's socket, and the requests as functions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::Connection;
use super::{AttachStream, ClientError};
use crate::protocol::{
    AttachRequest, ContainerState, ExecRequest, Exit, FrameError, Request, Response, TerminalSize,
};

/// How many idle connections are kept for the next request.
const MAX_IDLE: usize = 1;

/// A shim to talk to. Cheap to clone; clones share an idle connection.
#[derive(Debug, Clone)]
pub struct ShimClient {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl ShimClient {
    /// Connects to the shim whose socket is at `path` (of any length).
    ///
    /// # Errors
    /// When nobody listens there (kind `Unavailable`), or no version of the protocol is common.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let path = Arc::new(path.to_owned());
        let connection = Connection::open(&path).await?;
        Ok(Self { path, idle: Arc::new(Mutex::new(vec![connection])) })
    }

    /// The shim's socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a request that leaves the connection as it is: neither `Attach` nor `Exec` with streams.
    ///
    /// # Errors
    /// When the shim refuses or is gone. [`Response::Error`] comes as [`ClientError::Refused`].
    pub async fn call(&self, request: &Request) -> Result<Response, ClientError> {
        let mut connection = self.connection().await?;
        let response = connection.call(request).await;
        // A refusal is an answer like another; only a failed or dropped call leaves the connection in
        // between.
        if matches!(response, Ok(_) | Err(ClientError::Refused { .. })) {
            self.keep(connection);
        }
        response
    }

    /// Creates the container and runs its program; returns its pid.
    ///
    /// # Errors
    /// With the runtime's kind and text when that fails; the container can then be started again.
    pub async fn start(&self, size: Option<TerminalSize>) -> Result<i32, ClientError> {
        match self.call(&Request::Start { size }).await? {
            Response::Started { pid } => Ok(pid),
            _ => Err(self.unexpected()),
        }
    }

    /// How things stand.
    ///
    /// # Errors
    /// When the shim is gone.
    pub async fn state(&self) -> Result<ContainerState, ClientError> {
        match self.call(&Request::State).await? {
            Response::State(state) => Ok(state),
            _ => Err(self.unexpected()),
        }
    }

    /// Sends `signal` to the first process of the container, or of `exec`.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, exec: Option<&str>, signal: i32) -> Result<(), ClientError> {
        self.done(&Request::Signal { exec: exec.map(str::to_owned), signal, all: false }).await
    }

    /// Sends `signal` to every process of the container.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal_all(&self, signal: i32) -> Result<(), ClientError> {
        self.done(&Request::Signal { exec: None, signal, all: true }).await
    }

    /// Runs a program in the container with nobody connected to it; returns its pid.
    ///
    /// # Errors
    /// With the runtime's kind and text when that fails.
    pub async fn exec(&self, request: ExecRequest) -> Result<i32, ClientError> {
        match self.call(&Request::Exec(ExecRequest { attach: None, ..request })).await? {
            Response::Started { pid } => Ok(pid),
            _ => Err(self.unexpected()),
        }
    }

    /// Runs a program in the container connected to the streams that `request.attach` names (none: only its
    /// end is told); returns its pid and the streams, from the first byte on.
    ///
    /// # Errors
    /// With the runtime's kind and text when that fails.
    pub async fn exec_attached(&self, request: ExecRequest) -> Result<(i32, AttachStream), ClientError> {
        let attach = Some(request.attach.unwrap_or_default());
        let mut connection = self.connection().await?;
        match connection.call(&Request::Exec(ExecRequest { attach, ..request })).await? {
            Response::Started { pid } => Ok((pid, AttachStream::new(connection))),
            _ => Err(self.unexpected()),
        }
    }

    /// Connects to the streams of the container or an exec. Before `start`, nothing of the output is missed.
    ///
    /// # Errors
    /// When there is no such exec. For one that ended, its end is all there is to read.
    pub async fn attach(&self, request: AttachRequest) -> Result<AttachStream, ClientError> {
        let mut connection = self.connection().await?;
        match connection.call(&Request::Attach(request)).await? {
            Response::Ok => Ok(AttachStream::new(connection)),
            _ => Err(self.unexpected()),
        }
    }

    /// Resizes the terminal of the container, or of `exec`.
    ///
    /// # Errors
    /// When it has none or does not run.
    pub async fn resize(&self, exec: Option<&str>, size: TerminalSize) -> Result<(), ClientError> {
        self.done(&Request::Resize { exec: exec.map(str::to_owned), size }).await
    }

    /// Closes stdin of the container, or of `exec`, once what was sent is written.
    ///
    /// # Errors
    /// When there is no such exec.
    pub async fn close_stdin(&self, exec: Option<&str>) -> Result<(), ClientError> {
        self.done(&Request::CloseStdin { exec: exec.map(str::to_owned) }).await
    }

    /// Waits for the end of the container, or of `exec`. The exit record is on disk when this returns.
    ///
    /// # Errors
    /// When there is no such exec, or the shim goes away first.
    pub async fn wait(&self, exec: Option<&str>) -> Result<Exit, ClientError> {
        match self.call(&Request::Wait { exec: exec.map(str::to_owned) }).await? {
            Response::Exited(exit) => Ok(exit),
            _ => Err(self.unexpected()),
        }
    }

    /// Freezes the container.
    ///
    /// # Errors
    /// When it does not run or cannot be frozen.
    pub async fn pause(&self) -> Result<(), ClientError> {
        self.done(&Request::Pause).await
    }

    /// Thaws the container.
    ///
    /// # Errors
    /// When it is not paused.
    pub async fn resume(&self) -> Result<(), ClientError> {
        self.done(&Request::Resume).await
    }

    /// Changes limits: `resources` is `linux.resources` of the runtime specification, in JSON.
    ///
    /// # Errors
    /// When a limit is refused.
    pub async fn update(&self, resources: String) -> Result<(), ClientError> {
        self.done(&Request::Update { resources }).await
    }

    /// Makes the shim release what is left of the container and leave.
    ///
    /// # Errors
    /// When the container runs.
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        self.done(&Request::Shutdown).await
    }

    async fn done(&self, request: &Request) -> Result<(), ClientError> {
        match self.call(request).await? {
            Response::Ok => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    async fn connection(&self) -> Result<Connection, ClientError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.path).await,
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn unexpected(&self) -> ClientError {
        ClientError::Protocol { path: self.path.to_path_buf(), source: FrameError::Malformed }
    }
}
