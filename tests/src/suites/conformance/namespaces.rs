//! Namespaces: new, joined, left out, wrong; user mappings; clocks; names. config-linux.md, namespaces and what
//! follows.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::case::{Case, Change, case};
use super::stage::Stage;
use crate::harness::Need;

const SECTION: &str = "config-linux.md#namespaces";

pub fn cases() -> Vec<Case> {
    [made(), joined(), wrong(), users(), names(), clocks(), net_devices()].into_iter().flatten().collect()
}

fn made() -> Vec<Case> {
    vec![
        case("namespaces/new", SECTION)
            .unlike_host(&["namespaces", "pid"])
            .unlike_host(&["namespaces", "net"])
            .unlike_host(&["namespaces", "ipc"])
            .unlike_host(&["namespaces", "uts"])
            .unlike_host(&["namespaces", "mnt"])
            .unlike_host(&["namespaces", "cgroup"]),
        case("namespaces/user", SECTION).user_namespace().unlike_host(&["namespaces", "user"]),
        case("namespaces/time", SECTION).since("1.1").namespace("time").unlike_host(&["namespaces", "time"]),
        case("namespaces/not-listed-is-the-callers", SECTION)
            .change(Change::DropNamespace("pid"))
            .change(Change::DropNamespace("network"))
            .change(Change::DropNamespace("ipc"))
            .change(Change::DropNamespace("uts"))
            .change(Change::DropNamespace("cgroup"))
            .like_host(&["namespaces", "pid"])
            .like_host(&["namespaces", "net"])
            .like_host(&["namespaces", "ipc"])
            .like_host(&["namespaces", "uts"])
            .like_host(&["namespaces", "cgroup"])
            .like_host(&["namespaces", "user"])
            .like_host(&["namespaces", "time"]),
        case("namespaces/cgroup-is-seen-from-within", SECTION).with_cgroup().is(&["cgroup"], json!("/")),
    ]
}

fn joined() -> Vec<Case> {
    let map = json!([]);
    vec![
        case("namespaces/join-network", SECTION).join("network", "net"),
        case("namespaces/join-ipc", SECTION).join("ipc", "ipc"),
        case("namespaces/join-uts", SECTION).join("uts", "uts"),
        case("namespaces/join-pid", SECTION).join("pid", "pid").is(&["pid"], json!(2)),
        case("namespaces/join-cgroup", SECTION).join("cgroup", "cgroup"),
        case("namespaces/join-time", SECTION).since("1.1").join("time", "time"),
        case("namespaces/join-user", SECTION)
            .join("user", "user")
            .set("/linux/uidMappings", map.clone())
            .set("/linux/gidMappings", map)
            .is(&["uid_map"], json!([0, 100_000, 65536]))
            .unlike_host(&["namespaces", "net"]),
        case("namespaces/join-several", SECTION).join("network", "net").join("ipc", "ipc").join("uts", "uts"),
    ]
}

fn wrong() -> Vec<Case> {
    let listed = |name: &'static str, namespace: serde_json::Value| {
        case(name, SECTION)
            .change(Change::DropNamespace("network"))
            .push("/linux/namespaces", namespace)
            .refused()
    };
    vec![
        listed("namespaces/no-such-path", json!({"type": "network", "path": "@BUNDLE@/nothing"})),
        listed("namespaces/path-of-another-type", json!({"type": "network", "path": "/proc/self/ns/uts"})),
        listed("namespaces/path-of-a-plain-file", json!({"type": "network", "path": "/bin/busybox"})),
        listed("namespaces/unknown-type", json!({"type": "of-tomorrow"})),
        case("namespaces/same-type-twice", SECTION).namespace("pid").refused(),
    ]
}

fn users() -> Vec<Case> {
    let section = "config-linux.md#user-namespace-mappings";
    let two = json!([{"containerID": 0, "hostID": 100_000, "size": 1000},
        {"containerID": 1000, "hostID": 300_000, "size": 5000}]);
    vec![
        case("user-namespace/mappings", section)
            .user_namespace()
            .is(&["uid_map"], json!([0, 100_000, 65536]))
            .is(&["gid_map"], json!([0, 100_000, 65536]))
            .is(&["ids", "uid"], json!([0, 0, 0, 0])),
        case("user-namespace/several-mappings", section)
            .namespace("user")
            .set("/linux/uidMappings", two.clone())
            .set("/linux/gidMappings", two)
            .is(&["uid_map"], json!([0, 100_000, 1000, 1000, 300_000, 5000])),
        case("user-namespace/devices", section)
            .user_namespace()
            .unlike_host(&["namespaces", "user"])
            .is(&["devices", "null", "device"], json!([1, 3]))
            .works("write=/dev/null"),
        case("user-namespace/files-of-the-host-are-nobodys", section)
            .user_namespace()
            .change(Change::File("rootfs/owned", "by root"))
            .is(&["asked", "stat=/owned", "ok", "uid"], json!(65534))
            .word("stat=/owned"),
        case("user-namespace/mappings-that-overlap", section)
            .namespace("user")
            .set(
                "/linux/uidMappings",
                json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 5, "hostID": 200_000, "size": 10}]),
            )
            .set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 10}]))
            .refused(),
    ]
}

fn names() -> Vec<Case> {
    let section = "config.md#hostname";
    vec![
        case("hostname/set", section)
            .set("/hostname", json!("a-name.example"))
            .is(&["hostname"], json!("a-name.example")),
        case("hostname/without-a-namespace", section)
            .set("/hostname", json!("ross-conformance"))
            .change(Change::DropNamespace("uts"))
            .refused(),
        case("domainname/set", "config.md#domainname")
            .since("1.1")
            .set("/domainname", json!("a-domain"))
            .is(&["domainname"], json!("a-domain")),
        case("domainname/without-a-namespace", "config.md#domainname")
            .since("1.1")
            .set("/domainname", json!("ross-conformance"))
            .change(Change::DropNamespace("uts"))
            .refused(),
    ]
}

fn clocks() -> Vec<Case> {
    let section = "config-linux.md#offset-for-time-namespace";
    vec![
        case("time-offsets/set", section)
            .since("1.1")
            .namespace("time")
            .set(
                "/linux/timeOffsets",
                json!({"monotonic": {"secs": 86400, "nanosecs": 5}, "boottime": {"secs": 1_000_000}}),
            )
            .is(&["time_offsets", "monotonic"], json!([86400, 5]))
            .is(&["time_offsets", "boottime"], json!([1_000_000, 0])),
        case("time-offsets/without-a-namespace", section)
            .since("1.1")
            .set("/linux/timeOffsets", json!({"monotonic": {"secs": 86400, "nanosecs": 0}}))
            .refused(),
    ]
}

fn net_devices() -> Vec<Case> {
    let section = "config-linux.md#network-devices";
    vec![
        case("net-devices/moved-and-renamed", section)
            .since("1.3")
            .needs(Need::Program("ip", "iproute2"))
            .steps(moved),
        case("net-devices/no-such-interface", section)
            .since("1.3")
            .set("/linux/netDevices", json!({"nothing0": {}}))
            .refused(),
    ]
}

fn ip(words: &str) -> Result<()> {
    let status = std::process::Command::new("ip").args(words.split(' ')).status().context("run ip")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

/// A pair of links on the host, of which one end stays there: with it both go, wherever the other is.
struct Pair;

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = ip("link del confb");
    }
}

/// The interface keeps its address. It goes with the container's namespace.
fn moved(stage: &mut Stage) -> Result<()> {
    ip("link add confa type veth peer name confb")?;
    let _pair = Pair;
    ip("addr add 10.98.7.6/24 dev confa")?;
    stage.bundle.set("/linux/netDevices", json!({"confa": {"name": "inside0"}}));
    stage.words(&["read=/proc/net/dev", "read=/proc/net/fib_trie"]);
    let report = Stage::report(&stage.run()?.ok()?.stdout)?;
    let devices = report["asked"]["read=/proc/net/dev"]["ok"].to_string();
    ensure!(devices.contains("inside0:") && !devices.contains("confa:"), "{devices}");
    let addresses = report["asked"]["read=/proc/net/fib_trie"]["ok"].to_string();
    ensure!(addresses.contains("10.98.7.6"), "{addresses}");
    Ok(())
}
