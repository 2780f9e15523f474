//! `root` and `mounts`: what lies where, with which options. config.md, root and mounts.

use serde_json::json;

use super::case::{Case, Change, case};

const SECTION: &str = "config.md#mounts";

pub fn cases() -> Vec<Case> {
    [root(), binds(), options(), recursive(), propagation(), file_systems(), places(), ids()]
        .into_iter()
        .flatten()
        .collect()
}

fn root() -> Vec<Case> {
    let section = "config.md#root";
    vec![
        case("root/relative-path", section)
            .change(Change::File("rootfs/mark", "here"))
            .answers("read=/mark", json!("here"))
            .has(&["mounts"], json!("/")),
        case("root/absolute-path", section)
            .set("/root/path", json!("@BUNDLE@/rootfs"))
            .change(Change::File("rootfs/mark", "here"))
            .answers("read=/mark", json!("here")),
        case("root/writable", section).lacks(&["mounts", "/", "options"], json!("ro")).works("touch=/new"),
        case("root/read-only", section)
            .set("/root/readonly", json!(true))
            .has(&["mounts", "/", "options"], json!("ro"))
            .fails("touch=/new", 30),
        case("root/read-only-with-mounts-that-are-made", section)
            .set("/root/readonly", json!(true))
            .mount("tmpfs", "tmpfs", "/made/for/it", &[])
            .works("touch=/made/for/it/new")
            .fails("touch=/new", 30),
        case("root/missing", section).remove("/root").refused(),
        case("root/no-such-folder", section).set("/root/path", json!("nowhere")).refused(),
        case("root/nothing-of-the-host-in-sight", section)
            .fails("stat=@BUNDLE@/config.json", 2)
            .fails("stat=/proc/1/root@BUNDLE@", 2)
            .fails("stat=/proc/self/cwd/..@BUNDLE@", 2),
    ]
}

fn binds() -> Vec<Case> {
    let source = || Change::File("source/file", "inside");
    vec![
        case("bind/folder", SECTION)
            .change(source())
            .mount("none", "@BUNDLE@/source", "/mnt", &["bind"])
            .answers("read=/mnt/file", json!("inside"))
            .works("touch=/mnt/new"),
        case("bind/file", SECTION)
            .change(source())
            .mount("none", "@BUNDLE@/source/file", "/etc/inside", &["bind"])
            .answers("read=/etc/inside", json!("inside")),
        case("bind/source-relative-to-the-bundle", SECTION)
            .change(source())
            .mount("none", "source", "/mnt", &["bind"])
            .answers("read=/mnt/file", json!("inside")),
        case("bind/read-only", SECTION)
            .change(source())
            .mount("none", "@BUNDLE@/source", "/mnt", &["bind", "ro"])
            .has(&["mounts", "/mnt", "options"], json!("ro"))
            .fails("touch=/mnt/new", 30),
        case("bind/without-what-is-mounted-below", SECTION)
            .change(Change::HostMount("source/sub"))
            .change(Change::File("source/sub/file", "below"))
            .mount("none", "@BUNDLE@/source", "/mnt", &["bind"])
            .has(&["mounts"], json!("/mnt"))
            .lacks(&["mounts"], json!("/mnt/sub"))
            .fails("read=/mnt/sub/file", 2),
        case("bind/with-what-is-mounted-below", SECTION)
            .change(Change::HostMount("source/sub"))
            .change(Change::File("source/sub/file", "below"))
            .mount("none", "@BUNDLE@/source", "/mnt", &["rbind"])
            .has(&["mounts"], json!("/mnt/sub"))
            .answers("read=/mnt/sub/file", json!("below")),
        case("bind/missing-source", SECTION).mount("none", "@BUNDLE@/nothing", "/mnt", &["bind"]).refused(),
        case("bind/type-does-not-matter", SECTION)
            .change(source())
            .mount("whatever", "@BUNDLE@/source", "/mnt", &["bind"])
            .answers("read=/mnt/file", json!("inside")),
    ]
}

fn options() -> Vec<Case> {
    let bind = |name: &'static str, options: &[&str]| {
        let mount = [&["bind"], options].concat();
        case(name, SECTION).change(Change::Folder("source")).mount("none", "@BUNDLE@/source", "/mnt", &mount)
    };
    let mut cases: Vec<Case> = [
        ("option/nosuid", "nosuid"),
        ("option/nodev", "nodev"),
        ("option/noexec", "noexec"),
        ("option/noatime", "noatime"),
        ("option/nodiratime", "nodiratime"),
        ("option/relatime", "relatime"),
    ]
    .into_iter()
    .map(|(name, option)| bind(name, &[option]).has(&["mounts", "/mnt", "options"], json!(option)))
    .collect();
    let superblock = |name: &'static str, option: &'static str| {
        case(name, SECTION)
            .mount("tmpfs", "tmpfs", "/mnt", &[option])
            .has(&["mounts", "/mnt", "super"], json!(option))
    };
    cases.extend([
        bind("option/nosymfollow", &["nosymfollow"])
            .since("1.1")
            .has(&["mounts", "/mnt", "options"], json!("nosymfollow")),
        bind("option/strictatime", &["strictatime"])
            .has(&["mounts", "/mnt", "options"], json!("rw"))
            .lacks(&["mounts", "/mnt", "options"], json!("relatime"))
            .lacks(&["mounts", "/mnt", "options"], json!("noatime")),
        bind("option/last-one-counts", &["ro", "noexec", "rw", "exec"])
            .has(&["mounts", "/mnt", "options"], json!("rw"))
            .lacks(&["mounts", "/mnt", "options"], json!("noexec")),
        bind("option/noexec-is-enforced", &["noexec"])
            .change(Change::File("source/script", "#!/bin/sh\n"))
            .fails("run=/mnt/script", 13),
        superblock("option/sync", "sync"),
        superblock("option/dirsync", "dirsync"),
        superblock("option/lazytime", "lazytime").since("1.1"),
        case("option/unknown-one-is-the-file-systems", SECTION)
            .mount("tmpfs", "tmpfs", "/mnt", &["of-tomorrow"])
            .refused(),
    ]);
    cases
}

/// Attributes that reach what is mounted below too. Since 1.1.
fn recursive() -> Vec<Case> {
    let tree = |name: &'static str, options: &[&str]| {
        case(name, SECTION).since("1.1").change(Change::HostMount("source/sub")).mount(
            "none",
            "@BUNDLE@/source",
            "/mnt",
            &[&["rbind"], options].concat(),
        )
    };
    let mut cases: Vec<Case> = [
        ("recursive/rro", "rro", "ro"),
        ("recursive/rnosuid", "rnosuid", "nosuid"),
        ("recursive/rnodev", "rnodev", "nodev"),
        ("recursive/rnoexec", "rnoexec", "noexec"),
        ("recursive/rnoatime", "rnoatime", "noatime"),
        ("recursive/rnodiratime", "rnodiratime", "nodiratime"),
        ("recursive/rnosymfollow", "rnosymfollow", "nosymfollow"),
    ]
    .into_iter()
    .map(|(name, option, shown)| {
        tree(name, &[option])
            .has(&["mounts", "/mnt", "options"], json!(shown))
            .has(&["mounts", "/mnt/sub", "options"], json!(shown))
    })
    .collect();
    cases.extend([
        tree("recursive/rrelatime", &["rrelatime"])
            .has(&["mounts", "/mnt/sub", "options"], json!("relatime")),
        tree("recursive/rstrictatime", &["rstrictatime"])
            .has(&["mounts", "/mnt/sub", "options"], json!("rw"))
            .lacks(&["mounts", "/mnt/sub", "options"], json!("relatime")),
        tree("recursive/ro-is-of-the-mount-alone", &["ro"])
            .has(&["mounts", "/mnt", "options"], json!("ro"))
            .lacks(&["mounts", "/mnt/sub", "options"], json!("ro")),
    ]);
    cases
}

fn propagation() -> Vec<Case> {
    let mounted =
        |name: &'static str, option: &'static str| {
            case(name, SECTION)
                .change(Change::HostMount("source"))
                .change(Change::HostMount("source/sub"))
                .mount("none", "@BUNDLE@/source", "/mnt", &["rbind", option])
        };
    let rooted = |name: &'static str, option: &str| {
        case(name, "config-linux.md#rootfs-mount-propagation")
            .change(Change::HostShare("rootfs"))
            .set("/linux/rootfsPropagation", json!(option))
    };
    let of_root: super::case::Path = &["mounts", "/", "propagation"];
    let of_mount: super::case::Path = &["mounts", "/mnt", "propagation"];
    let below: super::case::Path = &["mounts", "/mnt/sub", "propagation"];
    vec![
        mounted("propagation/private", "private").is(of_mount, json!([])),
        mounted("propagation/rprivate", "rprivate").is(of_mount, json!([])).is(below, json!([])),
        mounted("propagation/shared", "shared").has(of_mount, json!("shared")),
        mounted("propagation/rshared", "rshared").has(of_mount, json!("shared")).has(below, json!("shared")),
        mounted("propagation/slave", "slave").is(of_mount, json!(["master"])),
        mounted("propagation/rslave", "rslave").is(of_mount, json!(["master"])).is(below, json!(["master"])),
        mounted("propagation/unbindable", "unbindable").has(of_mount, json!("unbindable")),
        mounted("propagation/runbindable", "runbindable")
            .has(of_mount, json!("unbindable"))
            .has(below, json!("unbindable")),
        rooted("rootfs-propagation/private", "private").is(of_root, json!([])),
        rooted("rootfs-propagation/slave", "slave").is(of_root, json!(["master"])),
        rooted("rootfs-propagation/shared", "shared").has(of_root, json!("shared")),
        rooted("rootfs-propagation/unbindable", "unbindable").has(of_root, json!("unbindable")),
        rooted("rootfs-propagation/unknown", "sideways").refused(),
    ]
}

fn file_systems() -> Vec<Case> {
    let default = "config-linux.md#default-filesystems";
    vec![
        case("file-system/default-ones", default)
            .is(&["mounts", "/proc", "type"], json!("proc"))
            .is(&["mounts", "/sys", "type"], json!("sysfs"))
            .is(&["mounts", "/dev/pts", "type"], json!("devpts"))
            .is(&["mounts", "/dev/shm", "type"], json!("tmpfs"))
            .is(&["mounts", "/dev/mqueue", "type"], json!("mqueue"))
            .has(&["mounts", "/sys", "options"], json!("ro"))
            .has(&["mounts", "/dev/pts", "super"], json!("gid=5"))
            .has(&["mounts", "/dev/pts", "super"], json!("mode=620"))
            .has(&["mounts", "/dev/shm", "super"], json!("size=65536k")),
        case("file-system/tmpfs", SECTION)
            .mount("tmpfs", "tmpfs", "/mnt", &["size=64k", "mode=0710", "uid=3", "gid=4", "nodev"])
            .is(&["mounts", "/mnt", "type"], json!("tmpfs"))
            .has(&["mounts", "/mnt", "super"], json!("size=64k"))
            .has(&["mounts", "/mnt", "options"], json!("nodev"))
            .is(&["asked", "stat=/mnt", "ok", "mode"], json!(0o710))
            .is(&["asked", "stat=/mnt", "ok", "uid"], json!(3))
            .is(&["asked", "stat=/mnt", "ok", "gid"], json!(4))
            .word("stat=/mnt"),
        case("file-system/tmpcopyup", SECTION)
            .since("1.1")
            .change(Change::File("rootfs/covered/deep/file", "kept"))
            .mount("tmpfs", "tmpfs", "/covered", &["tmpcopyup"])
            .is(&["mounts", "/covered", "type"], json!("tmpfs"))
            .answers("read=/covered/deep/file", json!("kept"))
            .works("touch=/covered/new"),
        case("file-system/overlay", SECTION)
            .change(Change::File("lower/file", "from below"))
            .change(Change::Folder("source"))
            .mount("overlay", "overlay", "/mnt", &["lowerdir=@BUNDLE@/lower:@BUNDLE@/source"])
            .is(&["mounts", "/mnt", "type"], json!("overlay"))
            .answers("read=/mnt/file", json!("from below")),
        case("file-system/cgroup", SECTION)
            .shows_cgroup()
            .is(&["mounts", "/sys/fs/cgroup", "type"], json!("cgroup2"))
            .has(&["mounts", "/sys/fs/cgroup", "options"], json!("ro"))
            .works("read=/sys/fs/cgroup/cgroup.procs")
            .fails("write=/sys/fs/cgroup/cgroup.procs", 30),
        case("file-system/cgroup-writable", SECTION)
            .with_cgroup()
            .mount("cgroup", "cgroup", "/sys/fs/cgroup", &["rw"])
            .lacks(&["mounts", "/sys/fs/cgroup", "options"], json!("ro"))
            .works("mkdir=/sys/fs/cgroup/made"),
        case("file-system/cgroup-without-a-namespace", SECTION)
            .shows_cgroup()
            .change(Change::DropNamespace("cgroup"))
            .like_host(&["namespaces", "cgroup"])
            .answers("read=/sys/fs/cgroup/cgroup.procs", json!("1")),
        case("file-system/unknown-type", SECTION).mount("fs-of-tomorrow", "x", "/mnt", &[]).refused(),
    ]
}

fn places() -> Vec<Case> {
    vec![
        case("mounts/in-the-order-of-the-list", SECTION)
            .change(Change::File("source/file", "inside"))
            .mount("tmpfs", "tmpfs", "/mnt", &[])
            .mount("none", "@BUNDLE@/source", "/mnt/below", &["bind"])
            .mount("tmpfs", "tmpfs", "/mnt/below", &[])
            .is(&["mounts", "/mnt/below", "type"], json!("tmpfs"))
            .answers("list=/mnt/below", json!([])),
        case("mounts/destination-is-made", SECTION)
            .mount("tmpfs", "tmpfs", "/made/very/deep", &[])
            .has(&["mounts"], json!("/made/very/deep")),
        case("mounts/relative-destination", SECTION)
            .since("1.2")
            .mount("tmpfs", "tmpfs", "relative/place", &[])
            .has(&["mounts"], json!("/relative/place")),
        case("mounts/destination-behind-a-link", SECTION)
            .change(Change::Folder("rootfs/target"))
            .change(Change::Link("/target", "rootfs/link"))
            .mount("tmpfs", "tmpfs", "/link", &[])
            .has(&["mounts"], json!("/target")),
        case("mounts/link-out-of-the-root-stays-in-it", "CVE-2021-30465 and kin")
            .change(Change::Link("../../../../escaped", "rootfs/link"))
            .mount("tmpfs", "tmpfs", "/link/in", &[])
            .has(&["mounts"], json!("/escaped/in")),
        case("mounts/destination-missing", SECTION)
            .push("/mounts", json!({"type": "tmpfs", "source": "tmpfs"}))
            .refused(),
        case("mounts/type-missing", SECTION)
            .push("/mounts", json!({"destination": "/mnt", "source": "tmpfs"}))
            .refused(),
    ]
}

/// Mounts with mapped ids. Since 1.2.
fn ids() -> Vec<Case> {
    let map = || json!([{"containerID": 0, "hostID": 300_000, "size": 1000}]);
    let mapped = |name: &'static str, option: &str| {
        case(name, "config.md#posix-platform-mounts")
            .since("1.2")
            .change(Change::File("source/file", "mine"))
            .push(
                "/mounts",
                json!({"destination": "/mnt", "type": "none", "source": "@BUNDLE@/source",
                    "options": ["rbind", option], "uidMappings": map(), "gidMappings": map()}),
            )
            .word("stat=/mnt/file")
            .is(&["asked", "stat=/mnt/file", "ok", "uid"], json!(300_000))
            .is(&["asked", "stat=/mnt/file", "ok", "gid"], json!(300_000))
    };
    vec![
        mapped("mounts/idmap", "idmap"),
        mapped("mounts/ridmap", "ridmap"),
        mapped("mounts/mappings-without-the-word", "rw"),
        case("mounts/idmap-of-the-user-namespace", "config.md#posix-platform-mounts")
            .since("1.2")
            .user_namespace()
            .change(Change::File("source/file", "mine"))
            .mount("none", "@BUNDLE@/source", "/mnt", &["bind", "idmap"])
            .word("stat=/mnt/file")
            .is(&["asked", "stat=/mnt/file", "ok", "uid"], json!(0)),
    ]
}
