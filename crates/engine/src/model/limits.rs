//! Bounds and devices of a container.

use serde::{Deserialize, Serialize};

/// Cgroup limits and devices. Zero and empty mean the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// Relative weight, 2 to 262144.
    pub cpu_shares: u64,
    /// Microseconds.
    pub cpu_period_us: u64,
    /// Microseconds in a period; negative is no bound.
    pub cpu_quota_us: i64,
    /// Such as `0-2,4`.
    pub cpuset_cpus: String,
    /// Such as `0`.
    pub cpuset_mems: String,
    /// Bytes.
    pub memory: u64,
    /// Bytes under which memory is not taken away lightly.
    pub memory_reservation: u64,
    /// Memory and swap together; -1 is no bound; 0 is twice the memory.
    pub memory_swap: i64,
    /// 0 is the daemon's default; negative is no bound.
    pub pids_limit: i64,
    /// 10 to 1000.
    pub blkio_weight: u16,
    /// Rates of block devices.
    pub io_limits: Vec<DeviceThrottle>,
    /// Host devices to offer.
    pub devices: Vec<Device>,
    /// Such as `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Below this cgroup instead of `/ross`.
    pub cgroup_parent: String,
}

/// Rates of one block device; 0 is no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceThrottle {
    /// Path of the device on the host.
    pub path: String,
    /// Bytes a second.
    pub read_bps: u64,
    /// Bytes a second.
    pub write_bps: u64,
    /// Operations a second.
    pub read_iops: u64,
    /// Operations a second.
    pub write_iops: u64,
}

/// A device of the host in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// On the host.
    pub host_path: String,
    /// In the container; the same when empty.
    pub container_path: String,
    /// Of `rwm`; all when empty.
    pub permissions: String,
}

/// A resource limit of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower case, without `RLIMIT_`: `nofile`.
    pub name: String,
    /// -1 is no bound.
    pub soft: i64,
    /// -1 is no bound.
    pub hard: i64,
}
