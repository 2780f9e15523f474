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
        memory: stats.memory.map(|memory| MemoryStats {
            usage_bytes: memory.usage,
            limit_bytes: memory.limit,
            inactive_file_bytes: memory.inactive_file,
            swap_bytes: memory.swap,
            oom_kills: memory.oom_kills,
        }),
        networks: stats.networks.into_iter().map(interface).collect(),
        block_io: stats.block_io.map(|io| BlockIoStats {
            read_bytes: io.read_bytes,
            written_bytes: io.written_bytes,
            reads: io.reads,
            writes: io.writes,
        }),
        pids: stats.pids.map(|pids| PidsStats { current: pids.current, limit: pids.limit }),
        cpu_pressure: stats.cpu_pressure.map(pressure),
        memory_pressure: stats.memory_pressure.map(pressure),
        io_pressure: stats.io_pressure.map(pressure),
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
