//! What each command does: asks the daemon, shows the answer, answers an exit code.

mod attach;
mod container;
mod context;
mod create;
mod dispatch;
mod exec;
mod image;
mod inspect;
mod lifecycle;
mod logs;
mod program;
mod pull;
mod run;
mod stats;
mod system;
mod verify;

use context::{Context, Outcome};
pub use program::main;
