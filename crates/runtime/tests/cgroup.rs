//! Live tests of the cgroup driver.
//!
//! They need root and a cgroup v2 hierarchy, and make cgroups only below `/ross-test-<pid>-<n>`, which a guard removes.
//! Without a controller it is about, a case is skipped, and says so in the summary of `cargo xtask test`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that says what it skips")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ross_runtime::cgroup::{Cgroup, CgroupError, CgroupPath};
use ross_runtime::spec::{DeviceRule, LinuxResources};
use ross_types::ErrorKind;

/// A subtree of the test's own, removed at the end with all that is in it.
struct Tree {
    name: String,
    mount: PathBuf,
}

impl Tree {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "cgroups need root");
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let mount = mounts.iter().find(|mount| Path::new(mount).join("cgroup.procs").exists());
        let mount = mount.expect("a cgroup v2 hierarchy");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("/ross-test-{}-{number}", std::process::id()), mount: mount.into() }
    }

    fn path(&self, below: &str) -> CgroupPath {
        CgroupPath::new(&format!("{}/{below}", self.name)).unwrap()
    }

    fn read(&self, below: &str, file: &str) -> String {
        fs::read_to_string(self.file(below, file)).unwrap().trim().to_owned()
    }

    fn file(&self, below: &str, file: &str) -> PathBuf {
        self.mount.join(&self.name[1..]).join(below).join(file)
    }

    fn exists(&self) -> bool {
        self.mount.join(&self.name[1..]).exists()
    }

    /// Whether the host has the controllers, for cgroups where this tree is.
    fn has(&self, case: &str, controllers: &[&str]) -> bool {
        let available = fs::read_to_string(self.mount.join("cgroup.controllers")).unwrap();
        let missing: Vec<_> = controllers
            .iter()
            .filter(|name| !available.split_whitespace().any(|have| have == **name))
            .collect();
        if !missing.is_empty() {
            cannot_run(&format!("ross-runtime cgroup::{case}: controllers {missing:?} are not in cgroup v2"));
        }
        missing.is_empty()
    }
}

/// Says it where `cargo xtask test` reads it for its summary. In the test machine everything can run.
fn cannot_run(what: &str) {
    assert!(std::env::var_os("ROSS_VM").is_none(), "{what}");
    skip(what);
}

/// The same, where the test machine lacks it as well.
fn skip(what: &str) {
    println!("SKIP {what}");
    if let Some(path) = std::env::var_os("ROSS_SKIPPED") {
        let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Ok(tree) = Cgroup::open(&CgroupPath::new(&self.name).unwrap()) {
            tree.remove().unwrap();
        }
        assert!(!self.exists(), "{} is left behind", self.name);
    }
}

/// A process moved into a cgroup by its own shell, which says so; it is killed and reaped at the end.
struct Guest(Child);

impl Guest {
    fn enter(tree: &Tree, below: &str, script: &str) -> Self {
        let procs = tree.file(below, "cgroup.procs");
        let script = format!("echo 0 > {} && echo in && {script}", procs.display());
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        // Byte by byte, so that nothing the script says later is swallowed.
        while !line.ends_with('\n') {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "the guest did not get in");
            line.push(char::from(byte[0]));
        }
        Self(child)
    }

    fn pid(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }

    fn output(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn reap(mut self) -> std::process::ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resources(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap()
}

/// No limits, and every device: nothing a host could lack.
fn nothing() -> LinuxResources {
    resources(r#"{"devices":[{"allow":true}]}"#)
}

#[test]
fn a_cgroup_is_made_and_removed() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("a/b"), &nothing()).unwrap();
    assert!(tree.file("a/b", "cgroup.procs").exists());
    assert!(!cgroup.is_populated().unwrap() && !cgroup.is_frozen().unwrap());
    assert!(cgroup.pids().unwrap().is_empty());
    cgroup.remove().unwrap();
    assert!(!tree.file("a/b", "cgroup.procs").exists());
    assert!(tree.file("a", "cgroup.procs").exists(), "what is above stays");
    let gone = Cgroup::open(&tree.path("a/b")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[test]
fn removing_kills_what_is_inside_however_deep() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    let deep = Cgroup::create(&tree.path("c/1/2/3"), &nothing()).unwrap();
    Cgroup::create(&tree.path("c/1/x"), &nothing()).unwrap();
    let guests = [Guest::enter(&tree, "c/1/2/3", "sleep 1000"), Guest::enter(&tree, "c/1/x", "sleep 1000")];
    let mut pids = cgroup.pids().unwrap();
    pids.sort_unstable();
    for guest in &guests {
        assert!(pids.contains(&guest.pid()), "{pids:?}");
    }
    // A frozen one is no obstacle.
    deep.freeze().unwrap();
    cgroup.remove().unwrap();
    assert!(!tree.file("c", "cgroup.procs").exists());
    for guest in guests {
        assert!(!guest.reap().success());
    }
}

#[test]
fn removing_what_is_gone_is_fine() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    let same = Cgroup::open(&tree.path("c")).unwrap();
    cgroup.remove().unwrap();
    same.remove().unwrap();
}

#[test]
fn removing_a_very_deep_tree_needs_few_descriptors() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    let mut at =
        rustix::fs::openat(cgroup.dir(), ".", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    for _ in 0..300 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    }
    drop(at);
    cgroup.remove().unwrap();
}

#[test]
fn freezing_stops_and_thawing_goes_on() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    let mut guest = Guest::enter(&tree, "c", "read line; echo got $line");
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen().unwrap());
    assert_eq!(tree.read("c", "cgroup.freeze"), "1");
    use std::io::Write;
    guest.0.stdin.as_mut().unwrap().write_all(b"word\n").unwrap();
    cgroup.thaw().unwrap();
    assert_eq!(guest.output(), "got word");
    assert!(guest.reap().success());
}

#[test]
fn killing_leaves_nobody() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    // A child that is orphaned by its parent's death dies with it.
    let guest = Guest::enter(&tree, "c", "{ (sleep 1000 & sleep 1000) & wait; }");
    assert!(!cgroup.wait_empty(Instant::now()).unwrap());
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(Instant::now() + Duration::from_secs(10)).unwrap());
    assert!(cgroup.pids().unwrap().is_empty());
    assert!(!guest.reap().success());
}

#[test]
fn a_busy_or_frozen_cgroup_is_not_taken_over() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    cgroup.freeze().unwrap();
    let error = Cgroup::create(&tree.path("c"), &nothing()).unwrap_err();
    assert!(matches!(error, CgroupError::Frozen { .. }), "{error}");
    cgroup.thaw().unwrap();
    let guest = Guest::enter(&tree, "c", "sleep 1000");
    let error = Cgroup::create(&tree.path("c"), &nothing()).unwrap_err();
    assert!(matches!(error, CgroupError::InUse { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    cgroup.kill().unwrap();
    drop(guest);
    assert!(cgroup.wait_empty(Instant::now() + Duration::from_secs(10)).unwrap());
    // One that is empty is.
    Cgroup::create(&tree.path("c"), &nothing()).unwrap();
}

#[test]
fn a_failure_removes_what_was_made() {
    let tree = Tree::new();
    let check = |json: &str, text: &str| {
        let error = Cgroup::create(&tree.path("x/y/z"), &resources(json)).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(!tree.exists(), "{json} left {}", tree.name);
    };
    check(r#"{"unified":{"memory.bogus":"1"}}"#, "linux.resources.unified[memory.bogus]");
    check(
        r#"{"unified":{"cgroup.bogus":"1"}}"#,
        "linux.resources.unified[cgroup.bogus]: the kernel has no cgroup.bogus",
    );
    check(r#"{"unified":{"cgroup.max.depth":"many"}}"#, "write \"many\" to cgroup.max.depth");
    check(r#"{"memory":{"swap":5}}"#, "linux.resources.memory.swap");
    check(r#"{"devices":[{"allow":true,"type":"p"}]}"#, "linux.resources.devices[0].type");
}

#[test]
fn a_limit_without_its_controller_is_an_error() {
    const CASE: &str = "a_limit_without_its_controller_is_an_error";
    let tree = Tree::new();
    if fs::read_to_string(tree.mount.join("cgroup.controllers")).unwrap().contains("memory") {
        skip(&format!("ross-runtime cgroup::{CASE}: the memory controller is available"));
        return;
    }
    let error = Cgroup::create(&tree.path("c"), &resources(r#"{"memory":{"limit":1000000}}"#)).unwrap_err();
    let expected = format!(
        "linux.resources.memory.limit: the memory controller is not available to cgroup {}/c",
        tree.name
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    assert!(!tree.exists());
    // What limits nothing is nothing to enforce.
    Cgroup::create(
        &tree.path("c"),
        &resources(r#"{"memory":{"limit":-1},"pids":{"limit":-1},"devices":[{"allow":true}]}"#),
    )
    .unwrap();
}

#[test]
fn limits_reach_their_files() {
    const CASE: &str = "limits_reach_their_files";
    let tree = Tree::new();
    if !tree.has(CASE, &["cpu", "cpuset", "memory", "pids"]) {
        return;
    }
    let cgroup = Cgroup::create(
        &tree.path("deep/c"),
        &resources(
            r#"{"memory":{"limit":67108864,"reservation":33554432},
                "cpu":{"shares":2000,"quota":50000,"period":200000,"burst":1000,"cpus":"0","mems":"0"},
                "pids":{"limit":50},"unified":{"memory.high":"60000000"},"devices":[{"allow":true}]}"#,
        ),
    )
    .unwrap();
    let check = |file: &str, expected: &str| assert_eq!(tree.read("deep/c", file), expected, "{file}");
    check("memory.max", "67108864");
    check("memory.low", "33554432");
    check("memory.high", "59998208");
    check("cpu.weight", "170");
    check("cpu.max", "50000 200000");
    check("cpu.max.burst", "1000");
    check("cpuset.cpus", "0");
    check("cpuset.mems", "0");
    check("pids.max", "50");

    cgroup
        .apply(&resources(
            r#"{"memory":{"limit":-1},"cpu":{"quota":2000,"burst":200,"period":1000},"pids":{"limit":0}}"#,
        ))
        .unwrap();
    check("memory.max", "max");
    check("memory.low", "33554432");
    check("cpu.max", "2000 1000");
    check("cpu.max.burst", "200");
    check("pids.max", "1");
    cgroup.apply(&resources(r#"{"cpu":{"idle":1}}"#)).unwrap();
    check("cpu.idle", "1");
    cgroup.apply(&resources(r#"{"cpu":{"idle":0,"shares":1024}}"#)).unwrap();
    check("cpu.weight", "100");
    let error = cgroup.apply(&resources(r#"{"cpu":{"cpus":"99999"}}"#)).unwrap_err();
    assert!(
        error.to_string().starts_with("linux.resources.cpu.cpus: write \"99999\" to cpuset.cpus"),
        "{error}"
    );
}

#[test]
fn swap_and_update_checks() {
    const CASE: &str = "swap_and_update_checks";
    let tree = Tree::new();
    if !tree.has(CASE, &["memory"]) {
        return;
    }
    let limits = r#"{"memory":{"limit":50000000,"swap":50000000},"devices":[{"allow":true}]}"#;
    let cgroup = Cgroup::create(&tree.path("c"), &resources(limits)).unwrap();
    if tree.file("c", "memory.swap.max").exists() {
        assert_eq!(tree.read("c", "memory.swap.max"), "0");
    } else {
        skip(&format!("ross-runtime cgroup::{CASE}: the kernel has no swap accounting"));
    }
    let _guest = Guest::enter(&tree, "c", "sleep 1000");
    let error = cgroup.apply(&resources(r#"{"memory":{"limit":1,"checkBeforeUpdate":true}}"#)).unwrap_err();
    assert!(error.to_string().contains("bytes in use"), "{error}");
    assert_ne!(tree.read("c", "memory.max"), "0");
}

#[test]
fn a_limit_of_processes_holds() {
    const CASE: &str = "a_limit_of_processes_holds";
    let tree = Tree::new();
    if !tree.has(CASE, &["pids"]) {
        return;
    }
    let limits = r#"{"pids":{"limit":1},"devices":[{"allow":true}]}"#;
    let cgroup = Cgroup::create(&tree.path("c"), &resources(limits)).unwrap();
    let mut guest = Guest::enter(&tree, "c", "exec 2>/dev/null; read line; (sleep 0) || :; sleep 0");
    let pids = cgroup.stats().unwrap().pids.unwrap();
    assert_eq!((pids.current, pids.limit), (1, Some(1)));
    drop(guest.0.stdin.take());
    assert!(!guest.reap().success(), "the shell could fork");
}

#[test]
fn running_out_of_memory_is_counted() {
    const CASE: &str = "running_out_of_memory_is_counted";
    let tree = Tree::new();
    if !tree.has(CASE, &["memory"]) {
        return;
    }
    let limits = r#"{"memory":{"limit":8388608,"swap":8388608},"devices":[{"allow":true}]}"#;
    let cgroup = Cgroup::create(&tree.path("c"), &resources(limits)).unwrap();
    assert_eq!(cgroup.oom_events().unwrap().oom_kill, 0);
    let mut guest =
        Guest::enter(&tree, "c", "read line; x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo $?");
    drop(guest.0.stdin.take());
    guest.reap();
    assert!(cgroup.oom_events().unwrap().oom_kill > 0);
    let stats = cgroup.stats().unwrap();
    assert_eq!(stats.memory.unwrap().limit, Some(8_388_608));
}

#[test]
fn io_limits_reach_their_files() {
    const CASE: &str = "io_limits_reach_their_files";
    let tree = Tree::new();
    if !tree.has(CASE, &["io"]) {
        return;
    }
    let disk = fs::read_dir("/sys/block").unwrap().flatten().find(|disk| {
        let name = disk.file_name();
        ["vd", "sd", "nvme"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
    });
    let Some(disk) = disk else {
        skip(&format!("ross-runtime cgroup::{CASE}: no disk"));
        return;
    };
    let number = fs::read_to_string(disk.path().join("dev")).unwrap().trim().to_owned();
    let (major, minor) = number.split_once(':').unwrap();
    let device = |rate: u32| format!(r#"[{{"major":{major},"minor":{minor},"rate":{rate}}}]"#);
    let limits = format!(
        r#"{{"blockIO":{{"throttleReadBpsDevice":{},"throttleWriteIOPSDevice":{}}},"devices":[{{"allow":true}}]}}"#,
        device(1_000_000),
        device(77)
    );
    let cgroup = Cgroup::create(&tree.path("c"), &resources(&limits)).unwrap();
    assert_eq!(tree.read("c", "io.max"), format!("{number} rbps=1000000 wbps=max riops=max wiops=77"));
    let unlimited = format!(r#"{{"blockIO":{{"throttleReadBpsDevice":{}}}}}"#, device(0));
    cgroup.apply(&resources(&unlimited)).unwrap();
    assert_eq!(tree.read("c", "io.max"), format!("{number} rbps=max wbps=max riops=max wiops=77"));
    match cgroup.apply(&resources(r#"{"blockIO":{"weight":500}}"#)) {
        Ok(()) if tree.file("c", "io.bfq.weight").exists() => {
            assert_eq!(tree.read("c", "io.bfq.weight"), "default 500");
        }
        Ok(()) => assert_eq!(tree.read("c", "io.weight"), "default 4950"),
        Err(error) => {
            assert_eq!(error.to_string(), "linux.resources.blockIO.weight: the kernel has no io.weight");
            skip(&format!("ross-runtime cgroup::{CASE}: {error}"));
        }
    }
}

#[test]
fn huge_pages_are_limited() {
    const CASE: &str = "huge_pages_are_limited";
    let tree = Tree::new();
    if !tree.has(CASE, &["hugetlb"]) {
        return;
    }
    let limits = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],"devices":[{"allow":true}]}"#;
    Cgroup::create(&tree.path("c"), &resources(limits)).unwrap();
    assert_eq!(tree.read("c", "hugetlb.2MB.max"), "4194304");
    assert_eq!(tree.read("c", "hugetlb.2MB.rsvd.max"), "4194304");
}

#[test]
fn many_at_once_do_not_hinder_each_other() {
    const CASE: &str = "many_at_once_do_not_hinder_each_other";
    let tree = Tree::new();
    let limits = if tree.has(CASE, &["pids"]) {
        resources(r#"{"pids":{"limit":5},"devices":[{"allow":true}]}"#)
    } else {
        nothing()
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (tree, limits) = (&tree, &limits);
            scope.spawn(move || {
                for round in 0..25 {
                    let path = tree.path(&format!("shared/{thread}-{round}"));
                    Cgroup::create(&path, limits).unwrap().remove().unwrap();
                }
            });
        }
    });
}

#[test]
fn the_parent_of_all_containers_goes_with_the_last_and_comes_back() {
    const CASE: &str = "the_parent_of_all_containers_goes_with_the_last_and_comes_back";
    // Only for its checks: these cgroups lie beside it, where those of containers do.
    let tree = Tree::new();
    let limits = if tree.has(CASE, &["pids"]) { resources(r#"{"pids":{"limit":5}}"#) } else { nothing() };
    let path =
        |name: &str| CgroupPath::of_container("", &format!("test-{}-{name}", std::process::id())).unwrap();
    // Each removes the parent under the others' feet whenever it is the last.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (path, limits) = (&path, &limits);
            scope.spawn(move || {
                for round in 0..100 {
                    let path = path(&format!("{thread}-{round}"));
                    Cgroup::create(&path, limits).unwrap().remove().unwrap();
                }
            });
        }
    });
    // Something that runs on this machine may be in it.
    let parent = tree.mount.join(ross_runtime::cgroup::DEFAULT_PARENT);
    let first = Cgroup::create(&path("first"), &nothing()).unwrap();
    let second = Cgroup::create(&path("second"), &nothing()).unwrap();
    first.remove().unwrap();
    assert!(parent.exists(), "it went with a container that was not the last");
    second.remove().unwrap();
    let others =
        || fs::read_dir(&parent).is_ok_and(|mut all| all.any(|one| one.is_ok_and(|one| one.path().is_dir())));
    let deadline = Instant::now() + Duration::from_secs(10);
    // One of those others may have made it and not yet moved in.
    while parent.exists() && !others() {
        assert!(Instant::now() < deadline, "it stayed when the last was gone");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn statistics_are_read() {
    let tree = Tree::new();
    let cgroup = Cgroup::create(&tree.path("c"), &nothing()).unwrap();
    let mut guest =
        Guest::enter(&tree, "c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000");
    assert_eq!(guest.output(), "done");
    let stats = cgroup.stats().unwrap();
    assert!(stats.cpu.usage_usec > 0, "{stats:?}");
    let _ = cgroup.oom_events().unwrap();
}

/// Whether this process may load and attach device programs.
fn bpf_works(case: &str, tree: &Tree) -> bool {
    match Cgroup::create(&tree.path("bpf"), &resources(r#"{"devices":[{"allow":false}]}"#)) {
        Ok(cgroup) => {
            cgroup.remove().unwrap();
            true
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            skip(&format!("ross-runtime cgroup::{case}: {error}: {source}"));
            false
        }
    }
}

#[test]
fn device_rules_are_enforced() {
    const CASE: &str = "device_rules_are_enforced";
    let tree = Tree::new();
    if !bpf_works(CASE, &tree) {
        return;
    }
    let cgroup = Cgroup::create(&tree.path("c"), &resources(r#"{"devices":[{"allow":false}]}"#)).unwrap();
    // A device that is not among those everybody has, and whose opening does nothing.
    let device = "/dev/kmsg";
    if !Path::new(device).exists() {
        skip(&format!("ross-runtime cgroup::{CASE}: no {device}"));
        return;
    }
    let nodes = tempfile::tempdir().unwrap();
    let node = nodes.path().join("node");
    let script = |what: &str| {
        format!(
            "mknod {node} c 1 11 && rm {node} && echo made; {{ true < {device}; }} 2>/dev/null && echo readable; \
             {{ true > {device}; }} 2>/dev/null && echo writable; \
             echo x > /dev/null && head -c1 /dev/zero > /dev/null && echo {what}",
            node = node.display(),
        )
    };
    let seen = |what: &str| {
        let mut guest = Guest::enter(&tree, "c", &script(what));
        let mut text = String::new();
        guest.0.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(seen("usual"), ["made", "usual"]);

    let rules = |json: &str| serde_json::from_str::<Vec<DeviceRule>>(json).unwrap();
    cgroup
        .attach_device_rules(&rules(
            r#"[{"allow":false},{"allow":true,"type":"c","major":1,"minor":11,"access":"rw"},
                {"allow":false,"type":"c","major":1,"minor":11,"access":"w"}]"#,
        ))
        .unwrap();
    assert_eq!(seen("usual"), ["made", "readable", "usual"]);

    // Opened up altogether, and closed again: the program in place is replaced, not added to.
    cgroup.apply(&resources(r#"{"devices":[{"allow":true}]}"#)).unwrap();
    assert_eq!(seen("usual"), ["made", "readable", "writable", "usual"]);
    cgroup.attach_device_rules(&rules(r#"[{"allow":false}]"#)).unwrap();
    cgroup
        .attach_device_rules(&rules(r#"[{"allow":false},{"allow":true,"type":"c","major":1,"minor":11}]"#))
        .unwrap();
    assert_eq!(ross_sys::bpf::device_programs(cgroup.dir()).unwrap().len(), 1);
    assert_eq!(seen("usual"), ["made", "readable", "writable", "usual"]);
}
