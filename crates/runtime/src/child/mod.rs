//! The child between clone and exec: carries out a plan, and decides nothing.
//!
//! Nothing here allocates, locks or logs. A failure is a [`Failure`] of three numbers, which the parent turns into
//! words with the plan it still has. Paths that the container controls are resolved in its root by openat2, and what
//! was opened is checked on the descriptor.

mod copy_up;
mod credentials;
mod descriptor;
mod devices;
mod hook;
mod mounts;
mod namespaces;
mod null;
mod path;
mod procfs;
mod program;
mod report;
mod root;
mod scheduling;
mod steps;
mod terminal;

pub(crate) use hook::{HookFailure, run as run_hook};
pub(crate) use namespaces::Joined;
pub(crate) use report::{Failure, Message, Stage, parse_failure, receive, send_go};
pub(crate) use steps::{create, create_inside, exec};
