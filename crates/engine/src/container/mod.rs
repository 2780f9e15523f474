//! Containers that exist: each is owned by one task.
//!
//! The task ([`actor`]) takes commands, the end of the main process and the restart clock, one at a time, and
//! publishes a [`View`] after each change. Everyone else reads views and sends commands.

mod actor;
mod end;
mod launch;
mod registry;
mod remove;
mod stop;
mod view;
mod wait;

pub(crate) use actor::{Command, Found, spawn};
pub(crate) use end::lost;
pub(crate) use launch::{force_delete, unmount};
pub(crate) use registry::Registry;
pub(crate) use remove::remove_dirs;
pub(crate) use view::{Handle, View};
pub use wait::ExitWait;
