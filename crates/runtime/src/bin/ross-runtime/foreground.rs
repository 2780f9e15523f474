//! Waits for a program in the foreground: passes signals on to it, its terminal to and fro, and what it tells a service
//! manager.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_runtime::Process;
use ross_sys::signalfd::Signals;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, write};
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, getpid, set_child_subreaper, waitid};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::notify::Relay;

const SIGKILL: i32 = 9;
const SIGCHLD: i32 = 17;
const SIGURG: i32 = 23;
const SIGWINCH: i32 = 28;

/// Collects the signals of this process, before the program exists, so that none of them can be missed. As a subreaper
/// it gets what the program leaves behind, where that has no pid namespace of its own, and reaps it.
pub(crate) fn prepare(as_subreaper: bool) -> Result<Signals, String> {
    if as_subreaper {
        set_child_subreaper(Some(getpid())).map_err(|errno| format!("become a subreaper: {errno}"))?;
    }
    Signals::collect().map_err(|errno| format!("signalfd: {errno}"))
}

/// Ends a program that nobody is to have, and reaps it.
pub(crate) fn kill(process: &Process) {
    // One that has just ended is as good.
    let _ = ross_sys::pidfd::send_signal(process.pidfd.as_fd(), SIGKILL);
    let _ = exit_code(process);
}

/// Waits until the program ends; returns its exit code, or 128 and the signal that killed it.
pub(crate) fn wait(
    process: &Process,
    signals: &Signals,
    console: Option<OwnedFd>,
    relay: Option<&Relay>,
) -> Result<u8, String> {
    let terminal = console.map(Terminal::new);
    let mut stdin_open = terminal.is_some();
    // Its exit code, if it was among those that were reaped.
    let mut ended = None;
    // Whether the program, or one it started, still has the other end of the terminal.
    let mut output_open = true;
    loop {
        let stdin = rustix::stdio::stdin();
        let mut fds = vec![
            PollFd::from_borrowed_fd(process.pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        let mut watch = |fd| {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            fds.len() - 1
        };
        let output = terminal.as_ref().filter(|_| output_open).map(|terminal| watch(terminal.master.as_fd()));
        let input = terminal.as_ref().filter(|_| stdin_open).map(|_| watch(stdin));
        let told = relay.map(|relay| watch(relay.as_fd()));
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            result => result.map_err(|errno| format!("wait for the program: {errno}"))?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[1] {
            let children = pass_signals(process, signals, terminal.as_ref());
            ended = ended.or_else(|| if children { reap(process.pid) } else { None });
        }
        if let Some(terminal) = &terminal {
            if output.is_some_and(|at| ready[at]) {
                output_open = terminal.pass_output();
            }
            if input.is_some_and(|at| ready[at]) {
                stdin_open = terminal.pass_input(stdin);
            }
        }
        // What the program said before it ended, too.
        if let Some(relay) = relay.filter(|_| ready[0] || told.is_some_and(|at| ready[at])) {
            relay.pass();
        }
        if ready[0] {
            if let Some(terminal) = &terminal {
                terminal.drain();
            }
            return ended.map_or_else(|| exit_code(process), Ok);
        }
    }
}

/// Reaps all that has ended. The exit code of the program, if it has.
fn reap(program: i32) -> Option<u8> {
    let mut ended = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program => {
                let code =
                    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                ended = Some(to_code(code));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return ended,
        }
    }
}

fn to_code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(255)
}

/// Reaps the program.
fn exit_code(process: &Process) -> Result<u8, String> {
    let status = loop {
        match waitid(WaitId::PidFd(process.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            result => break result.map_err(|errno| format!("wait for the program: {errno}"))?,
        }
    };
    let code = status.and_then(|status| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    Ok(to_code(code))
}

/// Returns whether a child may have ended.
fn pass_signals(process: &Process, signals: &Signals, terminal: Option<&Terminal>) -> bool {
    let mut children = false;
    while let Some(signal) = signals.next() {
        match signal {
            SIGCHLD => children = true,
            SIGURG => {}
            SIGWINCH => {
                if let Some(terminal) = terminal {
                    terminal.copy_size();
                }
            }
            // A program that has just ended is found by its pidfd.
            signal => drop(ross_sys::pidfd::send_signal(process.pidfd.as_fd(), signal)),
        }
    }
    children
}

/// The terminal of the container, and the one this process was started from, which is raw meanwhile.
struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
}

impl Terminal {
    fn new(master: OwnedFd) -> Self {
        let stdin = rustix::stdio::stdin();
        let before = if isatty(stdin) { tcgetattr(stdin).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(stdin, OptionalActions::Now, &raw);
        }
        let terminal = Self { master, before };
        terminal.copy_size();
        terminal
    }

    fn copy_size(&self) {
        if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Returns false when there is nothing more to come.
    fn pass_output(&self) -> bool {
        let mut buffer = [0_u8; 8192];
        match read(&self.master, &mut buffer) {
            // EIO: nobody has the slave open any more.
            Ok(0) | Err(Errno::IO) => false,
            Err(Errno::INTR) => true,
            Err(_) => false,
            Ok(count) => {
                // A program whose output nobody wants any more must not be held up by it.
                write_all(rustix::stdio::stdout(), &buffer[..count]);
                true
            }
        }
    }

    fn pass_input(&self, stdin: BorrowedFd<'_>) -> bool {
        let mut buffer = [0_u8; 8192];
        match read(stdin, &mut buffer) {
            Err(Errno::INTR) => true,
            Ok(0) => {
                // End of input is a character on a terminal.
                let _ = write(&self.master, &[4]);
                false
            }
            Ok(count) => write_all(self.master.as_fd(), &buffer[..count]),
            Err(_) => false,
        }
    }

    /// Passes what the program wrote last.
    fn drain(&self) {
        loop {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
            if !matches!(poll(&mut fds, Some(&now)), Ok(1)) || !fds[0].revents().contains(PollFlags::IN) {
                return;
            }
            if !self.pass_output() {
                return;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}
