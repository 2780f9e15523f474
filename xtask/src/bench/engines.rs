//! The engines under comparison, each with folders of its own: how to start, feed, ask and end them.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rootfs_fixtures::Server;

use super::Place;
use super::sample::command;
use crate::host;

/// An engine with its daemons running.
#[derive(Debug)]
pub struct Engine {
    pub name: &'static str,
    pub kind: Kind,
    /// Sockets, logs, what lasts as long as the daemons.
    dir: PathBuf,
    /// Images and all else that is to last.
    data: PathBuf,
    bin: PathBuf,
    daemons: Vec<Server>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ross,
    Podman,
    Docker,
    Containerd,
}

pub const ALL: [(&str, Kind); 4] =
    [("ross", Kind::Ross), ("podman", Kind::Podman), ("docker", Kind::Docker), ("ctr", Kind::Containerd)];

impl Engine {
    /// Starts the engine's daemons, if it has any.
    pub fn start(place: &Place, name: &'static str, kind: Kind) -> Result<Self> {
        let dir = place.folder(name)?;
        Self::start_in(&dir, &dir, &place.bin, name, kind)
    }

    /// The same with its data in one folder and all else in another.
    pub fn start_in(dir: &Path, data: &Path, bin: &Path, name: &'static str, kind: Kind) -> Result<Self> {
        let [dir, data, bin] = [dir, data, bin].map(Path::to_owned);
        let mut engine = Self { name, kind, dir, data, bin, daemons: Vec::new() };
        match kind {
            Kind::Ross => {
                let mut rossd = Command::new(engine.bin.join("rossd"));
                rossd
                    .arg("--root")
                    .arg(engine.data.join("root"))
                    .arg("--state")
                    .arg(engine.dir.join("state"));
                rossd.arg("--listen").arg(format!("unix://{}", engine.dir.join("ross.sock").display()));
                engine.daemon(rossd, "rossd", "ross.sock")?;
            }
            Kind::Podman => {
                host::find("podman").context("no podman here")?;
                // Debian leaves the policy to the administrator; the images are our own.
                let policy = engine.dir.join("policy.json");
                fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
                fs::create_dir_all("/etc/containers").ok();
                if !Path::new("/etc/containers/policy.json").exists() {
                    fs::copy(&policy, "/etc/containers/policy.json")
                        .context("/etc/containers/policy.json")?;
                }
            }
            Kind::Containerd => engine.containerd()?,
            Kind::Docker => {
                engine.containerd()?;
                let mut dockerd = Command::new(host::find("dockerd").context("no dockerd here")?);
                dockerd
                    .arg("--data-root")
                    .arg(engine.data.join("root"))
                    .arg("--exec-root")
                    .arg(engine.dir.join("exec"));
                dockerd.arg("--pidfile").arg(engine.dir.join("docker.pid"));
                dockerd.arg("--containerd").arg(engine.dir.join("containerd.sock"));
                dockerd.arg("-H").arg(format!("unix://{}", engine.dir.join("docker.sock").display()));
                dockerd.args(["--storage-driver", "overlay2"]);
                if engine.data != engine.dir {
                    // Where its data is to last no container is started, and several daemons share one network.
                    dockerd.args(["--bridge=none", "--iptables=false", "--ip-masq=false"]);
                }
                engine.daemon(dockerd, "dockerd", "docker.sock")?;
            }
        }
        Ok(engine)
    }

    fn containerd(&mut self) -> Result<()> {
        let socket = self.dir.join("containerd.sock");
        let config = self.dir.join("containerd.toml");
        fs::write(
            &config,
            format!(
                "version = 2\nroot = \"{}\"\nstate = \"{}\"\n[grpc]\naddress = \"{}\"\n",
                self.data.join("containerd").display(),
                self.dir.join("containerd-state").display(),
                socket.display()
            ),
        )?;
        let mut containerd = Command::new(host::find("containerd").context("no containerd here")?);
        containerd.arg("--config").arg(&config);
        self.daemon(containerd, "containerd", "containerd.sock")
    }

    fn daemon(&mut self, mut daemon: Command, name: &str, socket: &str) -> Result<()> {
        let log_path = self.dir.join(format!("{name}.log"));
        let log = File::create(&log_path)?;
        daemon.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let socket = self.dir.join(socket);
        self.daemons.push(Server::start(daemon, &log_path, || UnixStream::connect(&socket).is_ok())?);
        Ok(())
    }

    /// The engine's command line, pointed at its own folders.
    pub fn client(&self) -> Result<Command> {
        let mut client = match self.kind {
            Kind::Ross => {
                let mut client = Command::new(self.bin.join("ross"));
                client.env("ROSS_HOST", format!("unix://{}", self.dir.join("ross.sock").display()));
                client
            }
            Kind::Podman => {
                let mut client = Command::new(host::find("podman").context("no podman here")?);
                client.arg("--root").arg(self.data.join("root")).arg("--runroot").arg(self.dir.join("run"));
                client.args([
                    "--cgroup-manager",
                    "cgroupfs",
                    "--events-backend",
                    "none",
                    "--storage-driver",
                    "overlay",
                ]);
                client
            }
            Kind::Docker => {
                let docker = host::find("docker").context("no docker here")?;
                let mut client = Command::new(docker);
                client.arg("-H").arg(format!("unix://{}", self.dir.join("docker.sock").display()));
                client
            }
            Kind::Containerd => {
                let mut client = Command::new(host::find("ctr").context("no ctr here")?);
                client.arg("--address").arg(self.dir.join("containerd.sock"));
                client
            }
        };
        client.current_dir(&self.dir);
        Ok(client)
    }

    /// Runs the client to its end.
    pub fn call(&self, args: &[&str]) -> Result<()> {
        let mut client = self.client()?;
        client.args(args);
        command(client, &self.log())
    }

    /// Options that `run` needs here. Debian's crun cannot make a cgroup without CAP_SYS_RESOURCE: its device program
    /// wants more locked memory. Without a cgroup podman does less work than the others.
    pub fn run_options(&self) -> &'static [&'static str] {
        if self.kind == Kind::Podman && !may_raise_limits() { &["--cgroups=disabled"] } else { &[] }
    }

    /// The name in tables, with what this engine leaves out here.
    pub fn title(&self) -> String {
        [&[self.name], self.run_options()].concat().join(" ")
    }

    /// Pulls from a loopback registry.
    pub fn pull(&self, reference: &str) -> Result<()> {
        command(self.pulling(reference)?, &self.log())
    }

    /// The client that pulls, not started yet.
    pub fn pulling(&self, reference: &str) -> Result<Command> {
        let mut client = self.client()?;
        match self.kind {
            Kind::Ross | Kind::Docker => client.arg("pull"),
            Kind::Podman => client.args(["pull", "--tls-verify=false"]),
            Kind::Containerd => client.args(["image", "pull", "--plain-http"]),
        };
        client.arg(reference);
        Ok(client)
    }

    /// Gives an image another name.
    pub fn tag(&self, reference: &str, name: &str) -> Result<()> {
        match self.kind {
            Kind::Ross | Kind::Docker | Kind::Podman => self.call(&["tag", reference, name]),
            Kind::Containerd => self.call(&["image", "tag", reference, name]),
        }
    }

    /// Pushes to a loopback registry.
    pub fn push(&self, reference: &str) -> Result<()> {
        match self.kind {
            Kind::Ross | Kind::Docker => self.call(&["push", reference]),
            Kind::Podman => self.call(&["push", "--tls-verify=false", reference]),
            Kind::Containerd => self.call(&["image", "push", "--plain-http", reference]),
        }
    }

    /// Whether the engine says that it has the image.
    pub fn has(&self, reference: &str) -> bool {
        let listed = |args: &[&str]| {
            let output = self.client().and_then(|mut client| Ok(client.args(args).output()?));
            output.is_ok_and(|output| {
                let names = String::from_utf8_lossy(&output.stdout).into_owned();
                output.status.success() && names.lines().any(|name| name == reference)
            })
        };
        match self.kind {
            Kind::Ross => self.call(&["image", "inspect", reference]).is_ok(),
            Kind::Docker | Kind::Podman => self.call(&["inspect", "--type", "image", reference]).is_ok(),
            Kind::Containerd => listed(&["image", "ls", "-q"]),
        }
    }

    /// What the last call said.
    pub fn log(&self) -> PathBuf {
        self.dir.join("call.log")
    }

    /// Kills the daemons, as a power cut does.
    pub fn kill(self) {
        for daemon in &self.daemons {
            let _ = Command::new("kill").args(["-KILL", &daemon.pid().to_string()]).status();
        }
    }

    /// Removes the image with all its layers.
    pub fn remove(&self, reference: &str) -> Result<()> {
        match self.kind {
            Kind::Ross | Kind::Docker | Kind::Podman => self.call(&["rmi", "-f", reference]),
            Kind::Containerd => self.call(&["image", "rm", "--sync", reference]),
        }
    }

    /// Processes of the engine that stay while nothing runs.
    pub fn daemon_pids(&self) -> Vec<u32> {
        self.daemons.iter().map(Server::pid).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The last started is the first to go: dockerd before its containerd.
        while self.daemons.pop().is_some() {}
    }
}

/// Whether this process has CAP_SYS_RESOURCE. Source: proc(5), capabilities(7).
fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).is_ok_and(|set| set >> CAP_SYS_RESOURCE & 1 == 1)
}

/// Starts every engine that can run here; the others are told with their reason.
pub fn start_all(place: &Place) -> Vec<Engine> {
    let mut engines = Vec::new();
    for (name, kind) in ALL {
        match Engine::start(place, name, kind) {
            Ok(engine) => engines.push(engine),
            Err(error) => println!("  {name} cannot run here: {error:#}"),
        }
    }
    engines
}
