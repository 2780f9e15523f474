//! A private corner of the host for what would otherwise touch it: own mounts, network, names and processes, pure
//! cgroup v2 in sight.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::host;

/// Brings loopback up and, on a hybrid host, puts the v2 hierarchy where a pure one has it.
const SETUP: &str = r#"
set -e
ip link set lo up
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
# Not exec: this shell is process 1 here, and reaps what outlives its parent.
"$@"
exit $?
"#;

/// A command that runs `program` in namespaces of its own.
pub fn command(program: &std::path::Path) -> Result<Command> {
    host::require(&[host::IP])?;
    if !is_root()? {
        bail!("namespaces, mounts and cgroups need root; run this as root");
    }
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--net",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ])
        .args(["sh", "-c", SETUP, "sh"])
        .arg(program);
    Ok(command)
}

/// Runs this program again with `args` in namespaces of its own.
pub fn rerun(args: &[&str]) -> Result<ExitCode> {
    let own = std::env::current_exe().context("own path")?;
    let status = command(&own)?.args(args).status().context("run unshare")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn is_root() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    Ok(uid.and_then(|ids| ids.split_ascii_whitespace().nth(1)) == Some("0"))
}
