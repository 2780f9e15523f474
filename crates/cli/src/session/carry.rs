//! A process of a container on this terminal: input, output, resizes, signals, detaching.
//!
//! The stream to the daemon is open already when a session begins. Output and input never wait for each other, and
//! the terminal is put back whichever way the session ends.

use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::{
    AttachInput, AttachOutput, ExecInput, Exited, StdinClosed, TerminalSize, attach_input, exec_input,
};
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic::transport::Channel;

use super::raw::RawMode;
use super::{DetachKeys, Signals, input, output, signals};
use crate::failure::Failure;
use crate::streams::Streams;

/// What this side sends.
#[derive(Debug)]
pub enum Input {
    /// Bytes for standard input.
    Stdin(bytes::Bytes),
    /// No more of them.
    Closed,
    /// The terminal has this size now.
    Resize(TerminalSize),
}

impl From<Input> for AttachInput {
    fn from(input: Input) -> Self {
        use attach_input::Message;
        let message = match input {
            Input::Stdin(bytes) => Message::Stdin(bytes),
            Input::Closed => Message::StdinClosed(StdinClosed {}),
            Input::Resize(size) => Message::Resize(size),
        };
        Self { message: Some(message) }
    }
}

impl From<Input> for ExecInput {
    fn from(input: Input) -> Self {
        use exec_input::Message;
        let message = match input {
            Input::Stdin(bytes) => Message::Stdin(bytes),
            Input::Closed => Message::StdinClosed(StdinClosed {}),
            Input::Resize(size) => Message::Resize(size),
        };
        Self { message: Some(message) }
    }
}

/// How a session ended.
#[derive(Debug)]
pub enum Ended {
    /// The process ended.
    Exited(Exited),
    /// The daemon closed the stream without telling of an end.
    Closed,
    /// The keys that detach were typed; the process goes on.
    Detached,
    /// A signal told this process to leave the terminal; the process in the container goes on.
    Signalled(u8),
}

/// What a session needs.
#[derive(Debug)]
pub struct Session {
    /// From the daemon, `attached` already read.
    pub output: Streaming<AttachOutput>,
    /// To the daemon.
    pub input: mpsc::Sender<Input>,
    /// Whether standard input is forwarded.
    pub stdin: bool,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// Keys that detach, when it has one.
    pub detach: DetachKeys,
    /// Signals caught since before the process started.
    pub signals: Signals,
    /// Container that signals are passed on to.
    pub proxy: Option<(ContainerServiceClient<Channel>, String)>,
}

/// Whether a session puts the terminal into raw mode, so that keys are the container's and raise no signals here.
pub fn is_raw(tty: bool, stdin: bool, streams: &Streams) -> bool {
    tty && stdin && streams.terminal.stdin
}

impl Session {
    /// Carries bytes both ways until the end.
    pub async fn run(self, streams: &mut Streams) -> Result<Ended, Failure> {
        let Self { output, input, stdin, tty, detach, mut signals, proxy } = self;
        let raw = is_raw(tty, stdin, streams);
        let _raw = if raw { Some(RawMode::enter()?) } else { None };
        let mut detached = input::forward(stdin, raw.then_some(detach), streams, input.clone());
        if tty && streams.terminal.stdout {
            signals::follow_size(input.clone())?;
        }
        // Without other senders left, the end of standard input must not end the call.
        let _open = input;
        let mut forwarding = Box::pin(signals::forward(&mut signals, raw, proxy));
        let mut copying =
            std::pin::pin!(output::copy(output, tty, streams.stdout.clone(), streams.stderr.clone()));
        tokio::select! {
            ended = &mut copying => ended,
            () = &mut detached => Ok(Ended::Detached),
            code = &mut forwarding => Ok(Ended::Signalled(code)),
        }
    }
}
