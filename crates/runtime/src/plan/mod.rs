//! `config.json` to a plan in which everything is ready.
//!
//! A plan holds paths as C strings, id maps as text, programs of BPF as instructions, bind mounts as detached
//! trees: between clone and exec nothing is left to allocate, look up or decide. Building one changes nothing on
//! the host. What the child does with it is in `child`, in the order the fields of [`Plan`] stand.

mod affinity;
mod container;
mod devices;
#[cfg(test)]
mod fuzz;
mod hooks;
mod id_map;
mod list;
mod mount_options;
mod mounts;
mod namespaces;
mod process;
mod scheduling;
mod selinux;
mod sysctl;

pub(crate) use container::{Gate, Plan, RootPlan};
pub(crate) use devices::{DevicePlan, HowDevice, NodePlan, device_paths};
pub(crate) use hooks::{HookPlan, HookState};
pub(crate) use id_map::write as write_id_maps;
pub(crate) use list::ranges;
pub(crate) use mounts::{MountPlan, MountSource, NewMount};
pub(crate) use namespaces::{NamespacePlan, link_type as namespace_link_type};
pub(crate) use process::unknown_capabilities;
pub(crate) use process::{HOME_ROOM, ProcessPlan, SeccompPlan, StdioPlan};
pub(crate) use scheduling::{MemoryPolicyPlan, SchedulingPlan};
pub(crate) use sysctl::SysctlPlan;

use container::{c_string, c_strings, invalid};

#[cfg(test)]
pub(crate) use mount_options::MountOptions;
