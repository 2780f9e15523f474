//! `cargo xtask test`: unit tests, the crates' own integration tests, and the end-to-end suites, on the host in
//! namespaces of their own, and the suites again in the test machine.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::vm::Guard;
use crate::{binaries, host, isolate};

/// Test machines at the same time, each with a part of the cases. Emulation keeps one core busy per machine.
const MACHINES: usize = 2;

/// `cargo xtask test [host|vm] [FILTER]...`: both places without a word.
pub fn run(args: &[String]) -> Result<ExitCode> {
    host::require(&[host::BUSYBOX, host::NFT, host::IP, host::REGISTRY])?;
    let (place, filters) = match args.first().map(String::as_str) {
        Some("host" | "vm") => (args.first().map(String::as_str), &args[1..]),
        _ => (None, args),
    };
    let mut failed = Vec::new();
    if place.is_none()
        && filters.is_empty()
        && binaries::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"], "").is_err()
    {
        failed.push("cargo test");
    }
    let bin = binaries::build()?.dir;
    binaries::cargo(&["build", "--locked", "-p", "ross-tests"], "")?;
    let suites = binaries::target_dir().join("debug/ross-tests");
    if place != Some("vm") {
        println!("\n== end-to-end suites on this host, in namespaces of their own");
        let status = isolate::command(&suites)?.arg("--bin").arg(&bin).args(filters).status()?;
        if !status.success() {
            failed.push("suites on the host");
        }
    }
    if place != Some("host") {
        println!("\n== in test machines: a stock kernel, pure cgroup v2");
        if !in_machines(&suites, &bin, filters)? {
            failed.push("the test machines");
        }
    }
    if failed.is_empty() {
        println!("\nall green");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nfailed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Runs the suites spread over test machines; whether all of them were green. What they say is printed in turn.
fn in_machines(suites: &Path, bin: &Path, filters: &[String]) -> Result<bool> {
    let own = std::env::current_exe().context("own path")?;
    let mut machines = Vec::new();
    for seat in 1..=MACHINES {
        let script = format!(
            "{} --bin {} --part {seat}/{MACHINES} {}",
            suites.display(),
            bin.display(),
            filters.join(" ")
        );
        let path = binaries::target_dir().join(format!("tests-in-machine-{seat}.log"));
        let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let mut machine = Command::new(&own);
        machine.args(["vm", "--seat", &seat.to_string(), "--", &script]);
        machine.stdout(log.try_clone()?).stderr(log);
        machines.push((path, Guard(machine.spawn().context("start a test machine")?)));
    }
    let mut green = true;
    for (seat, (path, mut machine)) in machines.into_iter().enumerate() {
        let status = machine.0.wait().context("wait for a test machine")?;
        println!("\n-- test machine {} of {MACHINES}", seat + 1);
        print!("{}", std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?);
        green &= status.success();
    }
    Ok(green)
}
