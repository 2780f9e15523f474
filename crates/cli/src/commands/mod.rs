//! What each command does: asks the daemon, shows the answer, answers an exit code.

mod archive;
mod attach;
mod container;
mod context;
mod create;
mod dispatch;
mod exec;
mod image;
mod inspect;
mod layout;
mod lifecycle;
mod login;
mod logs;
mod make;
mod output;
mod program;
mod prune;
mod pull;
mod run;
mod save;
mod stats;
mod system;
mod verify;

use context::{Context, Outcome};
pub use program::main;
