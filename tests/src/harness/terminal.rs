//! A terminal with `ross` at its other end, as a person has it: typed to, read from, resized.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::PATIENCE;

/// A pseudo-terminal and the command on it.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    incoming: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Runs `command` with a terminal of this size as its controlling one.
    pub fn run(command: &Command, rows: u16, columns: u16) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave: OwnedFd = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().context("ptsname")?)
            .context("open the pty")?
            .into();
        let mut on_terminal = Command::new("setsid");
        on_terminal.arg("--ctty").arg("--wait").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                on_terminal.env(key, value);
            }
        }
        on_terminal.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let master = File::from(master);
        resize(&master, rows, columns)?;
        let child = on_terminal.spawn().context("start setsid")?;
        drop(on_terminal);
        let (send, incoming) = channel();
        let mut reader = master.try_clone()?;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A pty whose other end is closed answers EIO.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { master, child, incoming, seen: String::new() })
    }

    pub fn type_in(&mut self, text: &str) -> Result<()> {
        self.master.write_all(text.as_bytes()).context("type")
    }

    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        resize(&self.master, rows, columns)
    }

    /// Reads until `text` has been shown, and forgets what was shown up to there.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return Ok(());
            }
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("waited for `{text}`, the terminal shows {:?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("waited for `{text}`, the terminal ended with {:?}", self.seen)
                }
            }
        }
    }

    /// The exit code once the command has ended.
    pub fn wait(mut self) -> Result<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            // Draining keeps the command from blocking on a full terminal.
            let _ = self.incoming.recv_timeout(Duration::from_millis(5));
            if Instant::now() > deadline {
                self.child.kill()?;
                bail!("the command on the terminal did not end; it shows {:?}", self.seen);
            }
        }
    }
}

fn resize(master: &File, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).context("set the window size")
}
