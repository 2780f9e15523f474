//! The terminal of standard input in raw mode, or without an echo, and back.
//!
//! The settings are kept in one place, so that a panic hook can put them back where destructors do not run.

use std::sync::{Mutex, PoisonError};

use ross_api::v1::TerminalSize;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::failure::Failure;

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Another mode while this lives.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Bytes come as typed: no echo, no lines, no signals.
    pub fn enter() -> Result<Self, Failure> {
        Self::change("cannot switch the terminal to raw mode", Termios::make_raw)
    }

    /// What is typed is not shown.
    pub fn without_echo() -> Result<Self, Failure> {
        Self::change("cannot hide what is typed", |modes| modes.local_modes.remove(LocalModes::ECHO))
    }

    fn change(what: &'static str, change: impl FnOnce(&mut Termios)) -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| Failure::Stream { what, source: error.into() };
        let stdin = rustix::stdio::stdin();
        let saved = tcgetattr(stdin).map_err(failed)?;
        let mut changed = saved.clone();
        change(&mut changed);
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        let entered = Self(());
        tcsetattr(stdin, OptionalActions::Now, &changed).map_err(failed)?;
        Ok(entered)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back as it was before raw mode; nothing when it is not in it.
pub fn restore() {
    if let Some(saved) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The terminal may have hung up: then there is nothing left to put back.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &saved);
    }
}

/// The size of the terminal that standard output is.
pub fn size() -> Option<TerminalSize> {
    let size = tcgetwinsize(rustix::stdio::stdout()).ok()?;
    let known = size.ws_row > 0 && size.ws_col > 0;
    known.then_some(TerminalSize { rows: size.ws_row.into(), columns: size.ws_col.into() })
}
