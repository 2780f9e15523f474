//! Resources of `config.json` as files of a cgroup and what to write into them.
//!
//! Pure: nothing here touches the file system. Every write knows the field that asked for it and the controller that
//! enforces it. A value that limits nothing ("max") is not worth an error where its controller is missing.

use std::borrow::Cow;
use std::fmt;

use crate::spec::{BlockIo, Cpu, LinuxResources, Memory, ThrottleDevice};

use super::{CgroupError, weight};

/// Controllers of cgroup v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// CPU time.
    Cpu,
    /// CPUs and memory nodes.
    Cpuset,
    /// Block I/O.
    Io,
    /// Memory.
    Memory,
    /// Number of processes.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// RDMA resources.
    Rdma,
    /// Other scalar resources.
    Misc,
}

impl Controller {
    /// All of them.
    pub(super) const ALL: [Self; 8] =
        [Self::Cpu, Self::Cpuset, Self::Io, Self::Memory, Self::Pids, Self::Hugetlb, Self::Rdma, Self::Misc];

    /// Its name in `cgroup.controllers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Io => "io",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Hugetlb => "hugetlb",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.name() == name)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do when the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// The limit would not be enforced: an error.
    Fail,
    /// Nothing is limited either way.
    Ignore,
    /// Another file has the same meaning.
    Instead { file: &'static str, value: String },
}

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) field: Cow<'static, str>,
    pub(super) controller: Option<Controller>,
    pub(super) file: Cow<'static, str>,
    pub(super) value: String,
    pub(super) missing: Missing,
}

/// Everything to write, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) writes: Vec<Write>,
    /// Bytes of the new memory limit that must not be in use already.
    pub(super) must_be_free: Option<u64>,
}

const PERIOD: u64 = 100_000;

impl Limits {
    pub(super) fn new(resources: &LinuxResources) -> Result<Self, CgroupError> {
        let mut limits = Self { writes: Vec::with_capacity(8), must_be_free: None };
        if let Some(memory) = &resources.memory {
            limits.memory(memory)?;
        }
        if let Some(cpu) = &resources.cpu {
            limits.cpu(cpu)?;
        }
        if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
            limits.pids(limit);
        }
        if let Some(block_io) = &resources.block_io {
            limits.block_io(block_io)?;
        }
        limits.others(resources)?;
        limits.unified(resources)?;
        Ok(limits)
    }

    /// The controllers without which a limit would not be enforced, each with the first field that asks for it.
    pub(super) fn required(&self) -> impl Iterator<Item = (Controller, &str)> {
        self.writes
            .iter()
            .filter(|write| write.missing != Missing::Ignore)
            .filter_map(|write| Some((write.controller?, write.field.as_ref())))
    }

    fn push(&mut self, controller: Controller, field: &'static str, file: &'static str, value: String) {
        let missing = if value == "max" { Missing::Ignore } else { Missing::Fail };
        self.writes.push(Write {
            field: Cow::Borrowed(field),
            controller: Some(controller),
            file: Cow::Borrowed(file),
            value,
            missing,
        });
    }

    fn memory(&mut self, memory: &Memory) -> Result<(), CgroupError> {
        const LIMIT: &str = "linux.resources.memory.limit";
        const SWAP: &str = "linux.resources.memory.swap";
        // -1 is no limit, and so are the huge numbers that stood for that in v1 files.
        only_v1(memory.kernel.is_some_and(|kernel| kernel > 0), "linux.resources.memory.kernel")?;
        only_v1(memory.kernel_tcp.is_some_and(|kernel| kernel > 0), "linux.resources.memory.kernelTCP")?;
        only_v1(memory.swappiness.is_some(), "linux.resources.memory.swappiness")?;
        only_v1(memory.disable_oom_killer == Some(true), "linux.resources.memory.disableOOMKiller")?;

        let limit = memory.limit.unwrap_or(0);
        let swap = match memory.swap.unwrap_or(0) {
            // Without a limit of memory there is none of its sum with swap.
            0 if limit == -1 => -1,
            swap => swap,
        };
        if let Some(value) = bytes(LIMIT, limit)? {
            self.push(Controller::Memory, LIMIT, "memory.max", value);
        }
        if memory.check_before_update == Some(true) {
            self.must_be_free = u64::try_from(limit).ok().filter(|&limit| limit > 0);
        }
        // v1 limits memory and swap together, v2 swap alone.
        let swap_alone = match swap {
            0 => None,
            -1 => Some("max".to_owned()),
            _ if limit <= 0 => return Err(invalid(SWAP, "a swap limit needs a memory limit")),
            _ if swap < limit => {
                return Err(invalid(
                    SWAP,
                    format!("{swap} is less than the memory limit {limit}, which is part of it"),
                ));
            }
            _ => Some((swap - limit).to_string()),
        };
        if let Some(value) = swap_alone {
            // A kernel without swap limits swap to nothing.
            let nothing = value == "0";
            self.push(Controller::Memory, SWAP, "memory.swap.max", value);
            if nothing && let Some(write) = self.writes.last_mut() {
                write.missing = Missing::Ignore;
            }
        }
        const RESERVATION: &str = "linux.resources.memory.reservation";
        if let Some(value) = bytes(RESERVATION, memory.reservation.unwrap_or(0))? {
            self.push(Controller::Memory, RESERVATION, "memory.low", value);
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<(), CgroupError> {
        only_v1(cpu.realtime_runtime.is_some_and(|time| time != 0), "linux.resources.cpu.realtimeRuntime")?;
        only_v1(cpu.realtime_period.is_some_and(|time| time != 0), "linux.resources.cpu.realtimePeriod")?;
        let shares = cpu.shares.filter(|&shares| shares != 0).map(|shares| weight::cpu(shares).to_string());
        // The kernel refuses a weight for an idle group.
        let idle = cpu.idle.map(|idle| idle.to_string());
        const IDLE: &str = "linux.resources.cpu.idle";
        let awake = idle.as_deref() == Some("0");
        if awake {
            self.push(Controller::Cpu, IDLE, "cpu.idle", "0".to_owned());
        }
        if let Some(weight) = shares {
            self.push(Controller::Cpu, "linux.resources.cpu.shares", "cpu.weight", weight);
        }
        if let (Some(idle), false) = (idle, awake) {
            self.push(Controller::Cpu, IDLE, "cpu.idle", idle);
        }
        let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
        let burst = cpu.burst;
        const BURST: &str = "linux.resources.cpu.burst";
        if burst.is_some() && quota != 0 {
            // It must never be more than the quota, the old one and the new one.
            self.push(Controller::Cpu, BURST, "cpu.max.burst", "0".to_owned());
        }
        if quota != 0 || period != 0 {
            let field = if quota == 0 { "linux.resources.cpu.period" } else { "linux.resources.cpu.quota" };
            let period = if period == 0 { PERIOD } else { period };
            let value = if quota > 0 { format!("{quota} {period}") } else { format!("max {period}") };
            self.push(Controller::Cpu, field, "cpu.max", value);
            if quota <= 0
                && let Some(write) = self.writes.last_mut()
            {
                write.missing = Missing::Ignore;
            }
        }
        if let Some(burst) = burst.filter(|&burst| burst != 0 || quota == 0) {
            self.push(Controller::Cpu, BURST, "cpu.max.burst", burst.to_string());
        }
        self.list("linux.resources.cpu.cpus", "cpuset.cpus", &cpu.cpus)?;
        self.list("linux.resources.cpu.mems", "cpuset.mems", &cpu.mems)?;
        Ok(())
    }

    /// A list such as `0-3,7`; the kernel says what is wrong inside it.
    fn list(&mut self, field: &'static str, file: &'static str, list: &str) -> Result<(), CgroupError> {
        if list.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(invalid(field, format!("{list:?} is not a list such as 0-3,7")));
        }
        if !list.is_empty() {
            self.push(Controller::Cpuset, field, file, list.to_owned());
        }
        Ok(())
    }

    fn pids(&mut self, limit: i64) {
        let value = match limit {
            ..0 => "max".to_owned(),
            // The first process has to get in; 0 as well as 1 keeps it from making another.
            0 => "1".to_owned(),
            limit => limit.to_string(),
        };
        self.push(Controller::Pids, "linux.resources.pids.limit", "pids.max", value);
    }

    fn block_io(&mut self, block_io: &BlockIo) -> Result<(), CgroupError> {
        const WEIGHT: &str = "linux.resources.blockIO.weight";
        const DEVICE: &str = "linux.resources.blockIO.weightDevice";
        only_v1(
            block_io.leaf_weight.is_some_and(|weight| weight != 0),
            "linux.resources.blockIO.leafWeight",
        )?;
        if let Some(weight) = block_io.weight.filter(|&weight| weight != 0) {
            self.io_weight(WEIGHT, None, weight)?;
        }
        for device in &block_io.weight_device {
            only_v1(
                device.leaf_weight.is_some_and(|weight| weight != 0),
                "linux.resources.blockIO.weightDevice[].leafWeight",
            )?;
            if let Some(weight) = device.weight.filter(|&weight| weight != 0) {
                self.io_weight(DEVICE, Some((device.major, device.minor)), weight)?;
            }
        }
        self.throttle(
            "linux.resources.blockIO.throttleReadBpsDevice",
            "rbps",
            &block_io.throttle_read_bps_device,
        );
        self.throttle(
            "linux.resources.blockIO.throttleWriteBpsDevice",
            "wbps",
            &block_io.throttle_write_bps_device,
        );
        self.throttle(
            "linux.resources.blockIO.throttleReadIOPSDevice",
            "riops",
            &block_io.throttle_read_iops_device,
        );
        self.throttle(
            "linux.resources.blockIO.throttleWriteIOPSDevice",
            "wiops",
            &block_io.throttle_write_iops_device,
        );
        Ok(())
    }

    /// The BFQ scheduler has a file of its own, in the range the specification uses.
    fn io_weight(
        &mut self,
        field: &'static str,
        device: Option<(i64, i64)>,
        weight: u16,
    ) -> Result<(), CgroupError> {
        if !(10..=1000).contains(&weight) {
            return Err(invalid(field, format!("{weight} is not between 10 and 1000")));
        }
        let prefix = device.map(|(major, minor)| format!("{major}:{minor} ")).unwrap_or_default();
        let value = format!("{prefix}{}", weight::io(weight));
        self.push(Controller::Io, field, "io.bfq.weight", format!("{prefix}{weight}"));
        if let Some(write) = self.writes.last_mut() {
            write.missing = Missing::Instead { file: "io.weight", value };
        }
        Ok(())
    }

    fn throttle(&mut self, field: &'static str, key: &str, devices: &[ThrottleDevice]) {
        for &ThrottleDevice { major, minor, rate } in devices {
            let rate = if rate == 0 { "max".to_owned() } else { rate.to_string() };
            let unlimited = rate == "max";
            self.push(Controller::Io, field, "io.max", format!("{major}:{minor} {key}={rate}"));
            if unlimited && let Some(write) = self.writes.last_mut() {
                write.missing = Missing::Ignore;
            }
        }
    }

    fn others(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        if let Some(network) = &resources.network {
            only_v1(network.class_id.is_some_and(|id| id != 0), "linux.resources.network.classID")?;
            only_v1(!network.priorities.is_empty(), "linux.resources.network.priorities")?;
        }
        for (index, hugepages) in resources.hugepage_limits.iter().enumerate() {
            let size = &hugepages.page_size;
            let field = format!("linux.resources.hugepageLimits[{index}]");
            if !is_page_size(size) {
                return Err(invalid(field, format!("{size:?} is not a page size such as 2MB or 1GB")));
            }
            for (part, missing) in [("", Missing::Fail), ("rsvd.", Missing::Ignore)] {
                self.writes.push(Write {
                    field: Cow::Owned(field.clone()),
                    controller: Some(Controller::Hugetlb),
                    file: Cow::Owned(format!("hugetlb.{size}.{part}max")),
                    value: hugepages.limit.to_string(),
                    missing,
                });
            }
        }
        for (device, limits) in &resources.rdma {
            let field = format!("linux.resources.rdma[{device}]");
            if device.is_empty()
                || device.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
            {
                return Err(invalid(field, "is not the name of a device"));
            }
            let mut value = device.clone();
            for (key, limit) in [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)] {
                if let Some(limit) = limit {
                    value.push_str(&format!(" {key}={limit}"));
                }
            }
            self.writes.push(Write {
                field: Cow::Owned(field),
                controller: Some(Controller::Rdma),
                file: Cow::Borrowed("rdma.max"),
                value,
                missing: Missing::Fail,
            });
        }
        Ok(())
    }

    /// Files by name. They come last, so that they override what the other fields say.
    fn unified(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        for (file, value) in &resources.unified {
            let field = format!("linux.resources.unified[{file}]");
            if file.is_empty() || file.contains('/') || file == ".." || file == "." {
                return Err(invalid(field, "is not the name of a file"));
            }
            let controller = file.split_once('.').and_then(|(prefix, _)| Controller::from_name(prefix));
            // Files with a line for each device take one line with each write.
            for line in value.split('\n').filter(|line| !line.is_empty() || value.is_empty()) {
                self.writes.push(Write {
                    field: Cow::Owned(field.clone()),
                    controller,
                    file: Cow::Owned(file.clone()),
                    value: line.to_owned(),
                    missing: Missing::Fail,
                });
            }
        }
        Ok(())
    }
}

/// A number of bytes as a file takes it; 0 is not set.
fn bytes(field: &'static str, bytes: i64) -> Result<Option<String>, CgroupError> {
    match bytes {
        0 => Ok(None),
        -1 => Ok(Some("max".to_owned())),
        1.. => Ok(Some(bytes.to_string())),
        _ => Err(invalid(field, format!("{bytes} is not a number of bytes or -1"))),
    }
}

fn is_page_size(size: &str) -> bool {
    let digits = size.len() - size.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    digits > 0 && matches!(&size[digits..], "KB" | "MB" | "GB")
}

fn only_v1(set: bool, field: &'static str) -> Result<(), CgroupError> {
    if set { Err(CgroupError::OnlyVersion1 { field }) } else { Ok(()) }
}

fn invalid(field: impl Into<String>, reason: impl Into<String>) -> CgroupError {
    CgroupError::InvalidValue { field: field.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines `file=value` a resources object leads to; `?` marks those that may be missing.
    fn lines(json: &str) -> Result<Vec<String>, String> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let limits = Limits::new(&resources).map_err(|error| error.to_string())?;
        Ok(limits
            .writes
            .iter()
            .map(|write| {
                let missing = match &write.missing {
                    Missing::Fail => String::new(),
                    Missing::Ignore => "?".to_owned(),
                    Missing::Instead { file, value } => format!(" or {file}={value}"),
                };
                format!("{}={}{missing}", write.file, write.value)
            })
            .collect())
    }

    fn check(json: &str, expected: &[&str]) {
        assert_eq!(lines(json).unwrap(), expected, "{json}");
    }

    fn refused(json: &str, expected: &str) {
        assert_eq!(lines(json).unwrap_err(), expected, "{json}");
    }

    #[test]
    fn memory() {
        check(r#"{"memory":{"limit":1048576}}"#, &["memory.max=1048576"]);
        check(r#"{"memory":{"limit":-1}}"#, &["memory.max=max?", "memory.swap.max=max?"]);
        check(r#"{"memory":{"limit":0,"swap":0}}"#, &[]);
        check(r#"{"memory":{"limit":1000,"swap":1000}}"#, &["memory.max=1000", "memory.swap.max=0?"]);
        check(r#"{"memory":{"limit":1000,"swap":3000}}"#, &["memory.max=1000", "memory.swap.max=2000"]);
        check(r#"{"memory":{"limit":1000,"swap":-1}}"#, &["memory.max=1000", "memory.swap.max=max?"]);
        check(r#"{"memory":{"reservation":500}}"#, &["memory.low=500"]);
        check(r#"{"memory":{"kernel":-1,"kernelTCP":0,"disableOOMKiller":false,"useHierarchy":true}}"#, &[]);
        refused(
            r#"{"memory":{"swap":10}}"#,
            "linux.resources.memory.swap: a swap limit needs a memory limit",
        );
        refused(
            r#"{"memory":{"limit":1000,"swap":999}}"#,
            "linux.resources.memory.swap: 999 is less than the memory limit 1000, which is part of it",
        );
        refused(
            r#"{"memory":{"limit":-2}}"#,
            "linux.resources.memory.limit: -2 is not a number of bytes or -1",
        );
        refused(
            r#"{"memory":{"kernel":4096}}"#,
            "linux.resources.memory.kernel: cgroup v2 has no such limit",
        );
        refused(
            r#"{"memory":{"swappiness":60}}"#,
            "linux.resources.memory.swappiness: cgroup v2 has no such limit",
        );
        refused(
            r#"{"memory":{"disableOOMKiller":true}}"#,
            "linux.resources.memory.disableOOMKiller: cgroup v2 has no such limit",
        );
    }

    #[test]
    fn cpu() {
        check(r#"{"cpu":{"shares":1024}}"#, &["cpu.weight=100"]);
        check(r#"{"cpu":{"shares":0,"quota":0,"period":0}}"#, &[]);
        check(r#"{"cpu":{"quota":50000}}"#, &["cpu.max=50000 100000"]);
        check(r#"{"cpu":{"quota":50000,"period":20000}}"#, &["cpu.max=50000 20000"]);
        check(r#"{"cpu":{"period":20000}}"#, &["cpu.max=max 20000?"]);
        check(r#"{"cpu":{"quota":-1}}"#, &["cpu.max=max 100000?"]);
        check(
            r#"{"cpu":{"quota":5000,"burst":1000}}"#,
            &["cpu.max.burst=0", "cpu.max=5000 100000", "cpu.max.burst=1000"],
        );
        check(r#"{"cpu":{"burst":1000}}"#, &["cpu.max.burst=1000"]);
        check(r#"{"cpu":{"idle":1,"shares":2}}"#, &["cpu.weight=1", "cpu.idle=1"]);
        check(r#"{"cpu":{"idle":0,"shares":2}}"#, &["cpu.idle=0", "cpu.weight=1"]);
        check(r#"{"cpu":{"cpus":"0-3,7","mems":"0"}}"#, &["cpuset.cpus=0-3,7", "cpuset.mems=0"]);
        refused(
            "{\"cpu\":{\"cpus\":\"0\\n1\"}}",
            r#"linux.resources.cpu.cpus: "0\n1" is not a list such as 0-3,7"#,
        );
        refused(
            r#"{"cpu":{"realtimeRuntime":95000}}"#,
            "linux.resources.cpu.realtimeRuntime: cgroup v2 has no such limit",
        );
    }

    #[test]
    fn pids() {
        check(r#"{"pids":{"limit":100}}"#, &["pids.max=100"]);
        check(r#"{"pids":{"limit":-1}}"#, &["pids.max=max?"]);
        check(r#"{"pids":{"limit":0}}"#, &["pids.max=1"]);
        check(r#"{"pids":{}}"#, &[]);
    }

    #[test]
    fn block_io() {
        check(r#"{"blockIO":{"weight":500}}"#, &["io.bfq.weight=500 or io.weight=4950"]);
        check(
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":1000}]}}"#,
            &["io.bfq.weight=8:0 1000 or io.weight=8:0 10000"],
        );
        check(
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1000}],
                "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":0}],
                "throttleReadIOPSDevice":[{"major":8,"minor":16,"rate":5}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":6}]}}"#,
            &["io.max=8:0 rbps=1000", "io.max=8:0 wbps=max?", "io.max=8:16 riops=5", "io.max=8:16 wiops=6"],
        );
        refused(
            r#"{"blockIO":{"weight":9}}"#,
            "linux.resources.blockIO.weight: 9 is not between 10 and 1000",
        );
        refused(
            r#"{"blockIO":{"leafWeight":10}}"#,
            "linux.resources.blockIO.leafWeight: cgroup v2 has no such limit",
        );
    }

    #[test]
    fn the_rest() {
        check(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}]}"#,
            &["hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096?"],
        );
        refused(
            r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#,
            "linux.resources.hugepageLimits[0]: \"../x\" is not a page size such as 2MB or 1GB",
        );
        check(
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}}"#,
            &["rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
        );
        check(r#"{"network":{"classID":0,"priorities":[]}}"#, &[]);
        refused(
            r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#,
            "linux.resources.network.priorities: cgroup v2 has no such limit",
        );
        check(
            r#"{"unified":{"io.max":"8:0 rbps=1\n8:16 rbps=2\n","memory.high":"5"}}"#,
            &["io.max=8:0 rbps=1", "io.max=8:16 rbps=2", "memory.high=5"],
        );
        refused(
            r#"{"unified":{"../cgroup.procs":"1"}}"#,
            "linux.resources.unified[../cgroup.procs]: is not the name of a file",
        );
    }

    #[test]
    fn only_limits_require_their_controllers() {
        let resources: LinuxResources = serde_json::from_str(
            r#"{"memory":{"limit":-1},"pids":{"limit":5},"unified":{"rdma.max":"x","cgroup.max.depth":"3"}}"#,
        )
        .unwrap();
        let limits = Limits::new(&resources).unwrap();
        let required: Vec<_> = limits.required().map(|(controller, _)| controller).collect();
        assert_eq!(required, [Controller::Pids, Controller::Rdma]);
    }
}
