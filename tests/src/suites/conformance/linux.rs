//! Devices, kernel parameters, hidden and read-only paths: config-linux.md.

use serde_json::{Value, json};

use super::case::{Case, Change, case};

const EROFS: i32 = 30;

pub fn cases() -> Vec<Case> {
    [default_devices(), devices(), sysctl(), paths()].into_iter().flatten().collect()
}

fn default_devices() -> Vec<Case> {
    let section = "config-linux.md#default-devices";
    let device = |name: &'static str, path: &'static [&'static str], numbers: Value| {
        case(name, section).is(path, numbers)
    };
    vec![
        device("devices/null", &["devices", "null", "device"], json!([1, 3]))
            .is(&["devices", "null", "mode"], json!(0o666))
            .is(&["devices", "null", "uid"], json!(0)),
        device("devices/zero", &["devices", "zero", "device"], json!([1, 5])),
        device("devices/full", &["devices", "full", "device"], json!([1, 7])),
        device("devices/random", &["devices", "random", "device"], json!([1, 8])),
        device("devices/urandom", &["devices", "urandom", "device"], json!([1, 9])),
        device("devices/tty", &["devices", "tty", "device"], json!([5, 0])),
        case("devices/ptmx", section).works("write=/dev/ptmx"),
        case("devices/links", "config-linux.md#dev-symbolic-links")
            .is(&["devices", "fd", "target"], json!("/proc/self/fd"))
            .is(&["devices", "stdin", "target"], json!("/proc/self/fd/0"))
            .is(&["devices", "stdout", "target"], json!("/proc/self/fd/1"))
            .is(&["devices", "stderr", "target"], json!("/proc/self/fd/2")),
        case("devices/can-be-used", section)
            .works("read=/dev/zero")
            .works("write=/dev/null")
            .works("read=/dev/urandom")
            .fails("read=/dev/tty", 6),
        case("devices/nothing-else", section)
            .lacks(&["devices"], json!("kmsg"))
            .lacks(&["devices"], json!("mem"))
            .lacks(&["devices"], json!("vda"))
            .lacks(&["devices"], json!("fuse")),
    ]
}

fn devices() -> Vec<Case> {
    let section = "config-linux.md#devices";
    let device =
        |name: &'static str, device: Value| case(name, section).set("/linux/devices", json!([device]));
    vec![
        device("devices/character", json!({"path": "/dev/lent", "type": "c", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 3, "gid": 4}))
            .is(
                &["devices", "lent"],
                json!({"type": "c", "device": [1, 11], "mode": 0o640, "uid": 3, "gid": 4, "size": 0}),
            ),
        device("devices/unbuffered-character", json!({"path": "/dev/lent", "type": "u", "major": 1, "minor": 11}))
            .is(&["devices", "lent", "type"], json!("c")),
        device("devices/block", json!({"path": "/dev/disk", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600}))
            .is(&["devices", "disk", "type"], json!("b"))
            .is(&["devices", "disk", "device"], json!([7, 200])),
        device("devices/fifo", json!({"path": "/dev/pipe", "type": "p", "fileMode": 0o622}))
            .is(&["devices", "pipe", "type"], json!("p"))
            .is(&["devices", "pipe", "mode"], json!(0o622)),
        device("devices/in-a-folder-that-is-made", json!({"path": "/dev/bus/usb/1", "type": "c", "major": 189, "minor": 0}))
            .is(&["asked", "stat=/dev/bus/usb/1", "ok", "device"], json!([189, 0]))
            .word("stat=/dev/bus/usb/1"),
        device("devices/outside-of-dev", json!({"path": "/thing", "type": "c", "major": 1, "minor": 3}))
            .is(&["asked", "stat=/thing", "ok", "device"], json!([1, 3]))
            .word("stat=/thing"),
        device("devices/another-file-is-there", json!({"path": "/thing", "type": "c", "major": 1, "minor": 3}))
            .change(Change::File("rootfs/thing", "plain"))
            .refused(),
        device("devices/unknown-type", json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 3})).refused(),
        case("devices/refused-where-no-rule-allows", "config-linux.md#allowed-device-list")
            .with_cgroup()
            .set("/linux/devices", json!([{"path": "/dev/lent", "type": "c", "major": 1, "minor": 11}]))
            .fails("write=/dev/lent", 1)
            .works("write=/dev/null"),
        case("devices/allowed-by-rule", "config-linux.md#allowed-device-list")
            .with_cgroup()
            .set("/linux/devices", json!([{"path": "/dev/lent", "type": "c", "major": 1, "minor": 11}]))
            .push("/linux/resources/devices", json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}))
            .works("write=/dev/lent")
            .fails("read=/dev/lent", 1),
        case("devices/later-rules-win", "config-linux.md#allowed-device-list")
            .with_cgroup()
            .set("/linux/devices", json!([{"path": "/dev/lent", "type": "c", "major": 1, "minor": 11}]))
            .push("/linux/resources/devices", json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"}))
            .push("/linux/resources/devices", json!({"allow": false, "type": "c", "major": 1, "minor": 11, "access": "w"}))
            .fails("write=/dev/lent", 1),
        case("devices/all-minors-by-rule", "config-linux.md#allowed-device-list")
            .with_cgroup()
            .set("/linux/devices", json!([{"path": "/dev/lent", "type": "c", "major": 1, "minor": 11}]))
            .push("/linux/resources/devices", json!({"allow": true, "type": "c", "major": 1, "access": "w"}))
            .works("write=/dev/lent"),
        case("devices/mknod-is-allowed-opening-is-not", "runc: mknod of anything")
            .with_cgroup()
            .works("mknod=c:1:11")
            .works("mknod=b:7:200")
            .fails("write=/tmp/probe-c-1-11", 1),
    ]
}

fn sysctl() -> Vec<Case> {
    let section = "config-linux.md#sysctl";
    let set = |name: &'static str, parameter: &str, value: &str, file: &str| {
        case(name, section)
            .set("/linux/sysctl", json!({parameter: value}))
            .answers(&format!("read=/proc/sys/{file}"), json!(value))
    };
    // What sets it all the same changes nothing.
    let refused =
        |name: &'static str, parameter| case(name, section).change(Change::KeepSysctl(parameter)).refused();
    vec![
        set("sysctl/network", "net.ipv4.ip_forward", "1", "net/ipv4/ip_forward"),
        set("sysctl/network-with-slashes", "net/ipv4/ip_default_ttl", "77", "net/ipv4/ip_default_ttl")
            .since("1.2"),
        set("sysctl/ipc", "kernel.msgmax", "4096", "kernel/msgmax"),
        set("sysctl/ipc-shm", "kernel.shm_rmid_forced", "1", "kernel/shm_rmid_forced"),
        set("sysctl/message-queues", "fs.mqueue.msg_max", "23", "fs/mqueue/msg_max"),
        refused("sysctl/of-the-host", "vm.overcommit_memory"),
        refused("sysctl/of-the-hosts-kernel", "kernel.panic"),
        case("sysctl/no-such-parameter", section)
            .set("/linux/sysctl", json!({"net.of_tomorrow": "1"}))
            .refused(),
        refused("sysctl/network-without-a-namespace", "net.ipv4.ip_default_ttl")
            .change(Change::DropNamespace("network")),
        refused("sysctl/ipc-without-a-namespace", "kernel.msgmax").change(Change::DropNamespace("ipc")),
    ]
}

fn paths() -> Vec<Case> {
    let masked = "config-linux.md#masked-paths";
    let read_only = "config-linux.md#readonly-paths";
    vec![
        case("masked-paths/file", masked)
            .change(Change::File("rootfs/etc/key", "secret"))
            .set("/linux/maskedPaths", json!(["/etc/key"]))
            .answers("read=/etc/key", json!("")),
        case("masked-paths/folder", masked)
            .change(Change::File("rootfs/keys/one", "secret"))
            .set("/linux/maskedPaths", json!(["/keys"]))
            .answers("list=/keys", json!([]))
            .fails("touch=/keys/new", EROFS),
        case("masked-paths/of-proc", masked)
            .set(
                "/linux/maskedPaths",
                json!(["/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware"]),
            )
            .answers("read=/proc/keys", json!("")),
        case("masked-paths/missing-is-fine", masked)
            .set("/linux/maskedPaths", json!(["/nothing", "/nothing/below"])),
        case("masked-paths/relative", masked).set("/linux/maskedPaths", json!(["etc/key"])).refused(),
        case("readonly-paths/folder", read_only)
            .change(Change::Folder("rootfs/fixed"))
            .set("/linux/readonlyPaths", json!(["/fixed"]))
            .has(&["mounts", "/fixed", "options"], json!("ro"))
            .fails("touch=/fixed/new", EROFS)
            .works("touch=/free"),
        case("readonly-paths/file", read_only)
            .change(Change::File("rootfs/etc/fixed", "as it is"))
            .set("/linux/readonlyPaths", json!(["/etc/fixed"]))
            .answers("read=/etc/fixed", json!("as it is"))
            .fails("write=/etc/fixed", EROFS),
        case("readonly-paths/of-proc", read_only)
            .set("/linux/readonlyPaths", json!(["/proc/sys"]))
            .fails("write=/proc/sys/kernel/domainname", EROFS),
        case("readonly-paths/missing-is-fine", read_only).set("/linux/readonlyPaths", json!(["/nothing"])),
        case("readonly-paths/keep-the-options-of-the-mount", read_only)
            .mount("tmpfs", "tmpfs", "/mnt", &["nosuid", "nodev", "noexec"])
            .set("/linux/readonlyPaths", json!(["/mnt"]))
            .has(&["mounts", "/mnt", "options"], json!("ro"))
            .has(&["mounts", "/mnt", "options"], json!("nosuid"))
            .has(&["mounts", "/mnt", "options"], json!("noexec")),
    ]
}
