//! A corner of the machine for programs that leave traces wherever they go: mounts and network of its own, an empty
//! /run, and a cgroup around it all, so that nothing in it outlives it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::PATIENCE;

/// Holds the namespaces until its stdin is closed.
const HOLD: &str = "ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && echo ready && exec cat";
/// Enters the cgroup, then becomes the program.
const ENTER: &str = r#"echo 0 > "$0" && exec "$@""#;

/// The namespaces, kept by a process, and the cgroup. Dropping it kills all that is in it.
#[derive(Debug)]
pub struct Corner {
    holder: Child,
    group: PathBuf,
}

impl Corner {
    /// `name` is that of the cgroup, which must not be there.
    pub fn new(name: &str) -> Result<Self> {
        let group = Path::new("/sys/fs/cgroup").join(name);
        fs::create_dir(&group).with_context(|| format!("make the cgroup {}", group.display()))?;
        let holder = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start unshare")?;
        let mut corner = Self { holder, group };
        fs::create_dir(corner.programs())?;
        let mut line = String::new();
        let stdout = corner.holder.stdout.take().context("stdout of unshare")?;
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "no namespaces for {name}");
        Ok(corner)
    }

    /// A command that runs `program` in here.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount", "--net", "--"]);
        command.args(["sh", "-c", ENTER]).arg(self.programs().join("cgroup.procs")).arg(program);
        command
    }

    /// The path of a cgroup in here that containers may have theirs below, from the root of the hierarchy.
    pub fn containers(&self) -> String {
        let name = self.group.file_name().unwrap_or_default();
        format!("/{}/containers", name.display())
    }

    /// Apart from the containers': a cgroup that hands out controllers has no processes.
    fn programs(&self) -> PathBuf {
        self.group.join("programs")
    }

    fn clear(&self) -> Result<()> {
        fs::write(self.group.join("cgroup.kill"), "1")?;
        let deadline = Instant::now() + PATIENCE;
        while fs::read_to_string(self.group.join("cgroup.events"))?.contains("populated 1") {
            if Instant::now() > deadline {
                bail!("{} still has processes", self.group.display());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        remove(&self.group)
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            // The run looks for what is left and fails on it.
            eprintln!("ross-tests: {error:#}");
        }
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Removes an empty cgroup with those in it.
fn remove(group: &Path) -> Result<()> {
    for entry in fs::read_dir(group)? {
        let path = entry?.path();
        if path.is_dir() {
            remove(&path)?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("remove {}", group.display()))
}
