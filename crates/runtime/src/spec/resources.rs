//! `linux.resources`: limits of the cgroup. Fields only cgroup v1 knows are kept, so that they can be refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DeviceKind;

config! {
    /// Limits of the cgroup. What is absent is left as the kernel has it.
    pub struct LinuxResources {
        /// Device rules, applied in order, the last match wins.
        pub devices: Vec<DeviceRule>,
        /// Memory limits.
        pub memory: Option<Memory>,
        /// CPU limits.
        pub cpu: Option<Cpu>,
        /// Process count limit.
        pub pids: Option<Pids>,
        /// Block I/O limits.
        #[serde(rename = "blockIO")]
        pub block_io: Option<BlockIo>,
        /// Huge page limits.
        pub hugepage_limits: Vec<HugepageLimit>,
        /// Network class and priorities (cgroup v1).
        pub network: Option<Network>,
        /// RDMA limits by device.
        pub rdma: BTreeMap<String, Rdma>,
        /// cgroup v2 files and what to write into them.
        pub unified: BTreeMap<String, String>,
    }

    /// Memory limits in bytes; -1 is unlimited.
    pub struct Memory {
        /// Hard limit.
        pub limit: Option<i64>,
        /// Soft limit.
        pub reservation: Option<i64>,
        /// Limit of memory and swap together.
        pub swap: Option<i64>,
        /// Kernel memory (obsolete).
        pub kernel: Option<i64>,
        /// Kernel memory of TCP buffers (cgroup v1).
        #[serde(rename = "kernelTCP")]
        pub kernel_tcp: Option<i64>,
        /// Swappiness, 0 to 100 (cgroup v1).
        pub swappiness: Option<u64>,
        /// Whether tasks wait instead of being killed (cgroup v1).
        #[serde(rename = "disableOOMKiller")]
        pub disable_oom_killer: Option<bool>,
        /// Hierarchical accounting (always on in v2).
        pub use_hierarchy: Option<bool>,
        /// Whether an update that sets less than is in use is refused.
        pub check_before_update: Option<bool>,
    }

    /// CPU limits.
    pub struct Cpu {
        /// Relative weight in cgroup v1's range 2 to 262144.
        pub shares: Option<u64>,
        /// Microseconds of CPU time per period; -1 is unlimited.
        pub quota: Option<i64>,
        /// Microseconds that may be used beyond the quota.
        pub burst: Option<u64>,
        /// Length of a period in microseconds.
        pub period: Option<u64>,
        /// Realtime microseconds per realtime period (cgroup v1).
        pub realtime_runtime: Option<i64>,
        /// Realtime period in microseconds (cgroup v1).
        pub realtime_period: Option<u64>,
        /// CPUs, such as `0-3,7`.
        pub cpus: String,
        /// NUMA nodes, such as `0-1`.
        pub mems: String,
        /// 1 runs the cgroup only when nothing else wants the CPU.
        pub idle: Option<i64>,
    }

    /// Process count limit.
    pub struct Pids {
        /// How many; -1 is unlimited.
        pub limit: Option<i64>,
    }

    /// Block I/O limits.
    pub struct BlockIo {
        /// Weight, 10 to 1000.
        pub weight: Option<u16>,
        /// Weight against child cgroups (cgroup v1).
        pub leaf_weight: Option<u16>,
        /// Weights by device.
        pub weight_device: Vec<WeightDevice>,
        /// Bytes read per second.
        pub throttle_read_bps_device: Vec<ThrottleDevice>,
        /// Bytes written per second.
        pub throttle_write_bps_device: Vec<ThrottleDevice>,
        /// Reads per second.
        #[serde(rename = "throttleReadIOPSDevice")]
        pub throttle_read_iops_device: Vec<ThrottleDevice>,
        /// Writes per second.
        #[serde(rename = "throttleWriteIOPSDevice")]
        pub throttle_write_iops_device: Vec<ThrottleDevice>,
    }

    /// Weight of one block device.
    pub struct WeightDevice {
        /// Major number.
        pub major: i64,
        /// Minor number.
        pub minor: i64,
        /// Weight, 10 to 1000.
        pub weight: Option<u16>,
        /// Weight against child cgroups (cgroup v1).
        pub leaf_weight: Option<u16>,
    }

    /// Rate of one block device.
    pub struct ThrottleDevice {
        /// Major number.
        pub major: i64,
        /// Minor number.
        pub minor: i64,
        /// Per second.
        pub rate: u64,
    }

    /// Limit of one huge page size.
    pub struct HugepageLimit {
        /// Such as `2MB`.
        pub page_size: String,
        /// Bytes.
        pub limit: u64,
    }

    /// Network class and priorities (cgroup v1).
    pub struct Network {
        /// Class id of net_cls.
        #[serde(rename = "classID")]
        pub class_id: Option<u32>,
        /// Priorities of net_prio.
        pub priorities: Vec<InterfacePriority>,
    }

    /// Priority on one interface.
    pub struct InterfacePriority {
        /// Interface.
        pub name: String,
        /// Priority.
        pub priority: u32,
    }

    /// Limits of one RDMA device.
    pub struct Rdma {
        /// Handles.
        pub hca_handles: Option<u32>,
        /// Objects.
        pub hca_objects: Option<u32>,
    }
}

/// One rule of the device list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether what matches is allowed.
    pub allow: bool,
    /// Kind of device; every kind when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DeviceKind>,
    /// Major number; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Of `r`, `w` and `m` (mknod); all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}
