//! A caller with its daemons, in a corner of its own: asked by its command line, ended with the case.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use rootfs_fixtures::{Compression, Flavour, Server};

use crate::harness::{Bed, Corner, Output, PATIENCE, Terminal, call};

/// The busybox fixture's name in all callers.
pub const IMAGE: &str = "example.org/busybox:1";

/// Says what happens to it: `ready`, then `poked` for SIGUSR1; SIGTERM makes it say `bye` and exit with 7.
pub const PROGRAM: &str = "trap 'echo poked' USR1; trap 'echo bye; exit 7' TERM; echo ready; \
    while true; do sleep 1000 & wait $!; done";

/// A caller of ross-runtime.
#[derive(Debug)]
pub struct Caller {
    /// The client and the options that point it at its own folders.
    client: Vec<String>,
    pub dir: PathBuf,
    /// The binary under test.
    pub runtime: String,
    /// The last started is the first to end.
    daemons: Vec<Server>,
    pub corner: Corner,
}

impl Caller {
    /// Without daemons yet; `client` is the program that is asked.
    pub fn new(bed: &mut Bed, client: &str) -> Result<Self> {
        let dir = bed.folder(client)?;
        let name = bed.name(&format!("ross-tests-{client}"));
        Ok(Self {
            client: vec![client.to_owned()],
            dir,
            runtime: bed.program("ross-runtime").display().to_string(),
            daemons: Vec::new(),
            corner: Corner::new(&name)?,
        })
    }

    /// A path in the caller's folder, as text for an option.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Options of every call of the client.
    pub fn options(&mut self, options: &[&str]) {
        self.client.extend(options.iter().map(|option| (*option).to_owned()));
    }

    /// Starts a daemon and waits until it listens on `socket`.
    pub fn daemon(&mut self, program: &str, options: &[&str], socket: &str) -> Result<()> {
        let log_path = self.dir.join(format!("{program}.log"));
        let log = File::create(&log_path)?;
        let mut daemon = self.corner.command(program);
        daemon.args(options).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let reached = || UnixStream::connect(Path::new(socket)).is_ok();
        self.daemons.push(Server::start(daemon, &log_path, reached)?);
        Ok(())
    }

    /// containerd, listening on `containerd.sock` in the caller's folder.
    pub fn containerd(&mut self) -> Result<()> {
        let (config, socket) = (self.path("containerd.toml"), self.path("containerd.sock"));
        let text = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\n[grpc]\naddress = \"{socket}\"\n",
            self.path("containerd"),
            self.path("containerd-state"),
        );
        fs::write(&config, text)?;
        self.daemon("containerd", &["--config", &config], &socket)
    }

    /// The fixture as an archive of `docker save`.
    pub fn archive(&self) -> Result<String> {
        let path = self.path("busybox.tar");
        let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
        fs::write(&path, image.docker_archive(IMAGE))?;
        Ok(path)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.corner.command(&self.client[0]);
        command.args(&self.client[1..]).args(args).stdin(Stdio::null());
        command
    }

    /// Asks the client.
    pub fn call(&self, args: &[&str]) -> Result<Output> {
        call(self.command(args), format!("{} {}", self.client[0], args.join(" ")), None)
    }

    /// Asks the client on a terminal for a shell: it has one, of this size, and its exit code comes back.
    pub fn shell(&self, args: &[&str]) -> Result<()> {
        let mut terminal = Terminal::run(&self.command(args), 31, 97)?;
        terminal.type_in("test -t 0 && echo on a $((1+1)) tty\r")?;
        terminal.expect("on a 2 tty")?;
        // The size comes when the program runs already.
        terminal.type_in("until stty size 2>/dev/null | grep $((30+1)); do sleep 0.2; done\r")?;
        terminal.expect("31 97")?;
        terminal.type_in("exit 5\r")?;
        ensure!(terminal.wait()? == 5, "the shell's exit code is lost");
        Ok(())
    }

    /// Asks until the answer has `text` `times` times.
    pub fn await_answer(&self, args: &[&str], text: &str, times: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.call(args)?.ok()?;
            if answer.stdout.matches(text).count() >= times {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} does not say `{text}` {times} times: {}", answer.command, answer.text());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// What the daemons said last, for a failure.
    pub fn log_tail(&self) -> String {
        let mut text = String::new();
        for name in ["containerd", "dockerd"] {
            let log = fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(8)..];
            text.extend(tail.iter().map(|line| format!("{name}: {line}\n")));
        }
        text
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        while self.daemons.pop().is_some() {}
    }
}
