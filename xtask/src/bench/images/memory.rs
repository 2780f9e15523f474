//! Peak memory of a pull: the largest that the daemons and the client were, each in a run of its own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::super::engines::{ALL, Engine};
use super::super::{Place, pull};
use crate::host;

pub fn measure(place: &Place, reference: &str) -> Result<String> {
    let mut text = "### peak memory of a pull of the Debian-like image, resident KiB\n\n\
                    | | daemons | client | together |\n|---|---|---|---|\n"
        .to_owned();
    for (name, kind) in ALL {
        let dir = place.folder(&format!("memory-{name}"))?;
        let measured = Engine::start_in(&dir, &dir, &place.bin, name, kind)
            .and_then(|engine| of(place, &engine, reference));
        match measured {
            Ok((daemons, client)) => {
                text.push_str(&format!("| {name} | {daemons} | {client} | {} |\n", daemons + client));
            }
            Err(error) => text.push_str(&format!("| {name} | not measured: {error:#} | | |\n")),
        }
    }
    if let (Some(skopeo), Some(umoci)) = (host::find("skopeo"), host::find("umoci")) {
        let dir = place.folder("memory-umoci")?;
        let (layout, bundle) = (dir.join("layout"), dir.join("bundle"));
        let first = peak(place, &pull::copying(&skopeo, reference, &layout))?;
        let second = peak(place, &pull::unpacking(&umoci, &layout, &bundle))?;
        let most = first.max(second);
        text.push_str(&format!("| skopeo, then umoci | 0 | {most} | {most} |\n"));
    }
    Ok(text + "\n")
}

fn of(place: &Place, engine: &Engine, reference: &str) -> Result<(u64, u64)> {
    let client = peak(place, &engine.pulling(reference)?)?;
    let daemons = engine.daemon_pids().into_iter().map(high_water).sum::<Result<u64>>()?;
    engine.remove(reference)?;
    Ok((daemons, client))
}

/// `VmHWM` of a process, KiB. Source: proc_pid_status(5).
fn high_water(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let number = line.trim().trim_end_matches(" kB");
    number.parse().with_context(|| format!("VmHWM `{number}`"))
}

/// The largest that a command was, KiB, by the program `peak`.
fn peak(place: &Place, command: &Command) -> Result<u64> {
    let mut peak = Command::new(place.bin.join("peak"));
    peak.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            peak.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        peak.current_dir(dir);
    }
    let output = peak.output().context("run peak")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("peak says `{}`", text.trim()))
}
