//! A bundle for the runtime's own command line: a busybox root and a config.json that a case may change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use super::Output;

/// Applets that cases use.
const APPLETS: &str = "sh cat echo true false sleep ls id hostname pwd env test stat readlink grep cut mount kill touch \
    mkdir mknod head wc ulimit head stty tty printf nproc chmod umask";

/// How long a subcommand of a runtime may take, in an emulated machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bundle and the runtime to run it with.
#[derive(Debug)]
pub struct Bundle {
    runtime: PathBuf,
    /// Options of the runtime in front of every subcommand.
    options: Vec<String>,
    pub dir: PathBuf,
    state: PathBuf,
    pub config: Value,
}

impl Bundle {
    /// What `ross-runtime spec` says, without a terminal.
    pub fn new(runtime: &Path, dir: &Path) -> Result<Self> {
        let mut bundle = Self::with_config(runtime, &[], dir, json!({}))?;
        ensure!(Command::new(runtime).arg("spec").current_dir(dir).status()?.success(), "`spec` failed");
        bundle.config = serde_json::from_slice(&fs::read(dir.join("config.json"))?)?;
        bundle.config["process"]["terminal"] = false.into();
        Ok(bundle)
    }

    /// This config.json and a root, for any runtime with these options.
    pub fn with_config(runtime: &Path, options: &[&str], dir: &Path, config: Value) -> Result<Self> {
        make_root(&dir.join("rootfs"))?;
        Ok(Self {
            runtime: runtime.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            dir: dir.to_owned(),
            state: dir.join("state"),
            config,
        })
    }

    /// Sets the program.
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.config["process"]["args"] = json!(args);
        self
    }

    /// Sets a field by its JSON pointer, making objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut place = &mut self.config;
        for part in pointer.trim_start_matches('/').split('/') {
            place = &mut place[part];
        }
        *place = value;
        self
    }

    /// Appends to an array by its JSON pointer.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut place = &mut self.config;
        for part in pointer.trim_start_matches('/').split('/') {
            place = &mut place[part];
        }
        match place.as_array_mut() {
            Some(array) => array.push(value),
            None => *place = json!([value]),
        }
        self
    }

    /// A subcommand of the runtime, with config.json written first.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        fs::write(self.dir.join("config.json"), serde_json::to_vec_pretty(&self.config)?)?;
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(&self.state).args(&self.options).args(args);
        command.current_dir(&self.dir).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a subcommand to its end. What a created container inherits goes into `<bundle>/out` and `err`, until the
    /// next call puts new files there: the container writes on to the old ones.
    pub fn call(&self, args: &[&str]) -> Result<Output> {
        for name in ["out", "err"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        let out = fs::File::create(self.dir.join("out"))?;
        let err = fs::File::create(self.dir.join("err"))?;
        let mut child = self.command(args)?.stdout(out).stderr(err).spawn().context("start the runtime")?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("pid")?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let patience = Timespec::try_from(PATIENCE)?;
        let program = self.runtime.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let command = format!("{program} {}", args.join(" "));
        if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience))? == 0 {
            pidfd_send_signal(&pidfd, Signal::KILL)?;
            child.wait()?;
            bail!("`{command}` did not end within {PATIENCE:?}");
        }
        let status = child.wait()?;
        Ok(Output {
            command,
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&fs::read(self.dir.join("out"))?).into_owned(),
            stderr: String::from_utf8_lossy(&fs::read(self.dir.join("err"))?).into_owned(),
        })
    }

    /// Runs the bundle in the foreground as `id`.
    pub fn run(&self, id: &str) -> Result<Output> {
        self.call(&["run", id])
    }
}

/// A root with busybox and its applets.
fn make_root(rootfs: &Path) -> Result<()> {
    for folder in ["bin", "proc", "sys", "dev", "tmp", "etc", "root", "mnt"] {
        fs::create_dir_all(rootfs.join(folder))?;
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).context("busybox-static is not installed")?;
    for applet in APPLETS.split_ascii_whitespace() {
        let path = rootfs.join("bin").join(applet);
        if !path.exists() {
            symlink("busybox", path)?;
        }
    }
    fs::write(
        rootfs.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    )?;
    Ok(())
}
