//! Builds and starts containers: config.json to a process, by the OCI runtime specification for Linux.
//!
//! Single-threaded and blocking. Knows nothing of images, networks, databases or HTTP.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod cgroup;
pub mod defaults;
mod options;
pub mod seccomp;
pub mod spec;

pub use options::{CgroupDriver, CreateOptions, ExecOptions, Executed, Process, Release, Stdio};
