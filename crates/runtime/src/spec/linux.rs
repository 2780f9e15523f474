//! `linux`: config-linux.md of the specification.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LinuxResources, Seccomp};

config! {
    /// What is particular to Linux.
    pub struct Linux {
        /// User ids of a user namespace.
        pub uid_mappings: Vec<IdMapping>,
        /// Group ids of a user namespace.
        pub gid_mappings: Vec<IdMapping>,
        /// Kernel parameters, by name with dots or slashes; only those that belong to a namespace.
        pub sysctl: BTreeMap<String, String>,
        /// Limits of the cgroup.
        pub resources: Option<LinuxResources>,
        /// Where the cgroup is: `/a/b`, or `slice:prefix:name` for systemd.
        pub cgroups_path: String,
        /// Namespaces to make or to join; those not listed are shared with the runtime.
        pub namespaces: Vec<Namespace>,
        /// Device nodes to make, besides the default ones.
        pub devices: Vec<Device>,
        /// Network interfaces of the host to move in, by their host name.
        pub net_devices: BTreeMap<String, NetDevice>,
        /// System call filter.
        pub seccomp: Option<Seccomp>,
        /// Propagation of the root mount: `shared`, `slave`, `private`, `unbindable`, with `r` for recursive.
        pub rootfs_propagation: String,
        /// Paths that cannot be read.
        pub masked_paths: Vec<String>,
        /// Paths that cannot be written.
        pub readonly_paths: Vec<String>,
        /// SELinux label of the mounts.
        pub mount_label: String,
        /// Cache and memory bandwidth allocation.
        pub intel_rdt: Option<IntelRdt>,
        /// Execution domain.
        pub personality: Option<Personality>,
        /// Clock offsets of a time namespace: `monotonic` and `boottime`.
        pub time_offsets: BTreeMap<String, TimeOffset>,
        /// NUMA memory policy.
        pub memory_policy: Option<MemoryPolicy>,
    }

    /// A range of ids of a user namespace.
    pub struct IdMapping {
        /// First id inside.
        #[serde(rename = "containerID")]
        pub container_id: u32,
        /// First id outside.
        #[serde(rename = "hostID")]
        pub host_id: u32,
        /// How many.
        pub size: u32,
    }

    /// A network interface moved in.
    pub struct NetDevice {
        /// Its name inside; the same as outside when empty.
        pub name: String,
    }

    /// Resource director technology.
    pub struct IntelRdt {
        /// Name of the class of service; the container id when absent.
        #[serde(rename = "closID")]
        pub clos_id: Option<String>,
        /// Lines of the schemata file.
        pub schemata: Vec<String>,
        /// L3 cache line of the schemata file.
        pub l3_cache_schema: Option<String>,
        /// Memory bandwidth line of the schemata file.
        pub mem_bw_schema: Option<String>,
        /// Whether a monitoring group is made.
        pub enable_monitoring: bool,
    }

    /// Execution domain of personality(2).
    pub struct Personality {
        /// `LINUX` or `LINUX32`.
        pub domain: String,
        /// None are defined.
        pub flags: Vec<String>,
    }

    /// Offset of a clock.
    pub struct TimeOffset {
        /// Seconds.
        pub secs: i64,
        /// Nanoseconds.
        pub nanosecs: u32,
    }

    /// Memory policy of set_mempolicy(2).
    pub struct MemoryPolicy {
        /// `MPOL_DEFAULT`, `MPOL_BIND` and so on.
        pub mode: String,
        /// NUMA nodes, such as `0-3,7`.
        pub nodes: String,
        /// `MPOL_F_STATIC_NODES` and so on.
        pub flags: Vec<String>,
    }
}

/// Kinds of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network stack.
    Network,
    /// Mount table.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group ids, capabilities, keyrings.
    User,
    /// View of the cgroup tree.
    Cgroup,
    /// Monotonic and boot time clocks.
    Time,
}

/// A namespace to make, or to join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// What it isolates.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// File of the namespace to join; a new one is made when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Kinds of device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Every kind; in rules only.
    #[serde(rename = "a")]
    All,
    /// Block device.
    #[serde(rename = "b")]
    Block,
    /// Character device.
    #[serde(rename = "c", alias = "u")]
    Char,
    /// FIFO; not in rules.
    #[serde(rename = "p")]
    Fifo,
}

/// A device node to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Where, absolute in the container.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// Major number; not for FIFOs.
    #[serde(default)]
    pub major: i64,
    /// Minor number; not for FIFOs.
    #[serde(default)]
    pub minor: i64,
    /// Permission bits; 0666 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner in the container; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group in the container; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}
