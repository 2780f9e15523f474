//! What containers use: cgroup files and counters of their interfaces, sampled once a second.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ross_runtime::cgroup::{self, Cgroup, CgroupPath};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::container::{Handle, View};
use crate::error::{EngineError, Result};
use crate::model::{
    BlockIoStats, ContainerStats, CpuStats, InterfaceStats, MemoryStats, PidsStats, Pressure, Timestamp,
};
use crate::spec::cgroup_path;
use crate::task::blocking;

const INTERVAL: Duration = Duration::from_secs(1);

/// Samples of a container. Dropping it ends the sampling.
#[derive(Debug)]
pub struct StatsStream {
    views: watch::Receiver<Arc<View>>,
    last: Option<ContainerStats>,
    ticks: Option<tokio::time::Interval>,
    over: bool,
}

impl StatsStream {
    pub(crate) fn new(handle: &Handle, stream: bool) -> Result<Self> {
        let view = handle.view();
        if !view.run.state.is_running() && !stream {
            return Err(EngineError::not_running(view.name.as_str()));
        }
        let ticks = stream.then(|| {
            // The first sample comes at once.
            let mut ticks = interval_at(Instant::now(), INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Ok(Self { views: handle.views.clone(), last: None, ticks, over: false })
    }

    /// The next sample; `None` after the one that was asked for, and when the container has ended.
    pub async fn next(&mut self) -> Option<Result<ContainerStats>> {
        if self.over {
            return None;
        }
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => self.over = true,
        }
        let view = self.views.borrow().clone();
        if view.removed.is_some() || !view.run.state.is_running() {
            return None;
        }
        let mut sampled = match blocking(move || sample(&view)).await {
            Ok(sampled) => sampled,
            Err(error) => {
                let view = self.views.borrow().clone();
                // It has ended while it was looked at.
                self.over = true;
                return view.run.state.is_running().then_some(Err(error));
            }
        };
        if let Some(last) = &self.last {
            sampled.cpu.percent = percent(&last.cpu, &sampled.cpu);
        }
        self.last = Some(sampled.clone());
        Some(Ok(sampled))
    }
}

/// Percent of one CPU between two samples.
#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(before: &CpuStats, now: &CpuStats) -> f64 {
    let used = now.usage_ns.saturating_sub(before.usage_ns) as f64;
    let host = now.host_usage_ns.saturating_sub(before.host_usage_ns) as f64;
    if host > 0.0 { used / host * f64::from(now.online_cpus) * 100.0 } else { 0.0 }
}

fn sample(view: &View) -> Result<ContainerStats> {
    let failed = |error: cgroup::CgroupError| {
        EngineError::new(
            error.kind(),
            view.id.as_str(),
            format!("read statistics of container {}", view.name),
        )
        .caused_by(error)
    };
    let path =
        CgroupPath::new(&cgroup_path(&view.id, &view.config.resources.cgroup_parent)).map_err(failed)?;
    let cgroup = Cgroup::open(&path).map_err(failed)?;
    let stats = cgroup.stats().map_err(failed)?;
    let oom_kills = cgroup.oom_events().map_err(failed)?.oom_kill;
    let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
    let (host_usage_ns, online_cpus) = host_cpu(&read("/proc/stat"));
    Ok(ContainerStats {
        id: view.id.clone(),
        name: view.name.to_string(),
        time: Timestamp::now(),
        cpu: CpuStats {
            usage_ns: stats.cpu.usage_usec * 1000,
            user_ns: stats.cpu.user_usec * 1000,
            system_ns: stats.cpu.system_usec * 1000,
            host_usage_ns,
            online_cpus,
            throttled_ns: stats.cpu.throttled_usec * 1000,
            percent: 0.0,
        },
        memory: stats.memory.map(|memory| MemoryStats {
            usage: memory.current,
            limit: memory.limit.unwrap_or_else(|| host_memory(&read("/proc/meminfo"))),
            inactive_file: memory.inactive_file,
            swap: memory.swap,
            oom_kills,
        }),
        networks: interfaces(&read(&format!("/proc/{}/net/dev", view.run.pid))),
        block_io: stats.io.as_deref().map(sum),
        pids: stats.pids.map(|pids| PidsStats { current: pids.current, limit: pids.limit.unwrap_or(0) }),
        cpu_pressure: stats.cpu_pressure.map(pressure),
        memory_pressure: stats.memory_pressure.map(pressure),
        io_pressure: stats.io_pressure.map(pressure),
    })
}

fn sum(devices: &[cgroup::DeviceIo]) -> BlockIoStats {
    devices.iter().fold(BlockIoStats::default(), |sum, device| BlockIoStats {
        read_bytes: sum.read_bytes + device.read_bytes,
        written_bytes: sum.written_bytes + device.written_bytes,
        reads: sum.reads + device.reads,
        writes: sum.writes + device.writes,
    })
}

fn pressure(pressure: cgroup::Pressure) -> Pressure {
    let some = pressure.some;
    Pressure { avg10: some.avg10, avg60: some.avg60, avg300: some.avg300 }
}

/// Nanoseconds of all CPUs since boot and their number, from /proc/stat (proc(5)).
fn host_cpu(stat: &str) -> (u64, u32) {
    // USER_HZ, which Linux has fixed at 100 for user space.
    const NANOS_PER_TICK: u64 = 10_000_000;
    let mut total = 0;
    let mut cpus = 0;
    for line in stat.lines() {
        if let Some(times) = line.strip_prefix("cpu ") {
            // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
            total = times.split_whitespace().take(8).filter_map(|word| word.parse::<u64>().ok()).sum();
        } else if line.starts_with("cpu") {
            cpus += 1;
        }
    }
    (total * NANOS_PER_TICK, cpus)
}

/// Bytes, from /proc/meminfo.
fn host_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Counters of all interfaces but loopback, from /proc/<pid>/net/dev (proc_pid_net(5)).
fn interfaces(dev: &str) -> Vec<InterfaceStats> {
    let of_line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let name = name.trim();
        if name == "lo" || numbers.len() < 10 {
            return None;
        }
        Some(InterfaceStats {
            name: name.to_owned(),
            received_bytes: numbers[0],
            received_packets: numbers[1],
            sent_bytes: numbers[8],
            sent_packets: numbers[9],
        })
    };
    dev.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files() {
        let stat = "cpu  10 20 30 40 1 2 3 4 5 6\ncpu0 5 10 15 20 0 1 1 2 0 0\ncpu1 5 10 15 20 1 1 2 2 0 0\nintr 1\n";
        assert_eq!(host_cpu(stat), (110 * 10_000_000, 2));
        assert_eq!(host_memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), 2048 * 1024);
        let dev = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n";
        let found = interfaces(dev);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].received_bytes, found[0].sent_bytes), ("eth0", 100, 50));
    }

    #[test]
    fn percent_is_of_one_cpu() {
        let at = |usage_ns, host_usage_ns| CpuStats {
            usage_ns,
            host_usage_ns,
            online_cpus: 2,
            ..CpuStats::default()
        };
        assert!((percent(&at(0, 0), &at(1_000_000_000, 2_000_000_000)) - 100.0).abs() < 1e-9);
        assert!(percent(&at(5, 5), &at(5, 5)).abs() < 1e-9);
    }
}
