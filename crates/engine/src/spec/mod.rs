//! From a container's configuration to the runtime's `config.json`.
//!
//! Starts from `ross_runtime::defaults` and applies what was asked for. Looks at the host (devices) and at the
//! mounted root (users), and changes neither.

mod build;
mod capabilities;
mod devices;
mod limits;
mod mounts;
mod process;
mod seccomp;
mod user;

pub(crate) use build::{NameFiles, SpecInput, build, cgroup_path};
pub(crate) use capabilities::{check_added, check_capability};
pub(crate) use devices::check_device_rule;
pub(crate) use limits::rlimit_name;
pub(crate) use mounts::mount_points;
pub(crate) use process::exec_process;
pub(crate) use seccomp::check_profile;
