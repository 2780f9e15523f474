//! Builds and starts containers: config.json to a process, by the OCI runtime specification for Linux.
//!
//! [`create`] turns a bundle into a [`Container`] in four steps: `spec` reads and checks the configuration, `plan`
//! makes everything ready, `child` carries the plan out between clone and exec, `state` remembers it for other
//! processes. Single-threaded and blocking. Knows nothing of images, networks, databases or HTTP.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod agent;
pub mod cgroup;
mod child;
mod container;
mod create;
pub mod defaults;
mod error;
mod exec;
mod failure;
mod features;
mod hooks;
mod net_devices;
mod options;
mod plan;
mod resctrl;
pub mod seccomp;
mod service;
pub mod spec;
mod state;

pub use container::Container;
pub use create::{Created, create, write_pid_file};
pub use error::Error;
pub use features::{Features, features};
pub use options::{Activation, CgroupDriver, CreateOptions, ExecOptions, Executed, Process, Release, Stdio};
pub use state::{OCI_VERSION, State, Status, rfc3339};
