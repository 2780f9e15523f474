//! Running one hook: a program with the state of the container on its standard input, and a time limit.
//!
//! Used by the child and, for the hooks of the runtime namespaces, by the parent: it does not allocate either way.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::clone::{CloneFlags, spawn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::{Errno, Result};
use rustix::path::DecInt;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::plan::{HookPlan, HookState};

use super::report::{Failure, Stage, Step};

/// How a hook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookFailure {
    /// It could not be run.
    Run(Errno),
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// It took too long and was killed.
    TimedOut,
}

/// Runs a hook to its end.
pub(crate) fn run(hook: &HookPlan, state: &HookState, pid: i32) -> std::result::Result<(), HookFailure> {
    let stdin = state_file(state, pid).map_err(HookFailure::Run)?;
    let child = spawn(CloneFlags::empty(), None, || {
        ross_sys::exec::reset_signals(ross_sys::exec::ALL_SIGNALS);
        let prepared = rustix::stdio::dup2_stdin(&stdin).and_then(|()| ross_sys::fd::close_on_exec_from(3));
        if prepared.is_ok() {
            let _ = ross_sys::exec::execve(&hook.path, &hook.args, &hook.env);
        }
        127
    })
    .map_err(HookFailure::Run)?;
    let timed_out = wait_until_exit(child.pidfd.as_fd(), hook).map_err(HookFailure::Run)?;
    if timed_out {
        let _ = ross_sys::pidfd::send_signal(child.pidfd.as_fd(), 9);
    }
    let status = loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(HookFailure::Run(errno)),
            Ok(status) => break status,
        }
    };
    if timed_out {
        return Err(HookFailure::TimedOut);
    }
    match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(0), _)) => Ok(()),
        Some((Some(code), _)) => Err(HookFailure::Exited(code)),
        Some((_, Some(signal))) => Err(HookFailure::Killed(signal)),
        _ => Err(HookFailure::Run(Errno::CHILD)),
    }
}

fn wait_until_exit(pidfd: BorrowedFd<'_>, hook: &HookPlan) -> Result<bool> {
    let Some(timeout) = &hook.timeout else { return Ok(false) };
    loop {
        let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(timeout)) {
            Err(Errno::INTR) => {}
            result => return Ok(result? == 0),
        }
    }
}

/// The state with the process id in it, in memory: a pipe could fill up before the hook reads it.
fn state_file(state: &HookState, pid: i32) -> Result<OwnedFd> {
    let file = memfd_create(c"state", MemfdFlags::CLOEXEC)?;
    let pid = DecInt::new(pid);
    for part in [state.before_pid.as_bytes(), pid.as_bytes(), state.after_pid.as_bytes()] {
        let mut rest = part;
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest)?;
            rest = &rest[written..];
        }
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// Hook failures as numbers of a [`Failure`]: errnos as they are, exit codes and signals above them.
const EXITED: i32 = 0x1_0000;
const KILLED: i32 = 0x2_0000;
const TIMED_OUT: i32 = 0x3_0000;

impl HookFailure {
    fn to_number(self) -> i32 {
        match self {
            Self::Run(errno) => errno.raw_os_error(),
            Self::Exited(code) => EXITED | code,
            Self::Killed(signal) => KILLED | signal,
            Self::TimedOut => TIMED_OUT,
        }
    }

    /// The failure a child reported.
    pub(crate) fn from_number(number: i32) -> Self {
        match number & !0xffff {
            EXITED => Self::Exited(number & 0xffff),
            KILLED => Self::Killed(number & 0xffff),
            TIMED_OUT => Self::TimedOut,
            _ => Self::Run(Errno::from_raw_os_error(number)),
        }
    }
}

/// Runs a hook in the child.
pub(super) fn run_in_child(
    hook: &HookPlan,
    state: &HookState,
    pid: i32,
    stage: Stage,
    index: usize,
) -> Step<()> {
    run(hook, state, pid).map_err(|failure| Failure {
        errno: failure.to_number(),
        ..Failure::of_item(stage, index, Errno::CHILD)
    })
}
