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
mod lifecycle;
mod logs;
mod make;
mod program;
mod prune;
mod pull;
mod run;
mod stats;
mod system;

use context::{Context, Outcome};
pub use program::main;
