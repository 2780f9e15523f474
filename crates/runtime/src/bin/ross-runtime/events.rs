//! events: what a container uses and when memory ran out, a line of JSON each, as runc writes them.
//!
//! The numbers are those of cgroup v2, in the fields and units that runc had for v1: CPU time in nanoseconds, swap
//! together with memory, no limit as the largest number.

use std::time::{Duration, Instant};

use ross_runtime::cgroup::{Cgroup, DeviceIo, MemoryStats, News, Pressure, PressureLine};
use ross_runtime::{Container, Status};
use serde_json::{Map, Value, json};

use crate::commands::{Outcome, print, text};

/// Prints the statistics once, or both kinds of events until the container has ended.
pub(crate) fn events(container: &Container, once: bool, interval: Duration) -> Outcome {
    let id = container.id();
    if container.state().map_err(text)?.status == Status::Stopped {
        return Err(format!("container with id {id} is not running"));
    }
    let cgroup = container.cgroup().map_err(text)?;
    if once {
        return print(&line(&json!({"type": "stats", "id": id, "data": stats(cgroup)?})));
    }
    let mut watch = cgroup.watch().map_err(|error| error.to_string())?;
    loop {
        match watch.wait(Instant::now() + interval).map_err(|error| error.to_string())? {
            News::Empty => return Ok(0),
            News::OutOfMemory => print(&line(&json!({"type": "oom", "id": id})))?,
            News::Nothing => print(&line(&json!({"type": "stats", "id": id, "data": stats(cgroup)?})))?,
        };
    }
}

fn line(event: &Value) -> String {
    format!("{event}\n")
}

fn stats(cgroup: &Cgroup) -> Result<Value, String> {
    let stats = cgroup.stats().map_err(|error| ross_sys::error::with_sources(&error))?;
    let cpu = &stats.cpu;
    let pids = stats.pids.unwrap_or_default();
    let hugetlb: Map<String, Value> = cgroup
        .hugepages()
        .into_iter()
        .map(|(size, pages)| (size, json!({"usage": pages.current, "failcnt": pages.failures})))
        .collect();
    let mut data = json!({
        "cpu": {
            "usage": {
                "total": cpu.usage_usec * 1000,
                "kernel": cpu.system_usec * 1000,
                "user": cpu.user_usec * 1000,
            },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_usec * 1000,
            },
        },
        "memory": memory(&stats.memory.unwrap_or_default(), cgroup),
        "pids": {"current": pids.current, "limit": pids.limit.unwrap_or(0)},
        "blkio": block_io(stats.io.as_deref().unwrap_or_default()),
        "hugetlb": hugetlb,
        "intel_rdt": {},
        "network_interfaces": null,
    });
    for (part, pressure) in
        [("cpu", stats.cpu_pressure), ("memory", stats.memory_pressure), ("blkio", stats.io_pressure)]
    {
        if let Some(pressure) = pressure {
            data[part]["psi"] = psi(&pressure);
        }
    }
    Ok(data)
}

fn memory(memory: &MemoryStats, cgroup: &Cgroup) -> Value {
    let limit = memory.limit.unwrap_or(u64::MAX);
    let swap_limit = match (memory.limit, memory.swap_limit) {
        (Some(limit), Some(swap)) => limit.saturating_add(swap),
        _ => u64::MAX,
    };
    let entry = |usage: u64, limit: u64, max: u64, failures: u64| json!({"limit": limit, "usage": usage, "max": max, "failcnt": failures});
    json!({
        "cache": memory.file,
        "usage": entry(memory.current, limit, memory.peak.unwrap_or(0), cgroup.memory_failures()),
        "swap": entry(memory.current.saturating_add(memory.swap), swap_limit, 0, 0),
        "kernel": entry(memory.kernel, 0, 0, 0),
        "kernelTCP": entry(0, 0, 0, 0),
        "raw": cgroup.memory_counters(),
    })
}

fn block_io(devices: &[DeviceIo]) -> Value {
    let entries = |values: fn(&DeviceIo) -> [(&'static str, u64); 3]| -> Vec<Value> {
        let entry = |device: &DeviceIo| {
            let (major, minor) = (device.major, device.minor);
            values(device)
                .map(|(op, value)| json!({"major": major, "minor": minor, "op": op, "value": value}))
        };
        devices.iter().flat_map(entry).collect()
    };
    json!({
        "ioServiceBytesRecursive": entries(|io| {
            [("Read", io.read_bytes), ("Write", io.written_bytes), ("Discard", io.discarded_bytes)]
        }),
        "ioServicedRecursive": entries(|io| {
            [("Read", io.reads), ("Write", io.writes), ("Discard", io.discards)]
        }),
    })
}

fn psi(pressure: &Pressure) -> Value {
    let line = |line: &PressureLine| json!({"avg10": line.avg10, "avg60": line.avg60, "avg300": line.avg300, "total": line.total_usec});
    json!({"some": line(&pressure.some), "full": line(&pressure.full)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let io = DeviceIo { major: 8, minor: 1, read_bytes: 5, writes: 3, ..DeviceIo::default() };
        let json = block_io(&[io]);
        assert_eq!(
            json["ioServiceBytesRecursive"][0],
            json!({"major": 8, "minor": 1, "op": "Read", "value": 5})
        );
        assert_eq!(
            json["ioServicedRecursive"][1],
            json!({"major": 8, "minor": 1, "op": "Write", "value": 3})
        );
        assert_eq!(block_io(&[])["ioServicedRecursive"], json!([]));
    }
}
