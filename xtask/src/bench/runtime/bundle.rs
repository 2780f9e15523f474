//! The bundles: one root, three configurations.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::Place;
use super::super::sample::command;
use crate::host;

/// What dockerd gives a container of these by default.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Files that dockerd binds into a container.
const FILES: [&str; 3] = ["resolv.conf", "hostname", "hosts"];

/// A folder with a config.json.
#[derive(Debug)]
pub struct Bundle {
    pub title: &'static str,
    pub path: String,
    /// Sources and targets of its bind mounts, for the floor.
    pub binds: Vec<String>,
}

impl Bundle {
    /// From the least to the most that is asked of a runtime.
    pub fn all(place: &Place) -> Result<Vec<Self>> {
        let dir = place.folder("bundles")?;
        let rootfs = rootfs(&dir)?;
        let mut plain = written_by(host::find("runc").context("no runc here to write a config.json")?, &dir)?;
        plain["root"]["path"] = json!(rootfs);
        plain["process"]["terminal"] = json!(false);
        plain["process"]["args"] = json!(["/bin/true"]);
        // runc lists it on a pure cgroup v2 host only.
        plain["linux"]["namespaces"] =
            json!(["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind})));
        let mut filtered = plain.clone();
        let profile = written_by(place.bin.join("ross-runtime"), &dir)?;
        filtered["linux"]["seccomp"] = profile["linux"]["seccomp"].clone();
        let mut full = filtered.clone();
        let binds = like_dockers(&mut full, &dir)?;
        [
            ("plain", "the bundle of `runc spec`", plain, Vec::new()),
            ("filtered", "the same with the default seccomp profile", filtered, Vec::new()),
            ("full", "a configuration like dockerd's", full, binds),
        ]
        .into_iter()
        .map(|(name, title, config, binds)| {
            let path = dir.join(name);
            fs::create_dir_all(&path)?;
            fs::write(path.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
            Ok(Self { title, path: path.display().to_string(), binds })
        })
        .collect()
    }

    /// The root of all bundles.
    pub fn rootfs(place: &Place) -> PathBuf {
        place.dir.join("bundles/rootfs")
    }
}

/// busybox, and targets for the mounts: a floor makes none.
fn rootfs(dir: &Path) -> Result<PathBuf> {
    let rootfs = dir.join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir_all(rootfs.join(folder))?;
    }
    fs::copy(host::find("busybox").context("busybox")?, rootfs.join("bin/busybox"))?;
    for applet in ["true", "sh", "sleep"] {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet))?;
    }
    for file in FILES {
        fs::write(rootfs.join("etc").join(file), "")?;
        fs::write(dir.join(file), "")?;
    }
    Ok(rootfs)
}

/// The configuration that a runtime's `spec` writes.
fn written_by(runtime: PathBuf, dir: &Path) -> Result<Value> {
    let mut spec = Command::new(runtime);
    spec.args(["spec", "--bundle"]).arg(dir);
    let _ = fs::remove_file(dir.join("config.json"));
    command(spec, &dir.join("spec.log"))?;
    Ok(serde_json::from_slice(&fs::read(dir.join("config.json"))?)?)
}

/// Makes of a configuration what dockerd 20.10 would write for `docker run busybox true`, but for its hook, its
/// AppArmor profile and its limits, which are not to be had everywhere. Answers the bind mounts.
fn like_dockers(config: &mut Value, dir: &Path) -> Result<Vec<String>> {
    let process = &mut config["process"];
    for set in ["bounding", "effective", "permitted"] {
        process["capabilities"][set] = json!(CAPABILITIES);
    }
    process["capabilities"]["inheritable"] = json!([]);
    process["capabilities"]["ambient"] = json!([]);
    process["noNewPrivileges"] = json!(false);
    process["oomScoreAdj"] = json!(0);
    process["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    ]);
    config["root"]["readonly"] = json!(false);
    config["linux"]["sysctl"] =
        json!({"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"});
    config["linux"]["resources"] = json!({"devices": device_rules()});
    let mounts = config["mounts"].as_array_mut().context("mounts")?;
    let mut binds = Vec::new();
    for file in FILES {
        let (source, target) = (dir.join(file).display().to_string(), format!("/etc/{file}"));
        mounts.push(json!({"destination": target, "type": "bind", "source": source, "options": ["rbind", "rprivate"]}));
        binds.extend([source, format!("etc/{file}")]);
    }
    Ok(binds)
}

fn device_rules() -> Value {
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    let numbers = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
    rules.extend(numbers.map(
        |(major, minor)| json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"}),
    ));
    rules.push(json!({"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}));
    json!(rules)
}
