//! Control groups, version 2, by their files.
//!
//! `limits` turns resources into files and values, and knows no file system; `hierarchy` opens, reads and writes below
//! the mount, and can leave it by no name; `devices` makes the eBPF program of the device rules; `create`, `life` and
//! `stats` are what happens to a cgroup. Version 1 is not supported: what only it can do is an error that says so.
//! `systemd` has a service manager make the cgroup instead, and keeps it told of the limits.
//! Tasks enter a cgroup by clone3 into [`Cgroup::dir`]; writing `cgroup.procs` is far slower and is not done here.

mod create;
mod detail;
mod devices;
mod error;
pub mod fuzz;
mod hierarchy;
mod life;
mod limits;
mod path;
mod stats;
mod systemd;
mod update;
mod watch;
mod weight;

pub use create::Cgroup;
pub use detail::HugepageStats;
pub use devices::default_devices;
pub use error::CgroupError;
pub use life::OomEvents;
pub use limits::Controller;
pub use path::{CgroupPath, DEFAULT_PARENT};
pub use stats::{CpuStats, DeviceIo, MemoryStats, PidsStats, Pressure, PressureLine, Stats};
pub(crate) use systemd::{Scope, stop as forget_unit};
pub use watch::{News, Watch};
