//! The messages. Append to the enums and never reorder them: a shim may be older than its daemon.

use serde::{Deserialize, Serialize};

/// What a client asks of the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Create the container and run its program; answered by [`Response::Started`].
    Start {
        /// The size of its terminal, when it has one.
        size: Option<TerminalSize>,
    },
    /// Tell how things stand; answered by [`Response::State`].
    State,
    /// Send a signal.
    Signal {
        /// To this exec instead of the container's first process.
        exec: Option<String>,
        /// The signal's number.
        signal: i32,
        /// To every process of the container.
        all: bool,
    },
    /// Run another program in the container; answered by [`Response::Started`].
    Exec(ExecRequest),
    /// Connect to the streams; after [`Response::Ok`] this connection carries them.
    Attach(AttachRequest),
    /// Resize the terminal.
    Resize {
        /// Of this exec instead of the container.
        exec: Option<String>,
        /// To this size.
        size: TerminalSize,
    },
    /// Close stdin once what was sent is written, whatever the configuration says.
    CloseStdin {
        /// Of this exec instead of the container.
        exec: Option<String>,
    },
    /// Wait for the end; answered by [`Response::Exited`], at once when it is over.
    Wait {
        /// Of this exec instead of the container.
        exec: Option<String>,
    },
    /// Freeze all processes of the container.
    Pause,
    /// Thaw them.
    Resume,
    /// Change limits.
    Update {
        /// `linux.resources` of the runtime specification, in JSON.
        resources: String,
    },
    /// Release what is left of the container and leave. Refused while it runs.
    Shutdown,
}

/// What the shim answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Done.
    Ok,
    /// The program runs.
    Started {
        /// Its pid in the shim's pid namespace.
        pid: i32,
    },
    /// How things stand.
    State(ContainerState),
    /// It ended.
    Exited(Exit),
    /// It was not done.
    Error {
        /// [`ErrorKind::reason`](ross_types::ErrorKind::reason).
        kind: String,
        /// Why, as a lower-case fragment.
        text: String,
    },
}

/// What the shim sends on an attached connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputFrame<'a> {
    /// Bytes the program wrote.
    Output {
        /// Where it wrote them; a terminal has only stdout.
        stream: Stream,
        /// At most 16 KiB.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// The program ended, and all its output was sent. The last frame.
    Exited(Exit),
    /// The shim gives this connection up. The last frame.
    Error {
        /// [`ErrorKind::reason`](ross_types::ErrorKind::reason).
        kind: String,
        /// Why.
        text: String,
    },
}

/// What a client sends on an attached connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputFrame<'a> {
    /// Bytes for stdin.
    Stdin(#[serde(borrow)] &'a [u8]),
    /// The client has no more input. Closes an exec's stdin, and the container's when it is `stdin_once`.
    StdinClosed,
    /// Resize the terminal.
    Resize(TerminalSize),
}

/// A program to run in the running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The name of this exec within the container.
    pub exec_id: String,
    /// `process` of the runtime specification, in JSON.
    pub process: String,
    /// Whether it gets a pseudo-terminal.
    pub terminal: bool,
    /// Whether it gets a stdin that can be written to; else `/dev/null`.
    pub stdin: bool,
    /// The size of its terminal.
    pub size: Option<TerminalSize>,
    /// The streams this connection carries once the program runs. Without, nobody is connected: output that
    /// no client has attached to is dropped.
    pub attach: Option<Streams>,
}

/// Which streams a client wants, of the container or of an exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Of this exec instead of the container.
    pub exec: Option<String>,
    /// Which.
    pub streams: Streams,
    /// What happens when this client does not keep up.
    pub backpressure: Backpressure,
}

/// A choice of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streams {
    /// The client sends input.
    pub stdin: bool,
    /// The client wants standard output (all output, with a terminal).
    pub stdout: bool,
    /// The client wants standard error.
    pub stderr: bool,
}

impl Streams {
    /// All three.
    pub const ALL: Self = Self { stdin: true, stdout: true, stderr: true };
    /// Both outputs.
    pub const OUTPUT: Self = Self { stdin: false, stdout: true, stderr: true };
}

/// What happens when an attached client does not keep up with the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Backpressure {
    /// The program has to wait for it, as in a shell's pipeline: nothing is lost. For `run` in the
    /// foreground.
    #[default]
    Block,
    /// The client is disconnected when a mebibyte is waiting for it: the program never waits. For onlookers.
    Disconnect,
}

/// One of the output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name it has in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Its place where both are kept.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its pid, 0 when there never was one.
    pub pid: i32,
    /// The exit code: its own, or 128+n when signal n ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
    /// When it started, in nanoseconds since 1970 UTC.
    pub started_at: i64,
    /// When it ended, in nanoseconds since 1970 UTC.
    pub finished_at: i64,
    /// Why it could not be started, or what went wrong while it was supervised.
    pub error: Option<String>,
}

/// How things stand with a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Where it is in its life.
    pub status: Status,
    /// The pid of its first process while it runs, else 0.
    pub pid: i32,
    /// When it started, in nanoseconds since 1970 UTC; 0 when it did not.
    pub started_at: i64,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The execs that run, and the last of those that ended.
    pub execs: Vec<ExecState>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The shim waits for [`Request::Start`].
    Created,
    /// Its first process runs.
    Running,
    /// It runs and is frozen.
    Paused,
    /// Its first process ended.
    Stopped,
}

/// How things stand with an exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// Its name.
    pub exec_id: String,
    /// Its pid.
    pub pid: i32,
    /// How it ended.
    pub exit: Option<Exit>,
}
