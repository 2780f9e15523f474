//! Samples of `stats` as JSON, with stable keys in snake_case.

use ross_api::v1::{ContainerStats, Pressure};
use serde_json::{Value, json};

use super::json::time;

/// One sample; null for what this host does not account for.
pub fn sample(stats: &ContainerStats) -> Value {
    let cpu = stats.cpu.unwrap_or_default();
    json!({
        "container_id": stats.container_id,
        "name": stats.name,
        "time": time(stats.time.as_ref()),
        "cpu": {
            "usage_ns": cpu.usage_ns,
            "user_ns": cpu.user_ns,
            "system_ns": cpu.system_ns,
            "host_usage_ns": cpu.host_usage_ns,
            "online_cpus": cpu.online_cpus,
            "throttled_ns": cpu.throttled_ns,
            "percent": cpu.percent,
        },
        "memory": stats.memory.map(|memory| json!({
            "usage_bytes": memory.usage_bytes,
            "limit_bytes": memory.limit_bytes,
            "inactive_file_bytes": memory.inactive_file_bytes,
            "swap_bytes": memory.swap_bytes,
            "oom_kills": memory.oom_kills,
        })),
        "networks": stats.networks.iter().map(|interface| json!({
            "name": interface.name,
            "received_bytes": interface.received_bytes,
            "received_packets": interface.received_packets,
            "sent_bytes": interface.sent_bytes,
            "sent_packets": interface.sent_packets,
        })).collect::<Value>(),
        "block_io": stats.block_io.map(|block| json!({
            "read_bytes": block.read_bytes,
            "written_bytes": block.written_bytes,
            "reads": block.reads,
            "writes": block.writes,
        })),
        "pids": stats.pids.map(|pids| json!({ "current": pids.current, "limit": pids.limit })),
        "cpu_pressure": pressure(stats.cpu_pressure.as_ref()),
        "memory_pressure": pressure(stats.memory_pressure.as_ref()),
        "io_pressure": pressure(stats.io_pressure.as_ref()),
    })
}

fn pressure(pressure: Option<&Pressure>) -> Value {
    pressure.map_or(
        Value::Null,
        |pressure| json!({ "avg10": pressure.avg10, "avg60": pressure.avg60, "avg300": pressure.avg300 }),
    )
}
