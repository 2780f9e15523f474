//! Proportional set size of what stays resident: the daemons when idle, and per running container.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use rootfs_fixtures::{Compression, Flavour, Registry};

use super::Place;
use super::engines::{self, Engine, Kind};

const CONTAINERS: usize = 20;

pub fn measure(place: &Place) -> Result<String> {
    let registry = Registry::start(&place.folder("registry")?)?;
    rootfs_fixtures::push(
        &rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?,
        &registry.address(),
        "bench/busybox",
        "1",
    )?;
    let image = format!("{}/bench/busybox:1", registry.address());
    let mut text = format!(
        "### memory: PSS in KiB, {CONTAINERS} containers running\n\n| | supervisors, each | daemons idle | daemons with {CONTAINERS} |\n|---|---|---|---|\n"
    );
    for engine in engines::start_all(place) {
        match one(&engine, &image) {
            Ok((each, idle, busy)) => {
                text.push_str(&format!("| {} | {each} | {idle} | {busy} |\n", engine.title()));
            }
            Err(error) => text.push_str(&format!("| {} | not measured: {error:#} | | |\n", engine.name)),
        }
    }
    Ok(text)
}

fn one(engine: &Engine, image: &str) -> Result<(u64, u64, u64)> {
    engine.pull(image)?;
    let daemons = engine.daemon_pids();
    let idle = pss_of(&daemons)?;
    let before: HashSet<u32> = processes()?.into_iter().collect();
    let names: Vec<String> = (0..CONTAINERS).map(|number| format!("bench-memory-{number}")).collect();
    for name in &names {
        match engine.kind {
            Kind::Containerd => engine.call(&["run", "-d", image, name, "sleep", "1000"])?,
            _ => {
                let fixed = ["--network", "none", "--name", name, image, "sleep", "1000"];
                engine.call(&[&["run", "-d"], engine.run_options(), &fixed].concat())?;
            }
        }
    }
    // Everything new but the containers' own processes is supervision.
    let new: Vec<u32> = processes()?.into_iter().filter(|pid| !before.contains(pid)).collect();
    let supervisors: Vec<u32> =
        new.into_iter().filter(|pid| name_of(*pid).is_some_and(|name| name != "sleep")).collect();
    let each = pss_of(&supervisors)? / CONTAINERS as u64;
    let busy = pss_of(&daemons)?;
    for name in &names {
        match engine.kind {
            Kind::Containerd => {
                engine.call(&["task", "kill", "-s", "KILL", name])?;
                // The task is gone once its exit has been seen.
                while engine.call(&["task", "delete", name]).is_err() {}
                engine.call(&["container", "delete", name])?;
            }
            _ => engine.call(&["rm", "-f", name])?,
        }
    }
    Ok((each, idle, busy))
}

fn processes() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect())
}

fn name_of(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned())
}

/// Sum of the processes' proportional set sizes, KiB. Source: proc_pid_smaps(5), smaps_rollup.
fn pss_of(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|rest| rest.trim().split(' ').next());
        sum += number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
