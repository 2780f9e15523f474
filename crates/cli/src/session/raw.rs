//! The terminal of standard input in raw mode, and back.
//!
//! The settings are kept in one place, so that a panic hook can put them back where destructors do not run.

use std::sync::{Mutex, PoisonError};

use ross_api::v1::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::failure::Failure;

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw mode while this lives.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Bytes come as typed: no echo, no lines, no signals.
    pub fn enter() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| Failure::Stream {
            what: "cannot switch the terminal to raw mode",
            source: error.into(),
        };
        let stdin = rustix::stdio::stdin();
        let saved = tcgetattr(stdin).map_err(failed)?;
        let mut raw = saved.clone();
        raw.make_raw();
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        let entered = Self(());
        tcsetattr(stdin, OptionalActions::Now, &raw).map_err(failed)?;
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
