//! What the process itself is: ids, capabilities, limits, scheduling, its place in namespaces and cgroups.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Resource, getrlimit};
use serde_json::{Map, Value, json};

use crate::status::{Status, stat};

const RLIMITS: [(&str, Resource); 16] = [
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_STACK", Resource::Stack),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
];

const NAMESPACES: [&str; 8] = ["pid", "net", "mnt", "ipc", "uts", "user", "cgroup", "time"];

pub fn report() -> Map<String, Value> {
    let status = Status::read();
    let facts = json!({
        "pid": std::process::id(),
        "env": environment(),
        "cwd": std::env::current_dir().ok().map(|dir| dir.to_string_lossy().into_owned()),
        "ids": {
            "uid": status.numbers("Uid", 10),
            "gid": status.numbers("Gid", 10),
            "groups": status.numbers("Groups", 10),
        },
        "umask": status.number("Umask", 8),
        "capabilities": {
            "bounding": status.capabilities("CapBnd"),
            "effective": status.capabilities("CapEff"),
            "inheritable": status.capabilities("CapInh"),
            "permitted": status.capabilities("CapPrm"),
            "ambient": status.capabilities("CapAmb"),
        },
        "no_new_privs": status.number("NoNewPrivs", 10),
        "seccomp": status.number("Seccomp", 10),
        "blocked_signals": status.text("SigBlk"),
        "affinity": status.text("Cpus_allowed_list"),
        "memory_nodes": status.text("Mems_allowed_list"),
        "rlimits": RLIMITS.iter().map(|(name, resource)| ((*name).to_owned(), limits(*resource))).collect::<Map<_, _>>(),
        "namespaces": NAMESPACES.iter().map(|name| ((*name).to_owned(), namespace(name))).collect::<Map<_, _>>(),
        // Fields 19, 40 and 41 of stat.
        "scheduler": {"nice": stat(19), "priority": stat(40), "policy": stat(41)},
        "oom_score_adj": number("/proc/self/oom_score_adj", 10),
        "personality": number("/proc/self/personality", 16),
        "cgroup": cgroup(),
        "uid_map": numbers("/proc/self/uid_map"),
        "gid_map": numbers("/proc/self/gid_map"),
        "time_offsets": time_offsets(),
        "memory_policy": memory_policy(),
        "label": label(),
        "keyrings": keyrings(),
    });
    facts.as_object().cloned().unwrap_or_default()
}

fn environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Soft and hard; null is no limit.
fn limits(resource: Resource) -> Value {
    let limit = getrlimit(resource);
    json!([limit.current, limit.maximum])
}

fn namespace(name: &str) -> Value {
    let link = fs::read_link(format!("/proc/self/ns/{name}"));
    link.map_or(Value::Null, |target| target.to_string_lossy().into_owned().into())
}

/// What a security module says of the process: AppArmor ends it with a newline, SELinux with a zero.
fn label() -> Value {
    let text = fs::read_to_string("/proc/self/attr/current");
    text.map_or(Value::Null, |text| text.trim_end_matches(['\n', '\0']).to_owned().into())
}

/// The path in the v2 hierarchy; a hybrid host has lines of others.
fn cgroup() -> Value {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("0::")).map_or(Value::Null, Value::from)
}

fn number(path: &str, base: u32) -> Value {
    let text = fs::read_to_string(path).unwrap_or_default();
    i64::from_str_radix(text.trim(), base).map_or(Value::Null, Value::from)
}

fn numbers(path: &str) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `{"monotonic": [seconds, nanoseconds], …}`. Source: time_namespaces(7).
fn time_offsets() -> Map<String, Value> {
    let text = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    let clock = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?.to_owned();
        let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        Some((name, numbers.into()))
    };
    text.lines().filter_map(clock).collect()
}

/// The policy of the first mapping, which is the task's own: nothing of this program asks for another.
fn memory_policy() -> Value {
    let text = fs::read_to_string("/proc/self/numa_maps").unwrap_or_default();
    text.split_ascii_whitespace().nth(1).map_or(Value::Null, Value::from)
}

/// Descriptions of the keyrings in sight. Source: proc_keys(5).
fn keyrings() -> Vec<String> {
    let text = fs::read_to_string("/proc/keys").unwrap_or_default();
    let description = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let kind = words.nth(7)?;
        (kind == "keyring").then(|| words.next().unwrap_or_default().trim_end_matches(':').to_owned())
    };
    text.lines().filter_map(description).collect()
}
