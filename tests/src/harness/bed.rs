//! The bed a case lies in: a folder on a real file system, a daemon with its own root and state, the images it needs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rootfs_fixtures::{Compression, Flavour};
use tempfile::TempDir;

use super::Output;
use super::call::{PATIENCE, call};

/// Shared by all cases of a run; the daemon is started when a case first asks for it.
#[derive(Debug)]
pub struct Bed {
    bin: PathBuf,
    dir: TempDir,
    daemon: Option<Daemon>,
    names: u32,
}

impl Bed {
    pub fn new(bin: &Path) -> Result<Self> {
        for name in ["ross", "rossd", "ross-shim", "ross-runtime"] {
            if !bin.join(name).is_file() {
                bail!("{} is missing; run `cargo xtask build`", bin.join(name).display());
            }
        }
        // Overlay does not stack on overlay, and the test machine's root is one.
        let base =
            Some(PathBuf::from("/data/tmp")).filter(|dir| dir.is_dir()).unwrap_or_else(std::env::temp_dir);
        let dir = tempfile::Builder::new().prefix("ross-tests.").tempdir_in(base)?;
        Ok(Self { bin: bin.to_owned(), dir, daemon: None, names: 0 })
    }

    /// A folder for a case's own files, removed with the bed.
    pub fn folder(&mut self, name: &str) -> Result<PathBuf> {
        self.names += 1;
        let path = self.dir.path().join(format!("{name}.{}", self.names));
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// A container name no other case uses.
    pub fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}-{}", self.names)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The daemon of the run, with the busybox image loaded.
    pub fn daemon(&mut self) -> Result<&mut Daemon> {
        if self.daemon.is_none() {
            let daemon = Daemon::start(&self.bin, &self.dir.path().join("daemon"))?;
            let archive = self.dir.path().join("busybox.tar");
            if !archive.exists() {
                let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
                fs::write(&archive, image.docker_archive("busybox:latest"))?;
            }
            daemon.ross(&["load", "-i", &archive.to_string_lossy()])?.ok()?;
            self.daemon = Some(daemon);
        }
        self.daemon.as_mut().context("daemon")
    }

    /// A daemon that this case alone uses.
    pub fn own_daemon(&mut self) -> Result<Daemon> {
        let dir = self.folder("own")?;
        Daemon::start(&self.bin, &dir)
    }

    /// The same with a configuration file.
    pub fn own_daemon_with(&mut self, config: &str) -> Result<Daemon> {
        let dir = self.folder("own")?;
        fs::write(dir.join("config.toml"), config)?;
        Daemon::start(&self.bin, &dir)
    }

    /// Runs `ross` against the run's daemon.
    pub fn ross(&mut self, args: &[&str]) -> Result<Output> {
        self.daemon()?.ross(args)
    }

    /// After a case that passed: no container may be left.
    pub fn settle(&mut self) -> Result<()> {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let left = daemon.ross(&["ps", "-a", "-q"])?.ok()?;
        if !left.text().is_empty() {
            let ids: Vec<&str> = left.text().lines().collect();
            let mut args = vec!["rm", "-f", "-v"];
            args.extend(&ids);
            daemon.ross(&args)?.ok()?;
            bail!("the case left containers: {}", ids.join(" "));
        }
        Ok(())
    }

    /// After a case that failed: the next one gets a fresh daemon.
    pub fn reset(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.abandon();
        }
    }

    pub fn daemon_log_tail(&self) -> String {
        self.daemon.as_ref().map(Daemon::log_tail).unwrap_or_default()
    }

    /// Ends the daemon and removes the folder; an error says what did not go.
    pub fn finish(mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop()?;
        }
        self.dir.close().context("remove the bed's folder")
    }
}

/// A running rossd with its own root, state and socket.
#[derive(Debug)]
pub struct Daemon {
    bin: PathBuf,
    dir: PathBuf,
    child: Child,
}

impl Daemon {
    pub fn start(bin: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let child = spawn(bin, dir)?;
        let mut daemon = Self { bin: bin.to_owned(), dir: dir.to_owned(), child };
        daemon.await_ready()?;
        Ok(daemon)
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Where `ross` keeps credentials when it is run against this daemon.
    pub fn credentials(&self) -> PathBuf {
        self.dir.join("docker/config.json")
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.join("ross.sock").display())
    }

    /// `ross` with `args` against this daemon, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("ross"));
        command.args(args).env("ROSS_HOST", self.host()).stdin(Stdio::null());
        // The credentials of whoever runs the tests are none of theirs.
        command.env("DOCKER_CONFIG", self.dir.join("docker")).env_remove("REGISTRY_AUTH_FILE");
        command
    }

    pub fn ross(&self, args: &[&str]) -> Result<Output> {
        finish(self.command(args), None)
    }

    /// With `input` on stdin, then end of file.
    pub fn ross_with_input(&self, args: &[&str], input: &[u8]) -> Result<Output> {
        finish(self.command(args), Some(input))
    }

    /// Kills the daemon as a crash would, and starts it again on the same folders.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.bin, &self.dir)?;
        self.await_ready()
    }

    /// SIGTERM and a wait: containers go on.
    pub fn terminate(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = rustix::process::Pid::from_raw(pid).context("pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("rossd did not end within {PATIENCE:?} of SIGTERM");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }

    /// Removes every container, then ends the daemon.
    pub fn stop(mut self) -> Result<()> {
        let left = self.ross(&["ps", "-a", "-q"])?.ok()?;
        for id in left.text().lines() {
            self.ross(&["rm", "-f", "-v", id])?.ok()?;
        }
        self.terminate()
    }

    /// Removes what it can and kills it, for a case that has failed already.
    pub fn abandon(self) {
        if let Ok(left) = self.ross(&["ps", "-a", "-q"]) {
            for id in left.stdout.lines() {
                let _ = self.ross(&["rm", "-f", "-v", id]);
            }
        }
    }

    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.dir.join("rossd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("     rossd: {line}\n")).collect()
    }

    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let socket = self.dir.join("ross.sock");
        loop {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("rossd ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("rossd was not ready within {PATIENCE:?}\n{}", self.log_tail());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    /// Reached with a running daemon only when a case has failed.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn spawn(bin: &Path, dir: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(dir.join("rossd.log"))?;
    let mut command = Command::new(bin.join("rossd"));
    let config = dir.join("config.toml");
    if config.is_file() {
        command.arg("--config").arg(config);
    }
    command
        .arg("--root")
        .arg(dir.join("root"))
        .arg("--state")
        .arg(dir.join("state"))
        .arg("--listen")
        .arg(format!("unix://{}", dir.join("ross.sock").display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start rossd")
}

fn finish(command: Command, input: Option<&[u8]>) -> Result<Output> {
    let shown = format!("{command:?}");
    let shown = shown.rsplit_once("/ross\" ").map_or(shown.clone(), |(_, args)| format!("ross {args}"));
    call(command, shown, input)
}
