//! `linux.cgroupsPath` and `linux.resources`, as the files of cgroup v2 show them. config-linux.md, control groups.

use std::fs;

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
        case("cgroups-path/out-of-the-hierarchy", section)
            .with_cgroup()
            .set("/linux/cgroupsPath", json!("/../../tmp/ross-conformance"))
            .steps(stays_inside),
        case("cgroups-path/pause-and-resume", "runc: pause and resume").with_cgroup().steps(pause),
        case("cgroups-path/kill-all", "runc: kill --all").with_cgroup().steps(kill_all),
    ]
}

fn memory() -> Vec<Case> {
    let both = json!({"limit": 32 * MEGABYTE, "swap": 64 * MEGABYTE});
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
            ("memory.swap.max", "33554432"),
        )
        .needs(Need::Path("/proc/swaps")),
        limit(
            "memory/reservation",
            "memory",
            ("/linux/resources/memory", json!({"reservation": 16 * MEGABYTE})),
            ("memory.low", "16777216"),
        ),
        limit(
            "memory/no-limit",
            "memory",
            ("/linux/resources/memory", json!({"limit": -1})),
            ("memory.max", "max"),
        ),
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
    let set = |name: &'static str, value: Value, file: &str| {
        limit(name, "cpuset", ("/linux/resources/cpu", value), (file, "0"))
    };
    vec![
        cpu("cpu/most-shares", json!({"shares": 262_144}), "cpu.weight", "10000"),
        cpu("cpu/least-shares", json!({"shares": 2}), "cpu.weight", "1"),
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
        limit("pids/no-limit", "pids", ("/linux/resources/pids", json!({"limit": -1})), ("pids.max", "max")),
        limit(
            "huge-pages/limit",
            "hugetlb",
            ("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 * MEGABYTE}])),
            ("hugetlb.2MB.max", "4194304"),
        ),
        case("block-io/weight", "config-linux.md#block-io")
            .controller("io")
            .needs(Need::Path("/sys/fs/cgroup/init/io.weight"))
            .set("/linux/resources/blockIO", json!({"weight": 1000}))
            .has(&["asked", "read=/sys/fs/cgroup/io.weight", "ok"], json!("10000"))
            .word("read=/sys/fs/cgroup/io.weight"),
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
        case("intel-rdt/class", "config-linux.md#intel-rdt")
            .needs(Need::Path("/sys/fs/resctrl/schemata"))
            .set("/linux/intelRdt", json!({"closID": "ross-conformance"})),
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

/// Refused, or somewhere in the hierarchy: but not a folder elsewhere.
fn stays_inside(stage: &mut Stage) -> Result<()> {
    stage.words(&[]);
    let output = stage.run()?;
    let left = fs::exists("/tmp/ross-conformance")? || fs::exists("/sys/tmp")?;
    ensure!(!left, "a folder was made outside of the hierarchy");
    // Where it is resolved below the hierarchy's root, the folder above stays.
    let _ = fs::remove_dir("/sys/fs/cgroup/tmp");
    ensure!(output.code >= 0, "the runtime crashed");
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

fn kill_all(stage: &mut Stage) -> Result<()> {
    stage.bundle.args(&["/bin/busybox", "sh", "-c", "sleep 1000 & sleep 1000 & wait"]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    stage.call(&["kill", "--all", "ID", "KILL"])?.ok()?;
    stage.becomes("stopped")
}

fn update(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["update", "--pids-limit", "44", "ID"])?.ok()?;
    let seen = fs::read_to_string(cgroup_of(stage.pid()?)? + "/pids.max")?;
    ensure!(seen.trim() == "44", "pids.max is {seen}");
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
    let seen = fs::read_to_string(cgroup_of(stage.pid()?)? + "/io.max")?;
    ensure!(seen.contains("rbps=1048576") && seen.contains("wiops=77"), "io.max is {seen}");
    Ok(())
}
