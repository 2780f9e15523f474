//! `linux.cgroupsPath` and `linux.resources`, as the files of cgroup v2 show them. config-linux.md, control groups.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, Change, case};
use super::stage::{CGROUPS, Stage};
use crate::harness::Need;

const MEGABYTE: u64 = 1 << 20;

pub fn cases() -> Vec<Case> {
    [path(), memory(), cpu(), others()].into_iter().flatten().collect()
}

/// A limit, and what its file says then.
fn limit(
    name: &'static str,
    controller: &'static str,
    (pointer, value): (&'static str, Value),
    (file, shown): (&str, &str),
) -> Case {
    case(name, "config-linux.md#control-groups")
        .controller(controller)
        .set(pointer, value)
        .answers(&format!("read=/sys/fs/cgroup/{file}"), json!(shown))
}

fn path() -> Vec<Case> {
    let section = "config-linux.md#cgroups-path";
    vec![
        case("cgroups-path/absolute", section)
            .with_cgroup()
            .set("/linux/cgroupsPath", json!(format!("{CGROUPS}/absolute")))
            .change(Change::DropNamespace("cgroup"))
            .has(&["cgroup"], json!(format!("{CGROUPS}/absolute"))),
        case("cgroups-path/goes-with-the-container", section).with_cgroup().steps(goes),
        case("cgroups-path/out-of-the-hierarchy", section).with_cgroup().steps(stays_inside),
        case("cgroups-path/pause-and-resume", "runc: pause and resume").with_cgroup().steps(pause),
        case("cgroups-path/kill-all", "runc: kill --all")
            .with_cgroup()
            .change(Change::DropNamespace("pid"))
            .steps(kill_all),
    ]
}

fn memory() -> Vec<Case> {
    // Memory and swap together, of which v2 has the swap alone.
    let both = json!({"limit": 32 * MEGABYTE, "swap": 96 * MEGABYTE});
    vec![
        limit(
            "memory/limit",
            "memory",
            ("/linux/resources/memory", json!({"limit": 32 * MEGABYTE})),
            ("memory.max", "33554432"),
        ),
        limit(
            "memory/swap-is-beside-the-limit",
            "memory",
            ("/linux/resources/memory", both),
            ("memory.swap.max", "67108864"),
        )
        .needs(Need::Path("/proc/swaps")),
        limit(
            "memory/reservation",
            "memory",
            ("/linux/resources/memory", json!({"reservation": 16 * MEGABYTE})),
            ("memory.low", "16777216"),
        ),
        case("memory/no-limit", "runc: update").controller("memory").steps(no_memory_limit),
        limit(
            "unified/memory-high",
            "memory",
            ("/linux/resources/unified", json!({"memory.high": "32768000"})),
            ("memory.high", "32768000"),
        ),
        limit(
            "unified/over-what-is-set-otherwise",
            "memory",
            (
                "/linux/resources",
                json!({"memory": {"limit": 32 * MEGABYTE}, "unified": {"memory.max": "16777216"}}),
            ),
            ("memory.max", "16777216"),
        ),
        case("unified/unknown-controller", "config-linux.md#unified")
            .with_cgroup()
            .set("/linux/resources/unified", json!({"of_tomorrow.max": "1"}))
            .refused(),
        case("unified/unknown-file", "config-linux.md#unified")
            .controller("memory")
            .set("/linux/resources/unified", json!({"memory.of_tomorrow": "1"}))
            .refused(),
        case("unified/out-of-the-cgroup", "config-linux.md#unified")
            .with_cgroup()
            .set("/linux/resources/unified", json!({"../cgroup.max.depth": "5"}))
            .refused(),
    ]
}

fn cpu() -> Vec<Case> {
    let cpu = |name: &'static str, value: Value, file: &str, shown: &str| {
        limit(name, "cpu", ("/linux/resources/cpu", value), (file, shown))
    };
    // The specification has no formula; the one before it was a line, with a weight of 39 for 1024 shares.
    let curve = |name: &'static str, shares: u64, weight: &str| Case {
        section: "runc 1.3.2, crun 1.23: a curve from shares to weights",
        ..cpu(name, json!({"shares": shares}), "cpu.weight", weight)
    };
    let set = |name: &'static str, value: Value, file: &str| {
        limit(name, "cpuset", ("/linux/resources/cpu", value), (file, "0"))
    };
    vec![
        cpu("cpu/most-shares", json!({"shares": 262_144}), "cpu.weight", "10000"),
        cpu("cpu/least-shares", json!({"shares": 2}), "cpu.weight", "1"),
        curve("cpu/default-shares", 1024, "100"),
        // 10 to the power of (9² + 125 · 9) / 612 - 7/34 is 58.17, and it is rounded up.
        curve("cpu/half-of-the-default-shares", 512, "59"),
        cpu("cpu/quota-and-period", json!({"quota": 20000, "period": 50000}), "cpu.max", "20000 50000"),
        cpu("cpu/quota", json!({"quota": 30000}), "cpu.max", "30000 100000"),
        cpu("cpu/no-quota", json!({"quota": -1, "period": 50000}), "cpu.max", "max 50000"),
        cpu("cpu/burst", json!({"quota": 20000, "period": 50000, "burst": 10000}), "cpu.max.burst", "10000")
            .since("1.1"),
        cpu("cpu/idle", json!({"idle": 1}), "cpu.idle", "1").since("1.1"),
        set("cpu/cpus", json!({"cpus": "0"}), "cpuset.cpus").is(&["affinity"], json!("0")),
        set("cpu/mems", json!({"mems": "0"}), "cpuset.mems").is(&["memory_nodes"], json!("0")),
    ]
}

fn others() -> Vec<Case> {
    vec![
        limit("pids/limit", "pids", ("/linux/resources/pids", json!({"limit": 33})), ("pids.max", "33")),
        case("pids/no-limit", "runc: update").controller("pids").steps(no_pids_limit),
        limit(
            "huge-pages/limit",
            "hugetlb",
            ("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 * MEGABYTE}])),
            ("hugetlb.2MB.max", "4194304"),
        ),
        case("block-io/weight", "config-linux.md#block-io")
            .controller("io")
            // The root's file of the kernel's part that gives the others a weight.
            .needs(Need::Path("/sys/fs/cgroup/io.cost.qos"))
            .steps(io_weight),
        case("block-io/throttle", "config-linux.md#block-io")
            .controller("io")
            .needs(Need::Path("/sys/block/vda/dev"))
            .steps(throttle),
        case("rdma/limit", "config-linux.md#rdma")
            .controller("rdma")
            .needs(Need::Path("/sys/class/infiniband/rxe0"))
            .set("/linux/resources/rdma", json!({"rxe0": {"hcaHandles": 3, "hcaObjects": 100}}))
            .has(&["asked", "read=/sys/fs/cgroup/rdma.max", "ok"], json!("hca_handle=3 hca_object=100"))
            .word("read=/sys/fs/cgroup/rdma.max"),
        // Without shares to make it with, it has to be there.
        case("intel-rdt/class-that-nobody-made", "config-linux.md#intel-rdt")
            .needs(Need::Path("/sys/fs/resctrl/schemata"))
            .set("/linux/intelRdt", json!({"closID": "ross-conformance"}))
            .refused(),
        case("update/limit", "runc: update").controller("pids").steps(update),
        case("resources/a-limit-that-nothing-enforces", "config-linux.md#control-groups")
            .with_cgroup()
            .needs(Need::NoController("pids"))
            .set("/linux/resources/pids", json!({"limit": 33}))
            .refused(),
    ]
}

/// The cgroup of a process as this host sees it, below the v2 hierarchy.
fn cgroup_of(pid: i64) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).context("no v2 cgroup")?;
    Ok(format!("/sys/fs/cgroup{path}"))
}

fn goes(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/linux/cgroupsPath", json!(format!("{CGROUPS}/goes")));
    stage.sleeps()?;
    let cgroup = cgroup_of(stage.pid()?)?;
    ensure!(cgroup.contains("goes") && fs::exists(&cgroup)?, "its cgroup is {cgroup}");
    stage.call(&["kill", "ID", "KILL"])?.ok()?;
    stage.becomes("stopped")?;
    stage.call(&["delete", "ID"])?.ok()?;
    ensure!(!fs::exists(&cgroup)?, "{cgroup} is still there");
    Ok(())
}

/// Refused, or somewhere in the hierarchy: but not a folder elsewhere, as long as the container is there or later.
fn stays_inside(stage: &mut Stage) -> Result<()> {
    // More steps than there are to the root of the host, wherever the hierarchy is mounted.
    let folder = format!("/tmp/{}", stage.id);
    stage.bundle.set("/linux/cgroupsPath", json!(format!("/../../../../../..{folder}")));
    stage.bundle.args(&["/bin/busybox", "sleep", "1000"]);
    let output = stage.create()?;
    let escaped = fs::remove_dir_all(&folder).is_ok();
    ensure!(output.code >= 0, "the runtime crashed");
    if output.code == 0 {
        let cgroup = cgroup_of(stage.pid()?)?;
        ensure!(!cgroup.contains("/..") && fs::exists(&cgroup)?, "its cgroup is {cgroup}");
        stage.call(&["delete", "--force", "ID"])?.ok()?;
    }
    // Where it is resolved below the hierarchy's root, the folder above stays.
    let _ = fs::remove_dir("/sys/fs/cgroup/tmp");
    ensure!(!escaped && !fs::exists(&folder)?, "a folder was made outside of the hierarchy");
    Ok(())
}

fn pause(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["resume", "ID"])?.complains(&[])?;
    stage.call(&["pause", "ID"])?.ok()?;
    ensure!(stage.state()?["status"] == "paused", "{}", stage.state()?);
    let frozen = fs::read_to_string(cgroup_of(stage.pid()?)? + "/cgroup.events")?;
    ensure!(frozen.contains("frozen 1"), "{frozen}");
    stage.call(&["resume", "ID"])?.ok()?;
    ensure!(stage.state()?["status"] == "running", "{}", stage.state()?);
    Ok(())
}

/// In the caller's pid namespace and by a signal that is not SIGKILL, so that nothing else ends the others.
fn kill_all(stage: &mut Stage) -> Result<()> {
    stage.bundle.args(&["/bin/busybox", "sh", "-c", "sleep 1000 & sleep 1000 & wait"]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    let cgroup = cgroup_of(stage.pid()?)?;
    within("there are not three processes", || {
        Ok(fs::read_to_string(format!("{cgroup}/cgroup.procs"))?.lines().count() == 3)
    })?;
    stage.call(&["kill", "--all", "ID", "TERM"])?.ok()?;
    stage.becomes("stopped")?;
    within("a process is left", || {
        let events = fs::read_to_string(format!("{cgroup}/cgroup.events"));
        // Who removes the cgroup of a stopped container has seen it empty.
        Ok(events.map_or(true, |events| events.contains("populated 0")))
    })
}

/// Waits for what comes soon.
fn within(otherwise: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so()? {
        ensure!(Instant::now() < deadline, "{otherwise}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What a file of the container's cgroup says.
fn seen(stage: &Stage, file: &str) -> Result<String> {
    let path = format!("{}/{file}", cgroup_of(stage.pid()?)?);
    Ok(fs::read_to_string(&path).context(path)?.trim().to_owned())
}

/// That a file of the container's cgroup says this.
fn says(stage: &Stage, file: &str, expected: &str) -> Result<()> {
    let seen = seen(stage, file)?;
    ensure!(seen == expected, "{file} is {seen}, expected {expected}");
    Ok(())
}

fn update(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["update", "--pids-limit", "44", "ID"])?.ok()?;
    says(stage, "pids.max", "44")
}

/// A limit that is there is taken away: without one the file says the same from the start.
fn no_memory_limit(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/linux/resources/memory", json!({"limit": 32 * MEGABYTE}));
    stage.sleeps()?;
    says(stage, "memory.max", "33554432")?;
    stage.call(&["update", "--memory", "-1", "ID"])?.ok()?;
    says(stage, "memory.max", "max")
}

fn no_pids_limit(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/linux/resources/pids", json!({"limit": 33}));
    stage.sleeps()?;
    says(stage, "pids.max", "33")?;
    stage.call(&["update", "--pids-limit", "-1", "ID"])?.ok()?;
    says(stage, "pids.max", "max")
}

/// BFQ has the specification's range, the kernel's own file one to 10000.
fn io_weight(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/linux/resources/blockIO", json!({"weight": 500}));
    stage.sleeps()?;
    let weight = |file| seen(stage, file).unwrap_or_default();
    let (own, bfq) = (weight("io.weight"), weight("io.bfq.weight"));
    ensure!(
        own.ends_with(" 4950") || bfq.split(' ').next_back() == Some("500"),
        "io.weight is `{own}`, io.bfq.weight `{bfq}`"
    );
    Ok(())
}

fn throttle(stage: &mut Stage) -> Result<()> {
    let device = fs::read_to_string("/sys/block/vda/dev")?;
    let (major, minor) = device.trim().split_once(':').context("vda's numbers")?;
    let (major, minor): (u32, u32) = (major.parse()?, minor.parse()?);
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    stage.bundle.set(
        "/linux/resources/blockIO",
        json!({"throttleReadBpsDevice": rate(MEGABYTE), "throttleWriteIOPSDevice": rate(77)}),
    );
    stage.sleeps()?;
    let seen = seen(stage, "io.max")?;
    ensure!(seen.contains("rbps=1048576") && seen.contains("wiops=77"), "io.max is {seen}");
    Ok(())
}
