//! Instructions in user mode: `instructions PROGRAM [ARGUMENT]...` runs it step by step, with all the processes it
//! makes, and prints how many there were. A process that has become busybox, the program in the bench's containers, is
//! let go and no longer counted. An instruction that repeats itself counts each time.
//!
//! For machines whose processor has no counter of them. A step takes some microseconds: after [`PATIENCE`] it gives up.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figure is what it prints")]

use std::io::{self, Error};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::PTRACE_EVENT_EXEC;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);
const UNCOUNTED: &str = "busybox";
/// Waits until it is traced.
const GATE: &str = r#"read -r line; exec "$@" < /dev/null > /dev/null"#;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.is_empty() {
        eprintln!("usage: instructions PROGRAM [ARGUMENT]...");
        return ExitCode::from(2);
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GATE, "sh"]).args(words).stdin(Stdio::piped());
    match command.spawn().and_then(count) {
        Ok(count) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Steps until `child` has ended; its first exec is the beginning.
fn count(mut child: Child) -> io::Result<u64> {
    let root = Pid::from_raw(i32::try_from(child.id()).map_err(Error::other)?);
    let options = Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options)?;
    // The gate opens.
    drop(child.stdin.take());
    let deadline = Instant::now() + PATIENCE;
    let (mut count, mut begun) = (0_u64, false);
    loop {
        let status = waitpid(None, Some(WaitPidFlag::__WALL))?;
        if Instant::now() > deadline {
            return Err(Error::other(format!("more than {count}, and {PATIENCE:?} are over")));
        }
        match status {
            WaitStatus::Exited(pid, code) if pid == root => {
                return if begun && code == 0 {
                    Ok(count)
                } else {
                    Err(Error::other(format!("exit code {code}")))
                };
            }
            WaitStatus::Signaled(pid, signal, _) if pid == root => {
                return Err(Error::other(format!("killed by {signal}")));
            }
            WaitStatus::PtraceEvent(pid, _, PTRACE_EVENT_EXEC) => {
                begun = true;
                go_on(pid, None, is_uncounted(pid))?;
            }
            WaitStatus::PtraceEvent(pid, ..) => go_on(pid, None, false)?,
            WaitStatus::Stopped(pid, Signal::SIGTRAP) => {
                count += 1;
                go_on(pid, None, false)?;
            }
            WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal), false)?,
            _ => {}
        }
    }
}

/// The next step of a process, or its freedom. That it has been killed meanwhile is no failure.
fn go_on(pid: Pid, signal: Option<Signal>, free: bool) -> io::Result<()> {
    let gone_on = if free { ptrace::detach(pid, signal) } else { ptrace::step(pid, signal) };
    match gone_on {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn is_uncounted(pid: Pid) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|program| program.file_name().is_some_and(|name| name == UNCOUNTED))
}
