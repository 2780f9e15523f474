//! A program that runs in the container, the first one or an exec: its streams and how it ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use ross_runtime::{Process, Stdio};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};

use super::poll::{EventFlags, Poll, Token, Watch};
use crate::protocol::{Exit, Stream, TerminalSize};

/// The session of the container's first process.
pub(super) const CONTAINER: u32 = 0;

/// Which streams a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streaming {
    /// A pseudo-terminal.
    Terminal,
    /// Pipes; stdin is `/dev/null` unless it can be written to.
    Pipes { stdin: bool },
    /// `/dev/null` for all: nobody will listen.
    Nothing,
}

/// The shim's ends of a program's streams.
#[derive(Debug, Default)]
pub(super) struct Ends {
    stdin: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u32,
    pub(super) exec_id: Option<String>,
    pub(super) process: Option<Process>,
    pub(super) pid: i32,
    pub(super) started_at: i64,
    /// How it ended, while the rest of its output is awaited.
    pub(super) ended: Option<Exit>,
    /// Until when the rest of its output is awaited.
    pub(super) deadline: Option<Instant>,
    /// How it ended, for everyone to know.
    pub(super) exit: Option<Exit>,
    /// Its output is not read until a client has caught up.
    pub(super) held: bool,
    pub(super) terminal: bool,
    accepts_input: bool,
    stdin: Option<OwnedFd>,
    stdin_watch: Watch,
    /// Input that the program has not taken yet.
    pending: Vec<u8>,
    written: usize,
    stdin_ends: bool,
    outputs: [Option<OwnedFd>; 2],
    output_watches: [Watch; 2],
}

impl Ends {
    /// Makes the streams: the shim's ends and the program's.
    pub(super) fn open(streaming: Streaming) -> io::Result<(Self, Stdio)> {
        let null = |flags| rustix::fs::open("/dev/null", flags | OFlags::CLOEXEC, Mode::empty());
        match streaming {
            Streaming::Terminal => Ok((Self::default(), Stdio::Terminal)),
            Streaming::Nothing => {
                let (stdin, stdout, stderr) =
                    (null(OFlags::RDONLY)?, null(OFlags::WRONLY)?, null(OFlags::WRONLY)?);
                Ok((Self::default(), Stdio::Fds { stdin, stdout, stderr }))
            }
            Streaming::Pipes { stdin } => {
                let (our_stdin, stdin) = if stdin {
                    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                    ioctl_fionbio(&write, true)?;
                    (Some(write), read)
                } else {
                    (None, null(OFlags::RDONLY)?)
                };
                let (our_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
                let (our_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
                ioctl_fionbio(&our_stdout, true)?;
                ioctl_fionbio(&our_stderr, true)?;
                let ends = Self { stdin: our_stdin, outputs: [Some(our_stdout), Some(our_stderr)] };
                Ok((ends, Stdio::Fds { stdin, stdout, stderr }))
            }
        }
    }

    /// With the master of the terminal that the runtime made, where it made one.
    pub(super) fn with_console(self, console: Option<OwnedFd>) -> io::Result<Self> {
        let Some(master) = console else { return Ok(self) };
        ioctl_fionbio(&master, true)?;
        // Apart, because epoll watches the two directions at different times.
        let writer = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
        Ok(Self { stdin: Some(writer), outputs: [Some(master), None] })
    }
}

impl Session {
    pub(super) fn new(id: u32, exec_id: Option<String>, terminal: bool, accepts_input: bool) -> Self {
        Self {
            id,
            exec_id,
            process: None,
            pid: 0,
            started_at: 0,
            ended: None,
            deadline: None,
            exit: None,
            held: false,
            terminal,
            accepts_input,
            stdin: None,
            stdin_watch: Watch::default(),
            pending: Vec::new(),
            written: 0,
            stdin_ends: false,
            outputs: [None, None],
            output_watches: [Watch::default(), Watch::default()],
        }
    }

    /// The program runs, with these ends of its streams here.
    pub(super) fn begin(&mut self, poll: &Poll, process: Process, ends: Ends, now: i64) {
        self.pid = process.pid;
        self.process = Some(process);
        self.started_at = now;
        self.stdin = ends.stdin;
        self.outputs = ends.outputs;
        self.watch_outputs(poll);
        self.write_pending(poll);
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some() && self.ended.is_none() && self.exit.is_none()
    }

    /// Whether all its output was read.
    pub(super) fn is_drained(&self) -> bool {
        self.outputs.iter().all(Option::is_none)
    }

    /// Whether input has to wait until the program takes what it was given.
    pub(super) fn is_stdin_blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Reads output into `buffer`; `None` when there is none at present.
    pub(super) fn read(&mut self, poll: &Poll, stream: Stream, buffer: &mut [u8]) -> Option<usize> {
        let fd = self.outputs[stream.index()].as_ref()?;
        match rustix::io::read(fd, buffer) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            // A terminal whose last user has gone answers EIO.
            Ok(0) | Err(_) => {
                self.close_output(poll, stream);
                None
            }
            Ok(read) => Some(read),
        }
    }

    /// Watches the outputs, or looks away from them while they are held.
    pub(super) fn watch_outputs(&mut self, poll: &Poll) {
        let wanted = if self.held { None } else { Some(EventFlags::IN) };
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.watch_output(poll, stream, wanted).is_err() {
                self.close_output(poll, stream);
            }
        }
    }

    /// Gives the program input, or keeps it until the program takes it.
    pub(super) fn write_stdin(&mut self, poll: &Poll, bytes: &[u8]) {
        let gone = self.process.is_some() && self.stdin.is_none();
        if self.accepts_input && !gone && !self.stdin_ends && self.ended.is_none() && self.exit.is_none() {
            self.pending.extend_from_slice(bytes);
            self.write_pending(poll);
        }
    }

    /// Closes stdin once what is pending is written. A terminal has no such end.
    pub(super) fn end_stdin(&mut self, poll: &Poll) {
        if !self.terminal {
            self.stdin_ends = true;
            self.write_pending(poll);
        }
    }

    /// Writes what the program takes of the pending input.
    pub(super) fn write_pending(&mut self, poll: &Poll) {
        let Some(stdin) = &self.stdin else { return };
        let mut broken = false;
        while self.written < self.pending.len() {
            match rustix::io::write(stdin, &self.pending[self.written..]) {
                Ok(written) => self.written += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        let all = broken || self.written == self.pending.len();
        if all {
            self.pending = Vec::new();
            self.written = 0;
        }
        let wanted = if all { None } else { Some(EventFlags::OUT) };
        broken |= self.stdin_watch.set(poll, stdin, Token::Stdin(self.id), wanted).is_err();
        if broken || (all && self.stdin_ends) {
            self.close_stdin(poll);
        }
    }

    pub(super) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        match &self.stdin {
            Some(master) if self.terminal => set_size(master, size),
            _ => Err(Errno::NOTTY.into()),
        }
    }

    /// Lets go of the streams, read to the end or not.
    pub(super) fn close_streams(&mut self, poll: &Poll) {
        self.close_stdin(poll);
        self.close_output(poll, Stream::Stdout);
        self.close_output(poll, Stream::Stderr);
    }

    // A terminal's two ends here are one file to epoll, which forgets a file only when both are closed: so
    // what is closed is always looked away from first. That this fails means that it was not watched.

    fn close_stdin(&mut self, poll: &Poll) {
        if let Some(fd) = self.stdin.take() {
            let _ = self.stdin_watch.set(poll, fd, Token::Stdin(self.id), None);
        }
        self.pending = Vec::new();
        self.written = 0;
    }

    fn close_output(&mut self, poll: &Poll, stream: Stream) {
        let _ = self.watch_output(poll, stream, None);
        self.outputs[stream.index()] = None;
    }

    fn watch_output(&mut self, poll: &Poll, stream: Stream, wanted: Option<EventFlags>) -> io::Result<()> {
        match &self.outputs[stream.index()] {
            Some(fd) => {
                self.output_watches[stream.index()].set(poll, fd, Token::Output(self.id, stream), wanted)
            }
            None => Ok(()),
        }
    }
}

/// Sets the size of the terminal whose master this is.
pub(super) fn set_size(master: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(master, size)?)
}
