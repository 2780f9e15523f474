//! What a container uses: one sample.

use ross_types::ContainerId;

use super::Timestamp;

/// One sample.
#[derive(Debug, Clone)]
pub struct ContainerStats {
    /// Of this container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// When it was taken.
    pub time: Timestamp,
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory; none without its controller.
    pub memory: Option<MemoryStats>,
    /// Per interface, loopback left out.
    pub networks: Vec<InterfaceStats>,
    /// Block devices, summed; none without their controller.
    pub block_io: Option<BlockIoStats>,
    /// Processes and threads; none without their controller.
    pub pids: Option<PidsStats>,
    /// Share of time some task waited for CPU; none where the kernel does not account for it.
    pub cpu_pressure: Option<Pressure>,
    /// For memory.
    pub memory_pressure: Option<Pressure>,
    /// For I/O.
    pub io_pressure: Option<Pressure>,
}

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuStats {
    /// Nanoseconds in all.
    pub usage_ns: u64,
    /// In user mode.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// Of the whole host since boot.
    pub host_usage_ns: u64,
    /// CPUs of the host.
    pub online_cpus: u32,
    /// Nanoseconds it was held back by its quota.
    pub throttled_ns: u64,
    /// Percent of one CPU since the sample before; 0 in a first sample.
    pub percent: f64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// All that is charged to it.
    pub usage: u64,
    /// The host's memory where there is no limit.
    pub limit: u64,
    /// Page cache that can be dropped at once.
    pub inactive_file: u64,
    /// Swap.
    pub swap: u64,
    /// Processes killed for want of memory.
    pub oom_kills: u64,
}

/// Traffic of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// Its name in the container.
    pub name: String,
    /// Bytes.
    pub received_bytes: u64,
    /// Packets.
    pub received_packets: u64,
    /// Bytes.
    pub sent_bytes: u64,
    /// Packets.
    pub sent_packets: u64,
}

/// Block I/O of all devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockIoStats {
    /// Bytes.
    pub read_bytes: u64,
    /// Bytes.
    pub written_bytes: u64,
    /// Operations.
    pub reads: u64,
    /// Operations.
    pub writes: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// 0 is no bound.
    pub limit: u64,
}

/// Percent of time some task waited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// Over ten seconds.
    pub avg10: f64,
    /// Over a minute.
    pub avg60: f64,
    /// Over five minutes.
    pub avg300: f64,
}
