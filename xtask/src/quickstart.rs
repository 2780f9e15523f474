//! `cargo xtask quickstart`: the main job from nothing to a running container, each step shown with its time.
//!
//! Everything happens in a mount and network namespace of its own and in one temporary folder, so the host is as
//! before when it ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rootfs_fixtures::{Compression, Flavour, Registry, Server, free_port};

use crate::{binaries, host, isolate};

const PATIENCE: Duration = Duration::from_secs(60);

/// Builds, then goes on in namespaces of its own.
pub fn run() -> Result<ExitCode> {
    let started = Instant::now();
    println!("building the release binaries (the first time takes minutes)");
    host::require(&[host::BUSYBOX, host::NFT, host::IP])?;
    if let Err(error) = host::require(&[host::REGISTRY]) {
        println!("no registry here ({error:#}); the image will be loaded from a file");
    }
    let binaries = binaries::build()?;
    println!("{:>8}  built into {}", elapsed(started), binaries.dir.display());
    let dir = binaries.dir.to_string_lossy().into_owned();
    isolate::rerun(&["quickstart-steps", &dir])
}

/// The steps, inside the namespaces.
pub fn steps(bin: &Path) -> Result<ExitCode> {
    let base = Some(PathBuf::from("/data/tmp")).filter(|dir| dir.is_dir()).unwrap_or_else(std::env::temp_dir);
    let dir = base.join(format!("ross-quickstart.{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = Tour { bin: bin.to_owned(), dir: dir.clone() }.walk();
    let cleaned = fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()));
    result?;
    cleaned?;
    println!("\ndone: nothing is left behind");
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug)]
struct Tour {
    bin: PathBuf,
    dir: PathBuf,
}

impl Tour {
    fn walk(&self) -> Result<()> {
        let rossd = self.step("start rossd", |tour| tour.start_daemon())?;
        let fixture =
            self.step("make a busybox image", |_| rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci))?;
        let registry = match host::find(host::REGISTRY.name) {
            Some(_) => Some(self.step("start a registry on loopback", |tour| Registry::start(&tour.dir))?),
            None => None,
        };
        let image = match &registry {
            Some(registry) => {
                let address = registry.address();
                self.step("push the image into the registry", |_| {
                    rootfs_fixtures::push(&fixture, &address, "quickstart/busybox", "1")
                })?;
                let reference = format!("{address}/quickstart/busybox:1");
                self.show("pull it with ross", &["pull", &reference])?;
                reference
            }
            None => {
                println!("          (no registry on this host: using the fixture image directly)");
                let archive = self.dir.join("busybox.tar");
                fs::write(&archive, fixture.docker_archive("quickstart/busybox:1"))?;
                self.show("load it from a file", &["load", "-i", &archive.to_string_lossy()])?;
                "quickstart/busybox:1".to_owned()
            }
        };
        self.show("list images", &["images"])?;
        self.show("run a command", &["run", "--rm", &image, "echo", "hello from a container"])?;
        let port = free_port()?;
        let publish = format!("{port}:80");
        let serve = [
            "run", "-d", "--name", "web", "-p", &publish, &image, "httpd", "-f", "-v", "-p", "80", "-h",
            "/www",
        ];
        self.show("run a web server, detached, with a published port", &serve)?;
        let page = self.step("fetch a page through the published port", |_| fetch(port))?;
        println!("          {}", page.lines().last().unwrap_or_default());
        self.show("list containers", &["ps"])?;
        self.show("exec in it", &["exec", "web", "sh", "-c", "echo pid 1 is $(cat /proc/1/comm)"])?;
        self.show("its logs", &["logs", "web"])?;
        self.show("its stats", &["stats", "--no-stream", "web"])?;
        self.show("stop it", &["stop", "-t", "1", "web"])?;
        self.show("remove it", &["rm", "web"])?;
        self.show("remove the image", &["rmi", &image])?;
        drop(registry);
        self.step("stop rossd", |_| {
            drop(rossd);
            Ok(())
        })
    }

    fn step<T>(&self, what: &str, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let done = work(self).with_context(|| what.to_owned())?;
        println!("{:>8}  {what}", elapsed(started));
        Ok(done)
    }

    /// A step that is a ross command, with its output.
    fn show(&self, what: &str, args: &[&str]) -> Result<()> {
        let text = self.step(&format!("{what}: ross {}", args.join(" ")), |tour| tour.ross(args))?;
        for line in text.lines() {
            println!("          {line}");
        }
        Ok(())
    }

    fn ross(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(self.bin.join("ross"))
            .args(args)
            .env("ROSS_HOST", self.address())
            .stdin(Stdio::null())
            .output()
            .context("run ross")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        let shown = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Ok(String::from_utf8_lossy(&shown).into_owned())
    }

    fn address(&self) -> String {
        format!("unix://{}", self.dir.join("ross.sock").display())
    }

    fn start_daemon(&self) -> Result<Server> {
        let log_path = self.dir.join("rossd.log");
        let log = File::create(&log_path)?;
        let mut rossd = Command::new(self.bin.join("rossd"));
        rossd.arg("--root").arg(self.dir.join("root")).arg("--state").arg(self.dir.join("state"));
        rossd.args(["--listen", &self.address()]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let socket = self.dir.join("ross.sock");
        Server::start(rossd, &log_path, || UnixStream::connect(&socket).is_ok())
    }
}

/// GET / over HTTP/1.0; the server in the container may need a moment until it listens.
fn fetch(port: u16) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        });
        match answer {
            Ok(text) if text.contains(" 200 ") => return Ok(text),
            Ok(text) => bail!("the server answered: {}", text.lines().next().unwrap_or_default()),
            Err(error) if Instant::now() > deadline => return Err(error).context("no answer"),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn elapsed(since: Instant) -> String {
    let millis = since.elapsed().as_secs_f64() * 1e3;
    if millis < 10_000.0 { format!("{millis:.1} ms") } else { format!("{:.1} s", millis / 1e3) }
}
