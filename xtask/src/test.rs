//! `cargo xtask test`: unit tests, the crates' own integration tests, and the end-to-end suites, on the host in
//! namespaces of their own and again in the test machine.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::vm::{Disk, Machine};
use crate::{binaries, host, isolate, workspace};

/// Packages whose integration tests reach into the kernel: they run in the test machine as well.
const PRIVILEGED: [&str; 4] = ["ross-runtime", "ross-image", "ross-network", "ross-shim"];

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
        && binaries::cargo(&["test", "--workspace", "--locked"], "").is_err()
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
        let mut script = String::from("status=0\n");
        if filters.is_empty() {
            for test in test_binaries()? {
                script.push_str(&format!(
                    "echo \"-- {name}\"; (cd {dir} && {exe} --test-threads=2) || status=1\n",
                    name = test.name,
                    dir = test.dir.display(),
                    exe = test.executable.display()
                ));
            }
        }
        script.push_str(&format!(
            "{} --bin {} {} || status=1\n",
            suites.display(),
            bin.display(),
            filters.join(" ")
        ));
        script.push_str("exit $status\n");
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

/// An integration test program of a crate.
#[derive(Debug)]
struct TestBinary {
    name: String,
    dir: PathBuf,
    executable: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the integration tests of the privileged crates, and says where they are.
fn test_binaries() -> Result<Vec<TestBinary>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--locked", "--no-run", "--message-format=json", "--test", "*"]);
    for package in PRIVILEGED {
        command.args(["-p", package]);
    }
    let output = command.current_dir(workspace()).stderr(Stdio::inherit()).output().context("run cargo")?;
    if !output.status.success() {
        bail!("the integration tests do not build");
    }
    let mut tests = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Message = serde_json::from_slice(line).context("cargo's messages")?;
        if message.reason != "compiler-artifact" {
            continue;
        }
        if let (Some(executable), Some(manifest), Some(target)) =
            (message.executable, message.manifest_path, message.target)
            && target.kind.iter().any(|kind| kind == "test")
        {
            let dir = manifest.parent().context("manifest without a folder")?.to_owned();
            tests.push(TestBinary { name: target.name, dir, executable });
        }
    }
    Ok(tests)
}
