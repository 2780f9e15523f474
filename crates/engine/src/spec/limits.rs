//! Cgroup limits and resource limits.

use ross_runtime::spec::{BlockIo, Cpu, LinuxResources, Memory, Pids, Rlimit, ThrottleDevice};

use super::devices;
use crate::engine::OpenFiles;
use crate::error::{EngineError, Result};
use crate::host::Host;
use crate::model::{ContainerConfig, DeviceThrottle, Ulimit};

/// Microseconds; the kernel's default.
const CPU_PERIOD: u64 = 100_000;
/// A container without a limit of its own cannot exhaust the host's pids.
const DEFAULT_PIDS: i64 = 4096;

const RLIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// `nofile` to `RLIMIT_NOFILE`.
pub(crate) fn rlimit_name(name: &str) -> Result<String> {
    if RLIMITS.contains(&name) {
        return Ok(format!("RLIMIT_{}", name.to_ascii_uppercase()));
    }
    Err(EngineError::invalid("ulimits", format!("`{name}` is none of {}", RLIMITS.join(", "))))
}

/// Resource limits of the main process: what was asked for, and for open files the daemon's former limit, because the
/// present one is what the daemon needs for itself.
pub(super) fn rlimits(ulimits: &[Ulimit], host: &Host) -> Result<Vec<Rlimit>> {
    let bound = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let open_files = host.open_files().map(|OpenFiles { soft, hard }| Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        soft,
        hard,
    });
    let mut limits: Vec<Rlimit> = open_files.into_iter().collect();
    for ulimit in ulimits {
        let kind = rlimit_name(&ulimit.name)?;
        limits.retain(|have| have.kind != kind);
        limits.push(Rlimit { kind, soft: bound(ulimit.soft), hard: bound(ulimit.hard) });
    }
    Ok(limits)
}

/// Applies limits of the cgroup.
pub(super) fn apply(resources: &mut LinuxResources, config: &ContainerConfig, host: &Host) -> Result<()> {
    let asked = &config.resources;
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let some = |value: u64| (value != 0).then_some(value);

    let mut cpu = Cpu { cpus: asked.cpuset_cpus.clone(), mems: asked.cpuset_mems.clone(), ..Cpu::default() };
    cpu.shares = some(asked.cpu_shares);
    cpu.period = some(asked.cpu_period_us);
    cpu.quota = (asked.cpu_quota_us != 0).then_some(asked.cpu_quota_us);
    if asked.nano_cpus != 0 {
        cpu.period = Some(CPU_PERIOD);
        cpu.quota = Some(signed(asked.nano_cpus.saturating_mul(CPU_PERIOD) / 1_000_000_000));
    }
    if cpu != Cpu::default() {
        resources.cpu = Some(cpu);
    }

    let mut memory = Memory::default();
    if asked.memory != 0 {
        memory.limit = Some(signed(asked.memory));
        // Docker's: as much swap as memory unless something was said.
        memory.swap = Some(match asked.memory_swap {
            0 => signed(asked.memory.saturating_mul(2)),
            swap => swap,
        });
    }
    memory.reservation = some(asked.memory_reservation).map(signed);
    if memory != Memory::default() {
        resources.memory = Some(memory);
    }

    let pids = match asked.pids_limit {
        0 if host.has_controller("pids") => Some(DEFAULT_PIDS),
        limit if limit > 0 => Some(limit),
        _ => None,
    };
    resources.pids = pids.map(|limit| Pids { limit: Some(limit) });

    let mut block_io =
        BlockIo { weight: (asked.blkio_weight != 0).then_some(asked.blkio_weight), ..BlockIo::default() };
    for limit in &asked.io_limits {
        throttle(&mut block_io, limit)?;
    }
    if block_io != BlockIo::default() {
        resources.block_io = Some(block_io);
    }
    Ok(())
}

fn throttle(block_io: &mut BlockIo, limit: &DeviceThrottle) -> Result<()> {
    let (major, minor) = devices::block_device(&limit.path)?;
    let lists = [
        (limit.read_bps, &mut block_io.throttle_read_bps_device),
        (limit.write_bps, &mut block_io.throttle_write_bps_device),
        (limit.read_iops, &mut block_io.throttle_read_iops_device),
        (limit.write_iops, &mut block_io.throttle_write_iops_device),
    ];
    for (rate, list) in lists {
        if rate != 0 {
            list.push(ThrottleDevice { major, minor, rate });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(change: impl FnOnce(&mut crate::model::Resources), controllers: &[&str]) -> LinuxResources {
        let mut config = ContainerConfig::default();
        change(&mut config.resources);
        let mut resources = LinuxResources::default();
        apply(&mut resources, &config, &Host::fake(controllers)).unwrap();
        resources
    }

    #[test]
    fn nothing_asked_for_is_nothing_but_a_bound_on_pids() {
        assert_eq!(applied(|_| {}, &[]), LinuxResources::default());
        assert_eq!(applied(|_| {}, &["pids"]).pids.unwrap().limit, Some(4096));
        assert_eq!(applied(|r| r.pids_limit = -1, &["pids"]).pids, None);
        assert_eq!(applied(|r| r.pids_limit = 10, &["pids"]).pids.unwrap().limit, Some(10));
    }

    #[test]
    fn limits_are_translated() {
        let cpu = applied(|r| r.nano_cpus = 1_500_000_000, &[]).cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period), (Some(150_000), Some(100_000)));
        let swap = |swap: i64| {
            let set = |r: &mut crate::model::Resources| (r.memory, r.memory_swap) = (64 << 20, swap);
            applied(set, &[]).memory.unwrap().swap
        };
        assert_eq!(swap(0), Some(128 << 20));
        assert_eq!(swap(-1), Some(-1));
        assert_eq!(swap(96 << 20), Some(96 << 20));
    }

    #[test]
    fn ulimits_by_name() {
        let limit = |name: &str, soft| Ulimit { name: name.into(), soft, hard: -1 };
        let limits = rlimits(&[limit("nofile", 10), limit("nofile", 20)], &Host::fake(&[])).unwrap();
        assert_eq!(limits.len(), 1);
        assert_eq!(
            (limits[0].kind.as_str(), limits[0].soft, limits[0].hard),
            ("RLIMIT_NOFILE", 20, u64::MAX)
        );
    }
}
