//! Further processes in a container, and streams of processes.

use bytes::Bytes;
use ross_types::ContainerId;

/// A process to run in a container that runs.
#[derive(Debug, Clone, Default)]
pub struct ExecConfig {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// `KEY=value`, over the container's.
    pub env: Vec<String>,
    /// The container's when empty.
    pub working_dir: String,
    /// `user[:group]`; the container's when empty.
    pub user: String,
    /// Its streams are a terminal.
    pub tty: bool,
    /// Stdin will be sent.
    pub attach_stdin: bool,
    /// Stdout is wanted.
    pub attach_stdout: bool,
    /// Stderr is wanted.
    pub attach_stderr: bool,
    /// All capabilities; the filter of system calls stays the container's.
    pub privileged: bool,
}

/// How to start a prepared exec.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExecStart {
    /// Let it run by itself.
    pub detach: bool,
    /// First size of its terminal.
    pub size: Option<TerminalSize>,
}

/// What is known of an exec.
#[derive(Debug, Clone)]
pub struct ExecDetails {
    /// Its id.
    pub id: ContainerId,
    /// The container it runs in.
    pub container: ContainerId,
    /// Has started and not ended.
    pub running: bool,
    /// Once it has ended.
    pub exit_code: Option<i32>,
    /// In the host's PID namespace; 0 before it started.
    pub pid: i32,
    /// As asked for.
    pub config: ExecConfig,
}

/// How to attach to the main process.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttachOptions {
    /// Stdin will be sent.
    pub stdin: bool,
    /// Stdout is wanted.
    pub stdout: bool,
    /// Stderr is wanted.
    pub stderr: bool,
    /// What was logged so far, first.
    pub logs: bool,
    /// The size of the terminal there.
    pub size: Option<TerminalSize>,
}

/// Characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exited {
    /// 0 to 255; 128+n when killed by signal n.
    pub code: i32,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Why it could not start, or why removal failed when that was waited for.
    pub error: Option<String>,
}

/// What an attached client receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// Bytes, in the order they were written to that stream.
    Data {
        /// Where they came from.
        stream: Stream,
        /// As written.
        bytes: Bytes,
    },
    /// Last, when the process has ended.
    Exited(Exited),
}
