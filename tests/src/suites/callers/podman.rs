//! podman with conmon: `create`, `start`, `exec` with a process file, console sockets, `delete`, and its own files.

use std::fs;

use anyhow::{Context, Result};

use crate::harness::Bed;

use super::caller::Caller;

pub fn life(bed: &mut Bed) -> Result<()> {
    let mut caller = Caller::new(bed, "podman")?;
    let (root, run, temporary) = (caller.path("root"), caller.path("run"), caller.path("tmp"));
    let runtime = caller.runtime.clone();
    caller.options(&["--root", &root, "--runroot", &run, "--tmpdir", &temporary, "--runtime", &runtime]);
    caller.options(&["--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]);
    caller.options(&["--events-backend", "file"]);
    // Debian leaves it to the administrator which images are trusted.
    let policy = caller.path("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
    let archive = caller.archive()?;
    caller.call(&["load", "--signature-policy", &policy, "--input", &archive])?.ok()?;
    let parent = caller.corner.containers();
    super::life::life(&caller, &["--network", "none", "--cgroup-parent", &parent]).context("podman")
}
