//! `config.json` as the OCI runtime specification 1.2 and 1.3 has it for Linux, and its loading and checking.
//!
//! The structs mirror the file and nothing else: what a field means to the kernel is the business of `plan`.
//! Unknown properties are ignored, as the specification demands; absent, `null` and default are the same.
//! What has a wrong type, an unknown value or contradicts another field is an [`InvalidSpec`] naming its JSON path.

#[macro_use]
mod absent;
mod capabilities;
mod check;
mod config;
pub mod fuzz;
mod linux;
mod load;
#[cfg(test)]
pub(crate) mod mutate;
mod process;
mod resources;
mod seccomp;

pub use capabilities::KNOWN_CAPABILITIES;
pub use config::{Hook, Hooks, Mount, Root, Spec};
pub use linux::{
    Device, DeviceKind, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NamespaceKind, NetDevice,
    Personality, TimeOffset,
};
pub use load::InvalidSpec;
pub use process::{Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, LinuxResources, Memory, Network, Pids, Rdma,
    ThrottleDevice, WeightDevice,
};
pub use seccomp::{
    Seccomp, SeccompAction, SeccompArch, SeccompFlag, SeccompOperator, SyscallArg, SyscallRule,
};
