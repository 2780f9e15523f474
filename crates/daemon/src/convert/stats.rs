//! Samples of what containers use.

use ross_api::v1::{
    BlockIoStats, ContainerStats, CpuStats, InterfaceStats, MemoryStats, PidsStats, Pressure,
};
use ross_engine::model;

use super::time;

/// One sample.
pub fn sample(stats: model::ContainerStats) -> ContainerStats {
    ContainerStats {
        container_id: stats.id.to_string(),
        name: stats.name,
        time: Some(time::message(stats.time)),
        cpu: Some(CpuStats {
            usage_ns: stats.cpu.usage_ns,
            user_ns: stats.cpu.user_ns,
            system_ns: stats.cpu.system_ns,
            host_usage_ns: stats.cpu.host_usage_ns,
            online_cpus: stats.cpu.online_cpus,
            throttled_ns: stats.cpu.throttled_ns,
            percent: stats.cpu.percent,
        }),
        memory: Some(MemoryStats {
            usage_bytes: stats.memory.usage,
            limit_bytes: stats.memory.limit,
            inactive_file_bytes: stats.memory.inactive_file,
            swap_bytes: stats.memory.swap,
            oom_kills: stats.memory.oom_kills,
        }),
        networks: stats.networks.into_iter().map(interface).collect(),
        block_io: Some(BlockIoStats {
            read_bytes: stats.block_io.read_bytes,
            written_bytes: stats.block_io.written_bytes,
            reads: stats.block_io.reads,
            writes: stats.block_io.writes,
        }),
        pids: Some(PidsStats { current: stats.pids.current, limit: stats.pids.limit }),
        cpu_pressure: Some(pressure(stats.cpu_pressure)),
        memory_pressure: Some(pressure(stats.memory_pressure)),
        io_pressure: Some(pressure(stats.io_pressure)),
    }
}

fn interface(interface: model::InterfaceStats) -> InterfaceStats {
    InterfaceStats {
        name: interface.name,
        received_bytes: interface.received_bytes,
        received_packets: interface.received_packets,
        sent_bytes: interface.sent_bytes,
        sent_packets: interface.sent_packets,
    }
}

fn pressure(pressure: model::Pressure) -> Pressure {
    Pressure { avg10: pressure.avg10, avg60: pressure.avg60, avg300: pressure.avg300 }
}
