//! `cargo xtask test`: unit tests, the crates' own integration tests, and the end-to-end suites, on the host in
//! namespaces of their own; then in test machines the suites again, and the tests that want all of a kernel.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::vm::Guard;
use crate::{binaries, debian, host, isolate};

/// Test machines at the same time, each with a part of the cases. Emulation keeps one core busy per machine.
const MACHINES: usize = 2;

/// Integration tests of ross-runtime about cgroup controllers, which a host may lack, with their options. In the test
/// machine nothing may be missing.
const CONTROLLER_TESTS: [(&str, &str); 3] =
    [("cgroup", ""), ("command_line", "--ignored"), ("systemd", "--ignored")];

/// `cargo xtask test [host|vm] [FILTER]...`: both places without a word.
pub fn run(args: &[String]) -> Result<ExitCode> {
    host::require(&[host::BUSYBOX, host::NFT, host::IP, host::REGISTRY, host::NOTIFY])?;
    let (place, filters) = match args.first().map(String::as_str) {
        Some(place @ ("host" | "vm")) => (Some(place), &args[1..]),
        _ => (None, args),
    };
    let mut failed = Vec::new();
    let skipped = binaries::target_dir().join("skipped-tests.txt");
    let _ = fs::remove_file(&skipped);
    if place.is_none() && filters.is_empty() && !cargo_tests(&skipped)? {
        failed.push("cargo test");
    }
    let bin = binaries::build()?.dir;
    binaries::build_probe()?;
    binaries::cargo(&["build", "--locked", "-p", "ross-tests"], "")?;
    let suites = binaries::target_dir().join("debug/ross-tests");
    if place != Some("vm") {
        println!("\n== end-to-end suites on this host, in namespaces of their own");
        let mut cases = isolate::command(&suites)?;
        if filters.is_empty() || filters.iter().any(|filter| filter.contains("unpack")) {
            cases.env("ROSS_FIXTURES", debian::prepare()?);
        }
        let status = cases.arg("--bin").arg(&bin).args(filters).status()?;
        if !status.success() {
            failed.push("suites on the host");
        }
    }
    if place != Some("host") {
        println!("\n== in test machines: a stock kernel, pure cgroup v2");
        // Half of a distribution, for cases that run only when they are named.
        if filters.iter().any(|filter| filter.contains("callers")) {
            host::require(&host::CALLERS)?;
        }
        let more = if filters.is_empty() { controller_tests()? } else { Vec::new() };
        if !in_machines(&suites, &bin, filters, &more)? {
            failed.push("the test machines");
        }
    }
    if let Ok(list) = fs::read_to_string(&skipped) {
        println!("\nskipped by cargo test on this host, run in the test machine:\n{}", list.trim_end());
    }
    if failed.is_empty() {
        println!("\nall green");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nfailed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Whether all tests of all crates are green; those that cannot run here write a line each to `skipped`.
fn cargo_tests(skipped: &Path) -> Result<bool> {
    let mut test = binaries::cargo_command();
    test.args(["test", "--workspace", "--locked", "--no-fail-fast"]).env("ROSS_SKIPPED", skipped);
    Ok(test.status().context("run cargo test")?.success())
}

/// The programs of [`CONTROLLER_TESTS`] with their options.
fn controller_tests() -> Result<Vec<String>> {
    let built = binaries::test_programs(&["--workspace"])?;
    let ours = built.iter().filter(|program| program.package.contains("/crates/runtime#"));
    let chosen = ours.filter_map(|program| {
        let (_, options) = CONTROLLER_TESTS.iter().find(|(name, _)| program.name == *name)?;
        Some(format!("{} {options}", program.path.display()))
    });
    let programs: Vec<String> = chosen.collect();
    if programs.len() != CONTROLLER_TESTS.len() {
        bail!("cargo names {programs:?} for {CONTROLLER_TESTS:?}");
    }
    Ok(programs)
}

/// Spreads the suites and `more` over test machines; whether all of them were green. What
/// they say is printed in turn.
fn in_machines(suites: &Path, bin: &Path, filters: &[String], more: &[String]) -> Result<bool> {
    let own = std::env::current_exe().context("own path")?;
    let mut machines = Vec::new();
    for seat in 1..=MACHINES {
        let mut script = "green=0".to_owned();
        for program in more.iter().skip(seat - 1).step_by(MACHINES) {
            script.push_str(&format!("; echo {program}; {program} || green=1"));
        }
        script.push_str(&format!(
            "; {} --bin {} --part {seat}/{MACHINES} {} || green=1; exit $green",
            suites.display(),
            bin.display(),
            filters.join(" ")
        ));
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
