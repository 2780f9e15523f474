//! What clients ask for: each request to its answer.

use std::os::fd::AsFd;

use ross_runtime::Container;
use ross_sys::error::describe;
use ross_types::ErrorKind;
use rustix::io::Errno;

use super::connection::{Attachment, Mode};
use super::container::{self, Failure};
use super::serve::{Supervisor, now};
use super::session::{CONTAINER, Ends, Session, Streaming};
use crate::exit_record::{EXIT_RECORD_VERSION, ExitRecord};
use crate::log::LogWriter;
use crate::protocol::{
    self, Backpressure, ContainerState, ExecRequest, ExecState, InputFrame, OutputFrame, Request, Response,
    Status, TerminalSize,
};

/// How many execs that ended are remembered.
const MAX_ENDED_EXECS: usize = 64;

impl Supervisor {
    /// Handles what was received on a connection, as far as it is complete and can be handled now.
    pub(super) fn take_input(&mut self, id: u32) {
        let Some(connection) = self.connection(id) else { return };
        let input = std::mem::take(&mut connection.input);
        let mut used = 0;
        while let Some(step) = self.take_message(id, &input[used..]) {
            used += step;
        }
        if let Some(connection) = self.connection(id) {
            connection.input = input;
            connection.input.drain(..used);
            if connection.input_closed {
                self.connection_input_closed(id);
            }
        }
    }

    /// Handles one message at the beginning of `input` and returns its length; `None` when nothing more can
    /// be done.
    fn take_message(&mut self, id: u32, input: &[u8]) -> Option<usize> {
        let connection = self.connection(id).filter(|connection| !connection.broken)?;
        match connection.mode {
            Mode::Greeting => {
                let greeting = input.get(..protocol::PREAMBLE_LEN)?;
                connection.mode = Mode::Ready;
                connection.broken = protocol::check_preamble(greeting).is_err();
                Some(greeting.len())
            }
            Mode::Ready => {
                let (request, used) = self.frame::<Request>(id, input)?;
                self.answer(id, request);
                Some(used)
            }
            Mode::Attached(attachment) => {
                if self.session(attachment.session).is_some_and(|session| session.is_stdin_blocked()) {
                    return None;
                }
                let (frame, used) = self.frame::<InputFrame<'_>>(id, input)?;
                self.take_frame(attachment, &frame);
                Some(used)
            }
            Mode::Waiting(_) => {
                // Nothing is to be said while an answer is due.
                connection.broken = !input.is_empty();
                None
            }
            Mode::Closing => (!input.is_empty()).then_some(input.len()),
        }
    }

    /// The message in the first frame of `input`. One that makes no sense is the end of its connection.
    fn frame<'a, T: serde::Deserialize<'a>>(&mut self, id: u32, input: &'a [u8]) -> Option<(T, usize)> {
        let result = match protocol::split_frame(input) {
            Ok(None) => return None,
            Ok(Some((payload, used))) => protocol::decode(payload).map(|message| (message, used)),
            Err(error) => Err(error),
        };
        match result {
            Ok(message) => Some(message),
            Err(_) => {
                if let Some(connection) = self.connection(id) {
                    connection.broken = true;
                }
                None
            }
        }
    }

    fn answer(&mut self, id: u32, request: Request) {
        let result = match request {
            Request::Start { size } => self.start(size),
            Request::State => Ok(Response::State(self.state())),
            Request::Signal { exec, signal, all } => self.signal(exec.as_deref(), signal, all),
            Request::Exec(request) => self.exec(id, request),
            Request::Attach(request) => self.resolve(request.exec.as_deref()).map(|session| {
                let backpressure = request.backpressure;
                self.attach(id, Attachment { session, streams: request.streams, backpressure });
                Response::Ok
            }),
            Request::Resize { exec, size } => self.resize(exec.as_deref(), size),
            Request::CloseStdin { exec } => self.resolve(exec.as_deref()).map(|session| {
                self.end_stdin(session);
                Response::Ok
            }),
            Request::Wait { exec } => match self.resolve(exec.as_deref()) {
                Ok(session) => return self.wait(id, session),
                Err(failure) => Err(failure),
            },
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
            Request::Update { resources } => self
                .running_container()
                .and_then(|container| container::update(container, &resources))
                .map(|()| Response::Ok),
            Request::Shutdown => self.shutdown(),
        };
        let response = result.unwrap_or_else(|failure| Response::Error {
            kind: failure.kind.reason().to_owned(),
            text: failure.text,
        });
        let ended = match self.connection(id) {
            Some(connection) => {
                // An attachment's first bytes come after the answer: this is queued before anything is read.
                connection.respond(&response);
                match connection.mode {
                    Mode::Attached(attachment) => Some(attachment.session),
                    _ => None,
                }
            }
            None => None,
        };
        let exit = ended.and_then(|session| self.session(session)).and_then(|session| session.exit.clone());
        if let Some((exit, connection)) = exit.zip(self.connection(id)) {
            connection.queue_last(&OutputFrame::Exited(exit));
        }
    }

    fn start(&mut self, size: Option<TerminalSize>) -> Result<Response, Failure> {
        let id = &self.config.id;
        if self.container.is_some() || self.sessions[0].exit.is_some() {
            let text = format!("container {id} was started already");
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        // Asked for while somebody else's `Shutdown` was answered.
        if self.leaving {
            let text = format!("the shim of container {id} is leaving");
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        let log = LogWriter::open(&self.config.log).map_err(|error| {
            let path = self.config.log.path.display();
            Failure::new(ErrorKind::Internal, format!("open the log {path}: {error}"))
        })?;
        // What an earlier life left behind must not be taken for the end of this one.
        match std::fs::remove_file(&self.config.exit_record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let path = self.config.exit_record.display();
                let text = format!("remove the old exit record {path}: {error}");
                return Err(Failure::new(ErrorKind::Internal, text));
            }
            _ => {}
        }
        let streaming = if self.config.terminal {
            Streaming::Terminal
        } else {
            Streaming::Pipes { stdin: self.config.open_stdin }
        };
        let size = size.filter(|_| self.config.terminal);
        let started = open_streams(streaming).and_then(|(ends, stdio)| {
            let (container, process, console) =
                container::create(&self.config, stdio, size, &self.oom_score)?;
            match ends.with_console(console) {
                Ok(ends) => Ok((container, process, ends)),
                Err(error) => {
                    // Without its terminal the container is of no use; the first failure is the one to tell.
                    let _ = container.delete(true);
                    Err(stream_failure(&error))
                }
            }
        });
        self.trim = true;
        let (container, process, ends) = match started {
            Ok(started) => started,
            Err(failure) => {
                self.record_failed_start(&failure);
                return Err(failure);
            }
        };
        let pid = process.pid;
        self.log = Some(log);
        self.container = Some(container);
        let session = &mut self.sessions[0];
        session.begin(&self.poll, process, ends, now());
        self.settle_attached(CONTAINER);
        Ok(Response::Started { pid })
    }

    /// A daemon that goes away before it gets the answer finds it here.
    fn record_failed_start(&self, failure: &Failure) {
        let record = ExitRecord {
            version: EXIT_RECORD_VERSION,
            pid: 0,
            code: i32::from(failure.kind.exit_code()),
            signal: None,
            oom_killed: false,
            started_at: 0,
            finished_at: now(),
            error: Some(failure.text.clone()),
        };
        if let Err(error) = record.write(&self.config.exit_record, false) {
            self.note(&format!("write the exit record of a failed start: {error}"));
        }
    }

    fn exec(&mut self, id: u32, request: ExecRequest) -> Result<Response, Failure> {
        if self.sessions.iter().any(|session| session.exec_id.as_ref() == Some(&request.exec_id)) {
            let text = format!("exec {} exists already", request.exec_id);
            return Err(Failure::new(ErrorKind::AlreadyExists, text));
        }
        if self.paused {
            let text = format!("container {} is paused", self.config.id);
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        let streaming = match (request.terminal, request.attach) {
            (true, _) => Streaming::Terminal,
            (false, None) if !request.stdin => Streaming::Nothing,
            (false, _) => Streaming::Pipes { stdin: request.stdin },
        };
        let size = request.size.filter(|_| request.terminal);
        let container = self.running_container()?;
        let started = open_streams(streaming).and_then(|(ends, stdio)| {
            let (process, console) =
                container::exec(container, &request.process, size, stdio, &self.oom_score)?;
            let ends = ends.with_console(console).map_err(|error| stream_failure(&error))?;
            Ok((process, ends))
        });
        self.trim = true;
        let (process, ends) = match started {
            Ok(started) => started,
            Err(failure) => {
                // What fails in a container that has just ended fails for that.
                self.reap();
                return Err(if self.sessions[0].is_running() { failure } else { self.is_not_running(None) });
            }
        };
        let pid = process.pid;
        let session_id = self.next_id();
        let mut session = Session::new(session_id, Some(request.exec_id), request.terminal, request.stdin);
        session.begin(&self.poll, process, ends, now());
        if let Some(size) = size {
            // Where the runtime set it, this changes nothing; a terminal without a size works.
            let _ = session.resize(size);
        }
        self.forget_old_execs();
        self.sessions.push(session);
        if let Some(streams) = request.attach {
            let backpressure = Backpressure::Block;
            self.attach(id, Attachment { session: session_id, streams, backpressure });
        }
        Ok(Response::Started { pid })
    }

    fn forget_old_execs(&mut self) {
        let ended = |session: &Session| session.exec_id.is_some() && session.exit.is_some();
        if self.sessions.iter().filter(|session| ended(session)).count() >= MAX_ENDED_EXECS
            && let Some(oldest) = self.sessions.iter().position(ended)
        {
            self.sessions.remove(oldest);
        }
    }

    fn state(&self) -> ContainerState {
        let first = &self.sessions[0];
        let status = match (&self.container, &first.exit) {
            (_, Some(_)) => Status::Stopped,
            (None, None) => Status::Created,
            (Some(_), None) if self.paused => Status::Paused,
            (Some(_), None) => Status::Running,
        };
        let execs = self.sessions[1..].iter().filter_map(|session| {
            let exec_id = session.exec_id.clone()?;
            Some(ExecState { exec_id, pid: session.pid, exit: session.exit.clone() })
        });
        ContainerState {
            status,
            pid: if first.is_running() { first.pid } else { 0 },
            started_at: first.started_at,
            exit: first.exit.clone(),
            execs: execs.collect(),
        }
    }

    fn signal(&mut self, exec: Option<&str>, signal: i32, all: bool) -> Result<Response, Failure> {
        let id = self.resolve(exec)?;
        if all && id == CONTAINER {
            self.running_container()?.kill(signal, true)?;
            return Ok(Response::Ok);
        }
        let stopped = self.is_not_running(exec);
        let session = self.session(id).filter(|session| session.is_running());
        let Some(process) = session.and_then(|session| session.process.as_ref()) else {
            return Err(stopped);
        };
        match ross_sys::pidfd::send_signal(process.pidfd.as_fd(), signal) {
            Ok(()) => Ok(Response::Ok),
            Err(Errno::SRCH) => Err(stopped),
            Err(errno) => {
                let text = format!("signal {signal} cannot be sent: {}", describe(errno));
                Err(Failure::new(ErrorKind::InvalidArgument, text))
            }
        }
    }

    fn resize(&mut self, exec: Option<&str>, size: TerminalSize) -> Result<Response, Failure> {
        let id = self.resolve(exec)?;
        let stopped = self.is_not_running(exec);
        let session = self.session(id).filter(|session| session.is_running()).ok_or(stopped)?;
        session.resize(size).map(|()| Response::Ok).map_err(|error| {
            Failure::new(ErrorKind::FailedPrecondition, format!("resize the terminal: {error}"))
        })
    }

    fn wait(&mut self, id: u32, session: u32) {
        let exit = self.session(session).and_then(|session| session.exit.clone());
        if let Some(connection) = self.connection(id) {
            match exit {
                Some(exit) => connection.respond(&Response::Exited(exit)),
                None => connection.mode = Mode::Waiting(session),
            }
        }
    }

    fn pause(&mut self) -> Result<Response, Failure> {
        if self.paused {
            let text = format!("container {} is paused already", self.config.id);
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        self.running_container()?.pause()?;
        self.paused = true;
        Ok(Response::Ok)
    }

    fn resume(&mut self) -> Result<Response, Failure> {
        if !self.paused {
            let text = format!("container {} is not paused", self.config.id);
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        self.running_container()?.resume()?;
        self.paused = false;
        Ok(Response::Ok)
    }

    fn shutdown(&mut self) -> Result<Response, Failure> {
        if self.container.is_some() && self.sessions[0].exit.is_none() {
            let text = format!("container {} is running", self.config.id);
            return Err(Failure::new(ErrorKind::FailedPrecondition, text));
        }
        self.leave();
        Ok(Response::Ok)
    }

    fn attach(&mut self, id: u32, attachment: Attachment) {
        if let Some(connection) = self.connection(id) {
            connection.mode = Mode::Attached(attachment);
        }
    }

    fn take_frame(&mut self, attachment: Attachment, frame: &InputFrame<'_>) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == attachment.session) else {
            return;
        };
        match frame {
            InputFrame::Stdin(bytes) if attachment.streams.stdin => session.write_stdin(&self.poll, bytes),
            InputFrame::StdinClosed if attachment.streams.stdin => {
                if session.exec_id.is_some() || self.config.stdin_once {
                    self.end_stdin(attachment.session);
                }
            }
            InputFrame::Stdin(_) | InputFrame::StdinClosed => {}
            InputFrame::Resize(size) => {
                // The program may have ended, or have no terminal: there is nobody to tell.
                let _ = session.resize(*size);
            }
        }
    }

    /// The session of the container or of the exec with this name.
    fn resolve(&self, exec: Option<&str>) -> Result<u32, Failure> {
        let Some(name) = exec else { return Ok(CONTAINER) };
        let found = self.sessions.iter().find(|session| session.exec_id.as_deref() == Some(name));
        let missing = || {
            let text = format!("no exec {name} in container {}", self.config.id);
            Failure::new(ErrorKind::NotFound, text)
        };
        found.map(|session| session.id).ok_or_else(missing)
    }

    fn running_container(&self) -> Result<&Container, Failure> {
        let stopped = || self.is_not_running(None);
        if self.sessions[0].is_running() {
            self.container.as_ref().ok_or_else(stopped)
        } else {
            Err(stopped())
        }
    }

    fn is_not_running(&self, exec: Option<&str>) -> Failure {
        let text = match exec {
            Some(name) => format!("exec {name} in container {} is not running", self.config.id),
            None => format!("container {} is not running", self.config.id),
        };
        Failure::new(ErrorKind::FailedPrecondition, text)
    }
}

fn open_streams(streaming: Streaming) -> Result<(Ends, ross_runtime::Stdio), Failure> {
    Ends::open(streaming).map_err(|error| stream_failure(&error))
}

fn stream_failure(error: &std::io::Error) -> Failure {
    Failure::new(ErrorKind::Internal, format!("make the program's streams: {error}"))
}
