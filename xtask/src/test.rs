//! `cargo xtask test`: unit tests, the crates' own integration tests, and the end-to-end suites, on the host in
//! namespaces of their own, and the suites again in the test machine.

use std::process::ExitCode;

use anyhow::Result;

use crate::vm::{Disk, Machine};
use crate::{binaries, host, isolate};

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
        println!("\n== in the test machine: a stock kernel, pure cgroup v2");
        let script = format!("{} --bin {} {}", suites.display(), bin.display(), filters.join(" "));
        if Machine::prepare()?.run(&[script], Disk::Fresh)? != 0 {
            failed.push("the test machine");
        }
    }
    if failed.is_empty() {
        println!("\nall green");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nfailed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}
