//! Where a case plays: a bundle for one runtime, a container name, what was set up on the host, and the way back.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use serde_json::{Value, json};

use super::case::{Case, Change};
use super::config::default_config;
use super::contender::Contender;
use crate::harness::{Bed, Bundle, Output};

const PATIENCE: Duration = Duration::from_secs(60);

/// Cgroups that cases name.
pub const CGROUPS: &str = "/ross-conformance";

/// The place of one case on one runtime.
#[derive(Debug)]
pub struct Stage {
    pub bundle: Bundle,
    pub id: String,
    probe: PathBuf,
    host: OnceCell<Value>,
    /// Whose namespaces are joined, by the name of the namespace in /proc/PID/ns.
    neighbours: BTreeMap<&'static str, Neighbour>,
    mounts: Vec<PathBuf>,
}

impl Stage {
    /// A fresh bundle with the default configuration.
    pub fn new(runtime: &Contender, bed: &mut Bed) -> Result<Self> {
        let dir = bed.folder("conformance")?;
        let probe = bed.program("ross-probe");
        let mut bundle = Bundle::with_config(&runtime.program, &runtime.options, &dir, json!({}))?;
        fs::copy(&probe, dir.join("rootfs/bin/probe"))
            .with_context(|| format!("no {}; run `cargo xtask build`", probe.display()))?;
        fs::create_dir(dir.join("said"))?;
        // Root of a user namespace could not make it.
        fs::create_dir(dir.join("rootfs/out"))?;
        // Mapped users reach it too.
        fs::set_permissions(dir.join("said"), PermissionsExt::from_mode(0o777))?;
        for folder in dir.ancestors().take(2) {
            fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
        }
        let id = bed.name("conformance");
        bundle.config = fill(&default_config(), &dir.to_string_lossy(), &id);
        Ok(Self { bundle, id, probe, host: OnceCell::new(), neighbours: BTreeMap::new(), mounts: Vec::new() })
    }

    /// Makes the changes of a case.
    pub fn set(&mut self, case: &Case) -> Result<()> {
        for change in &case.changes {
            self.apply(change).with_context(|| format!("{change:?}"))?;
        }
        for word in &case.words {
            let word = self.fill(&json!(word));
            self.bundle.push("/process/args", word);
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Set(pointer, value) => {
                let value = self.fill(value);
                self.bundle.set(pointer, value);
            }
            Change::Push(pointer, value) => {
                let value = self.fill(value);
                self.bundle.push(pointer, value);
            }
            Change::Remove(pointer) => self.remove(pointer)?,
            Change::KeepSysctl(name) => {
                let value = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/")))?;
                self.bundle.set("/linux/sysctl", json!({*name: value.trim()}));
            }
            Change::DropNamespace(kind) => self.namespaces()?.retain(|one| one["type"] != *kind),
            Change::Join(kind, name) => {
                let neighbour = Neighbour::start(name)?;
                let path = neighbour.namespace(name);
                self.neighbours.insert(name, neighbour);
                let list = self.namespaces()?;
                list.retain(|one| one["type"] != *kind);
                list.push(json!({"type": kind, "path": path}));
            }
            Change::File(path, text) => {
                let path = self.bundle.dir.join(path);
                fs::create_dir_all(path.parent().context("a file's folder")?)?;
                fs::write(path, text)?;
            }
            Change::Folder(path) => fs::create_dir_all(self.bundle.dir.join(path))?,
            Change::Link(target, path) => symlink(target, self.bundle.dir.join(path))?,
            Change::HostMount(path) => {
                let path = self.bundle.dir.join(path);
                fs::create_dir_all(&path)?;
                mount("tmpfs", &path, "tmpfs", MountFlags::empty(), None)?;
                self.share(path)?;
            }
            Change::HostShare(path) => {
                let path = self.bundle.dir.join(path);
                mount_bind(&path, &path)?;
                self.share(path)?;
            }
        }
        Ok(())
    }

    fn share(&mut self, path: PathBuf) -> Result<()> {
        self.mounts.push(path.clone());
        mount_change(&path, MountPropagationFlags::SHARED).context("share a mount")
    }

    fn namespaces(&mut self) -> Result<&mut Vec<Value>> {
        self.bundle.config["linux"]["namespaces"].as_array_mut().context("linux.namespaces")
    }

    /// Takes a field away, which is not the same as setting it to null.
    pub fn remove(&mut self, pointer: &str) -> Result<()> {
        let (above, name) = pointer.rsplit_once('/').context("a JSON pointer")?;
        let above = self.bundle.config.pointer_mut(above).context("nothing there")?;
        above.as_object_mut().context("not in an object")?.remove(name);
        Ok(())
    }

    fn dir(&self) -> String {
        self.bundle.dir.to_string_lossy().into_owned()
    }

    /// The value with the bundle's folder in it.
    pub fn fill(&self, value: &Value) -> Value {
        fill(value, &self.dir(), &self.id)
    }

    /// Sets the probe's words.
    pub fn words(&mut self, words: &[&str]) {
        self.bundle.args(&[&["/bin/probe"], words].concat());
    }

    /// A subcommand, with the container's name for `ID`.
    pub fn call(&self, args: &[&str]) -> Result<Output> {
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "ID" { &self.id } else { *arg }).collect();
        self.bundle.call(&args)
    }

    /// In the foreground, to its end.
    pub fn run(&self) -> Result<Output> {
        self.call(&["run", "ID"])
    }

    pub fn create(&self) -> Result<Output> {
        self.call(&["create", "ID"])
    }

    pub fn start(&self) -> Result<Output> {
        self.call(&["start", "ID"])
    }

    /// A container whose program sleeps.
    pub fn sleeps(&mut self) -> Result<()> {
        self.bundle.args(&["/bin/busybox", "sleep", "1000"]);
        self.create()?.ok()?;
        self.start()?.ok().map(drop)
    }

    pub fn state(&self) -> Result<Value> {
        let output = self.call(&["state", "ID"])?.ok()?;
        serde_json::from_str(&output.stdout).with_context(|| format!("state: {}", output.text()))
    }

    pub fn pid(&self) -> Result<i64> {
        self.state()?["pid"].as_i64().context("state has no pid")
    }

    /// Waits for a status.
    pub fn becomes(&self, status: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state()?;
            if state["status"] == status {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it is {}, expected {status}", state["status"]);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// That there is no such container (any more).
    pub fn is_gone(&self) -> Result<()> {
        let state = self.call(&["state", "ID"])?;
        ensure!(state.code != 0, "the container is still there: {}", state.text());
        Ok(())
    }

    /// The probe's report in what a program said.
    pub fn report(text: &str) -> Result<Value> {
        let line = text.lines().find(|line| line.starts_with('{')).context("the probe said nothing")?;
        serde_json::from_str(line).context("the probe's report")
    }

    /// The reports appended to /out/log so far.
    pub fn log(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.bundle.dir.join("said/log")).unwrap_or_default();
        // What has no end yet is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).context("a report in the log")).collect()
    }

    /// Waits for this many reports.
    pub fn log_has(&self, count: usize) -> Result<Vec<Value>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log()?;
            if log.len() >= count {
                return Ok(log);
            }
            ensure!(Instant::now() < deadline, "{} reports, expected {count}", log.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The probe on the host, for a hook.
    pub fn probe(&self) -> String {
        self.probe.to_string_lossy().into_owned()
    }

    /// What the probe sees outside of a container.
    pub fn host(&self) -> Result<&Value> {
        if self.host.get().is_none() {
            let output = Command::new(&self.probe).output().context("run the probe")?;
            let report = Self::report(&String::from_utf8_lossy(&output.stdout))?;
            let _ = self.host.set(report);
        }
        self.host.get().context("the host's report")
    }

    /// The neighbour's namespace as /proc names it.
    pub fn joined(&self, name: &str) -> Result<String> {
        let path = self.neighbours.get(name).context("there is no neighbour")?.namespace(name);
        Ok(fs::read_link(path)?.to_string_lossy().into_owned())
    }

    /// Removes what the case made, whatever became of it.
    pub fn clear(&mut self) -> Result<()> {
        // Every runtime keeps a folder of that name; asking it would take an emulated machine half a second.
        if fs::exists(self.bundle.dir.join("state").join(&self.id))? {
            self.call(&["delete", "--force", "ID"])?.ok()?;
        }
        self.neighbours.clear();
        for path in self.mounts.drain(..).rev() {
            unmount(&path, UnmountFlags::DETACH)?;
        }
        let _ = fs::remove_dir(format!("/sys/fs/cgroup{CGROUPS}"));
        // Each has a root of its own; hundreds of them fill a disk.
        fs::remove_dir_all(&self.bundle.dir).context("remove the bundle")
    }
}

fn fill(value: &Value, dir: &str, id: &str) -> Value {
    match value {
        Value::String(text) => text.replace("@BUNDLE@", dir).replace("@ID@", id).into(),
        Value::Array(values) => values.iter().map(|value| fill(value, dir, id)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), fill(value, dir, id)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// A process in one namespace of its own; ended when dropped.
#[derive(Debug)]
struct Neighbour {
    unshare: Child,
    sleeper: i32,
}

impl Neighbour {
    fn start(name: &str) -> Result<Self> {
        let unshare = Command::new("unshare")
            .args([&format!("--{name}"), "--fork", "--kill-child"])
            .args(["/bin/busybox", "sleep", "1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start unshare")?;
        let pid = unshare.id();
        let mut neighbour = Self { unshare, sleeper: 0 };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            if let Some(child) = children.split_ascii_whitespace().next() {
                neighbour.sleeper = child.parse()?;
                break;
            }
            if Instant::now() > deadline {
                bail!("unshare has started nothing");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for map in ["uid_map", "gid_map"].into_iter().filter(|_| name == "user") {
            fs::write(format!("/proc/{}/{map}", neighbour.sleeper), "0 100000 65536").context(map)?;
        }
        Ok(neighbour)
    }

    fn namespace(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.sleeper)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
