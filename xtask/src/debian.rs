//! The fixture `debian`: a real system in three layers, made once by debootstrap and umoci.
//!
//! It is the one fixture that comes from a mirror. Where there is none, the cases that want it say so and are skipped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{binaries, host};

/// What makes the fixture, and the peers that its cases compare with.
const PROGRAMS: [host::Program; 3] = [
    host::Program { name: "debootstrap", package: "debootstrap" },
    host::Program { name: "umoci", package: "umoci" },
    host::Program { name: "podman", package: "podman" },
];

const SCRIPT: &str = include_str!("debian.sh");

/// The folder of fixtures, with the fixture in it if it could be made.
pub fn prepare() -> Result<PathBuf> {
    let fixtures = binaries::target_dir().join("fixtures");
    let made = fixtures.join("debian");
    if made.is_dir() {
        return Ok(fixtures);
    }
    println!("\n== making a Debian of three layers");
    if let Err(error) = host::require(&PROGRAMS) {
        println!("no Debian: {error:#}");
        return Ok(fixtures);
    }
    let work = fixtures.join("debian.new");
    fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
    let log = File::create(fixtures.join("debian.log")).context("create debian.log")?;
    // debootstrap mounts /proc into the tree: not for others to see, and gone with it.
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"])
        .arg(&work)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("run debian.sh")?;
    if status.success() {
        fs::rename(work.join("layout"), &made).with_context(|| format!("rename to {}", made.display()))?;
    } else {
        println!("no Debian: {} says why", fixtures.join("debian.log").display());
    }
    fs::remove_dir_all(&work).with_context(|| format!("remove {}", work.display()))?;
    Ok(fixtures)
}
