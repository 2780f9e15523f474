//! Resource limits: in the cgroup's files, and in effect.

use anyhow::{Result, ensure};

use crate::harness::{Bed, Case, Need};

pub const CASES: &[Case] = &[
    Case { name: "limits/memory", needs: &[Need::Controller("memory")], run: memory },
    Case { name: "limits/out-of-memory-is-reported", needs: &[Need::Controller("memory")], run: oom },
    Case { name: "limits/cpu", needs: &[Need::Controller("cpu"), Need::Controller("cpuset")], run: cpu },
    Case { name: "limits/pids", needs: &[Need::Controller("pids")], run: pids },
    Case { name: "limits/io", needs: &[Need::Controller("io"), Need::Path(DISK)], run: io },
    Case { name: "limits/cannot-be-enforced", needs: &[Need::NoController("memory")], run: unenforceable },
];

/// The test machine's disk.
const DISK: &str = "/dev/vda";

fn cgroup_file(bed: &mut Bed, flags: &[&str], file: &str) -> Result<String> {
    let path = format!("/sys/fs/cgroup/{file}");
    let args = [&["run", "--rm"], flags, &["busybox", "cat", &path]].concat();
    Ok(bed.ross(&args)?.ok()?.text().to_owned())
}

fn check(bed: &mut Bed, flags: &[&str], file: &str, expected: &str) -> Result<()> {
    let found = cgroup_file(bed, flags, file)?;
    ensure!(found == expected, "{flags:?}: {file} has `{found}`, expected `{expected}`");
    Ok(())
}

fn memory(bed: &mut Bed) -> Result<()> {
    check(bed, &["-m", "64m"], "memory.max", "67108864")?;
    check(bed, &["-m", "64m", "--memory-swap", "96m"], "memory.swap.max", "33554432")?;
    check(bed, &["-m", "64m", "--memory-swap", "-1"], "memory.swap.max", "max")?;
    check(bed, &["--memory-reservation", "32m"], "memory.low", "33554432")?;
    bed.ross(&["run", "--rm", "-m", "1k", "busybox", "true"])?.exits(125)?.complains(&["memory"])?;
    Ok(())
}

fn oom(bed: &mut Bed) -> Result<()> {
    let name = bed.name("oom");
    let args = [
        "run",
        "--name",
        &name,
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "busybox",
        "sh",
        "-c",
        "x=a; while true; do x=$x$x; done",
    ];
    bed.ross(&args)?.exits(137)?;
    bed.ross(&["inspect", &name])?.ok()?.says("\"oom_killed\": true")?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn cpu(bed: &mut Bed) -> Result<()> {
    check(bed, &["--cpus", "0.5"], "cpu.max", "50000 100000")?;
    check(bed, &["--cpuset-cpus", "0"], "cpuset.cpus", "0")?;
    let weight: u32 = cgroup_file(bed, &["--cpu-shares", "512"], "cpu.weight")?.parse()?;
    ensure!((20..100).contains(&weight), "512 shares became weight {weight}");
    Ok(())
}

fn pids(bed: &mut Bed) -> Result<()> {
    check(bed, &["--pids-limit", "20"], "pids.max", "20")?;
    let bomb = "i=0; while test $i -lt 40; do sleep 5 & i=$((i+1)); done; true";
    bed.ross(&["run", "--rm", "--pids-limit", "10", "busybox", "sh", "-c", bomb])?.complains(&["fork"])?;
    // Bounded by default, too.
    ensure!(cgroup_file(bed, &[], "pids.max")? != "max", "a container may fork without bound");
    Ok(())
}

fn io(bed: &mut Bed) -> Result<()> {
    let found = cgroup_file(bed, &["--device-read-bps", &format!("{DISK}:1mb")], "io.max")?;
    ensure!(found.contains("rbps=1048576"), "io.max has `{found}`");
    Ok(())
}

fn unenforceable(bed: &mut Bed) -> Result<()> {
    // A host whose controllers are bound to v1: the limit is refused by name, nothing is left, and none asked runs.
    bed.ross(&["run", "--rm", "-m", "64m", "busybox", "true"])?
        .exits(125)?
        .complains(&["memory", "controller"])?;
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    Ok(())
}
