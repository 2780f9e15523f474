//! A process of a container on this terminal.

mod carry;
mod detach;
mod input;
mod output;
pub mod prompt;
mod raw;
mod signals;

pub use carry::{Ended, Input, Session, is_raw};
pub use detach::DetachKeys;
pub use raw::{restore as restore_terminal, size as terminal_size};
pub use signals::Signals;
