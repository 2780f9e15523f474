//! The four release binaries.
//!
//! `ross` and `rossd` are ordinary programs. `ross-shim` and `ross-runtime` are built static and at a fixed address:
//! no dynamic linker and no relocations on the way to exec, and nothing a container's files could be loaded into.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

const STATIC_FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

/// Where the binaries are once built.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub dir: PathBuf,
}

/// Builds the probe of the conformance suite beside them, static as it runs in any root.
pub fn build_probe() -> Result<()> {
    let built = build_static(&["-p", "ross-probe"])?;
    replace(&built.join("ross-probe"), &target_dir().join("release/ross-probe"))
}

/// Builds all four into `target/release`.
pub fn build() -> Result<Binaries> {
    cargo(&["build", "--release", "-p", "ross", "-p", "rossd"], "")?;
    let built = build_static(&["-p", "ross-shim", "-p", "ross-runtime", "--bins"])?;
    let dir = target_dir().join("release");
    for name in ["ross-shim", "ross-runtime"] {
        replace(&built.join(name), &dir.join(name))?;
    }
    Ok(Binaries { dir })
}

/// Builds static release programs; answers the folder they are in.
pub fn build_static(what: &[&str]) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    cargo(&[&["build", "--release", "--target", &triple], what].concat(), STATIC_FLAGS)?;
    Ok(target_dir().join(triple).join("release"))
}

/// Cargo's target folder of this workspace.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Cargo, in the workspace.
pub fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // Set by the cargo that runs xtask; build scripts that watch them would build everything anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// A program of tests that cargo has built.
#[derive(Debug)]
pub struct TestProgram {
    /// Cargo's id of the package, which has its folder in it.
    pub package: String,
    /// The name of the test target.
    pub name: String,
    pub path: PathBuf,
}

/// Builds the tests of these packages. Source: cargo's JSON messages, compiler-artifact.
pub fn test_programs(packages: &[&str]) -> Result<Vec<TestProgram>> {
    let mut build = cargo_command();
    build.arg("test").args(packages);
    build.args(["--locked", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("run cargo test --no-run")?;
    if !output.status.success() {
        bail!("cargo test --no-run failed");
    }
    let mut programs = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Value = serde_json::from_slice(line).context("a message of cargo")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let (Some(package), Some(name), Some(path)) =
            (text(&message["package_id"]), text(&message["target"]["name"]), text(&message["executable"]))
        {
            programs.push(TestProgram { package, name, path: path.into() });
        }
    }
    Ok(programs)
}

/// Runs cargo in the workspace, with these rustflags for the target (not for build scripts).
pub fn cargo(args: &[&str], rustflags: &str) -> Result<()> {
    let mut command = cargo_command();
    command.args(args);
    if !rustflags.is_empty() {
        command.env("RUSTFLAGS", rustflags);
    }
    let status = command.status().context("run cargo")?;
    if !status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}

/// Puts a copy of `source` at `target` by rename: a running `target` is not disturbed.
fn replace(source: &Path, target: &Path) -> Result<()> {
    let staged = target.with_extension("new");
    std::fs::copy(source, &staged).with_context(|| format!("copy {}", source.display()))?;
    std::fs::rename(&staged, target).with_context(|| format!("rename to {}", target.display()))
}
