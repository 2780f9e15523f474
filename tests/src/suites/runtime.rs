//! The runtime's command line and the OCI runtime specification: lifecycle, and each field of config.json seen from
//! within the container.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{Bed, Bundle, Case, Need};

pub const CASES: &[Case] = &[
    Case { name: "runtime/lifecycle", needs: &[], run: lifecycle },
    Case { name: "runtime/lifecycle-errors", needs: &[], run: lifecycle_errors },
    Case { name: "runtime/exec", needs: &[], run: exec },
    Case { name: "runtime/process", needs: &[], run: process },
    Case { name: "runtime/capabilities", needs: &[], run: capabilities },
    Case { name: "runtime/mounts", needs: &[], run: mounts },
    Case { name: "runtime/masked-and-read-only-paths", needs: &[], run: paths },
    Case { name: "runtime/devices", needs: &[], run: devices },
    Case { name: "runtime/namespaces", needs: &[], run: namespaces },
    Case { name: "runtime/user-namespace", needs: &[], run: user_namespace },
    Case { name: "runtime/seccomp", needs: &[], run: seccomp },
    Case { name: "runtime/hooks", needs: &[], run: hooks },
    Case {
        name: "runtime/resources",
        needs: &[Need::Controller("memory"), Need::Controller("pids")],
        run: resources,
    },
    Case { name: "runtime/bad-configurations", needs: &[], run: bad },
    Case { name: "runtime/failed-create-leaves-nothing", needs: &[], run: clean_failure },
];

fn bundle(bed: &mut Bed) -> Result<Bundle> {
    let dir = bed.folder("bundle")?;
    Bundle::new(&bed.program("ross-runtime"), &dir)
}

fn state(bundle: &Bundle, id: &str) -> Result<Value> {
    Ok(serde_json::from_str(&bundle.call(&["state", id])?.ok()?.stdout)?)
}

fn await_status(bundle: &Bundle, id: &str, status: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = state(bundle, id)?;
        if state["status"] == status {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{id} is {}, expected {status}", state["status"]);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lifecycle(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.args(&["sleep", "1000"]).set("/annotations", json!({"org.example": "yes"}));
    let pid_file = bundle.dir.join("pid");
    bundle.call(&["create", "--pid-file", &pid_file.to_string_lossy(), "life"])?.ok()?;
    let created = state(&bundle, "life")?;
    ensure!(created["status"] == "created" && created["id"] == "life", "{created}");
    ensure!(created["bundle"] == bundle.dir.to_string_lossy().as_ref(), "{created}");
    ensure!(created["annotations"]["org.example"] == "yes", "{created}");
    let pid: i32 = fs::read_to_string(&pid_file)?.parse().context("pid file")?;
    ensure!(created["pid"] == pid, "the pid file says {pid}: {created}");
    // The program does not run before start.
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(comm.trim() != "sleep", "the program runs before start");
    bundle.call(&["start", "life"])?.ok()?;
    await_status(&bundle, "life", "running")?;
    bundle.call(&["list"])?.ok()?.says("life")?.says("running")?;
    bundle.call(&["list", "-q"])?.ok()?.prints("life")?;
    bundle.call(&["ps", "life"])?.ok()?.says("sleep")?;
    bundle.call(&["pause", "life"])?.ok()?;
    ensure!(state(&bundle, "life")?["status"] == "paused");
    bundle.call(&["resume", "life"])?.ok()?;
    bundle.call(&["kill", "life", "KILL"])?.ok()?;
    await_status(&bundle, "life", "stopped")?;
    bundle.call(&["delete", "life"])?.ok()?;
    bundle.call(&["state", "life"])?.complains(&["life"])?;
    bundle.call(&["list", "-q"])?.ok()?.prints("")?;
    Ok(())
}

fn lifecycle_errors(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.args(&["sleep", "1000"]);
    for command in
        [&["start", "ghost"][..], &["kill", "ghost"], &["delete", "ghost"], &["exec", "ghost", "true"]]
    {
        bundle.call(command)?.complains(&["ghost"])?;
    }
    // Deleting by force what is not there is no error, as with runc.
    bundle.call(&["delete", "--force", "ghost"])?.ok()?;
    for id in ["..", ".", "a/b", ""] {
        bundle.call(&["create", id])?.complains(&["id"])?;
    }
    bundle.call(&["create", "twice"])?.ok()?;
    bundle.call(&["create", "twice"])?.complains(&["twice"])?;
    bundle.call(&["start", "twice"])?.ok()?;
    bundle.call(&["start", "twice"])?.complains(&["twice"])?;
    bundle.call(&["delete", "twice"])?.complains(&["twice"])?;
    bundle.call(&["kill", "twice", "NONSENSE"])?.complains(&["NONSENSE"])?;
    bundle.call(&["delete", "--force", "twice"])?.ok()?;
    // Errors go to the log, too, in the form callers parse.
    let log = bundle.dir.join("log.json");
    let path = log.to_string_lossy().into_owned();
    bundle.call(&["--log", &path, "--log-format", "json", "state", "ghost"])?.exits(1)?;
    let line: Value =
        serde_json::from_str(fs::read_to_string(&log)?.lines().last().context("no line in the log")?)?;
    ensure!(
        line["level"] == "error" && line["msg"].as_str().is_some_and(|msg| msg.contains("ghost")),
        "{line}"
    );
    Ok(())
}

fn exec(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.args(&["sleep", "1000"]);
    bundle.call(&["run", "--detach", "ex"])?.ok()?;
    bundle.call(&["exec", "ex", "echo", "inside"])?.ok()?.prints("inside")?;
    bundle.call(&["exec", "ex", "sh", "-c", "exit 17"])?.exits(17)?;
    let flags = [
        "exec",
        "--env",
        "A=b",
        "--cwd",
        "/tmp",
        "--user",
        "7:9",
        "ex",
        "sh",
        "-c",
        "echo $A $(pwd) $(id -u):$(id -g)",
    ];
    bundle.call(&flags)?.ok()?.prints("b /tmp 7:9")?;
    bundle.call(&["exec", "ex", "/nope"])?.complains(&["/nope"])?;
    let process = bundle.dir.join("process.json");
    fs::write(&process, json!({"args": ["echo", "from a file"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}).to_string())?;
    bundle.call(&["exec", "--process", &process.to_string_lossy(), "ex"])?.ok()?.prints("from a file")?;
    bundle.call(&["exec", "ex", "grep", "CapInh", "/proc/self/status"])?.ok()?.says("0000000000000000")?;
    bundle.call(&["exec", "ex", "ls", "/proc/self/fd"])?.ok()?.prints("0\n1\n2\n3")?;
    let pid_file = bundle.dir.join("exec.pid");
    bundle
        .call(&["exec", "--detach", "--pid-file", &pid_file.to_string_lossy(), "ex", "sleep", "999"])?
        .ok()?;
    let pid: i32 = fs::read_to_string(&pid_file)?.parse()?;
    bundle.call(&["ps", "--format", "json", "ex"])?.ok()?.says(&pid.to_string())?;
    bundle.call(&["delete", "--force", "ex"])?.ok()?;
    ensure!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the exec outlives its container");
    Ok(())
}

fn process(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.set("/process/env", json!(["PATH=/bin", "A=1", "B=two words"])).args(&["sh", "-c", "echo $A,$B"]);
    bundle.run("p")?.ok()?.prints("1,two words")?;
    bundle.set("/process/cwd", json!("/tmp")).args(&["pwd"]);
    bundle.run("p")?.ok()?.prints("/tmp")?;
    bundle.set("/process/cwd", json!("/"));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 6], "umask": 0o27}));
    bundle.args(&["sh", "-c", "id -u; id -g; id -G; umask; echo $HOME"]);
    bundle.run("p")?.ok()?.prints("1000\n1000\n1000 5 6\n0027\n/home/user")?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0}));
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 111, "hard": 222}]));
    bundle.args(&["sh", "-c", "ulimit -n; ulimit -Hn"]);
    bundle.run("p")?.ok()?.prints("111\n222")?;
    bundle.set("/process/oomScoreAdj", json!(123)).args(&["cat", "/proc/self/oom_score_adj"]);
    bundle.run("p")?.ok()?.prints("123")?;
    bundle.set("/process/noNewPrivileges", json!(true)).args(&["grep", "NoNewPrivs", "/proc/self/status"]);
    bundle.run("p")?.ok()?.says("1")?;
    bundle.set("/hostname", json!("conformance")).set("/domainname", json!("example")).args(&[
        "cat",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
    ]);
    bundle.run("p")?.ok()?.prints("conformance\nexample")?;
    bundle
        .set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "77"}))
        .args(&["cat", "/proc/sys/net/ipv4/ip_default_ttl"]);
    bundle.run("p")?.ok()?.prints("77")?;
    bundle.args(&["sh", "-c", "exit 42"]);
    bundle.run("p")?.exits(42)?;
    Ok(())
}

fn capabilities(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    let sets = json!({"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]});
    bundle.set("/process/capabilities", sets).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.args(&["grep", "^Cap", "/proc/self/status"]);
    let shown = bundle.run("c")?.ok()?;
    for line in [
        "CapInh:\t0000000000000020",
        "CapPrm:\t0000000000000020",
        "CapEff:\t0000000000000020",
        "CapBnd:\t0000000000000021",
        "CapAmb:\t0000000000000020",
    ] {
        shown.clone().says(line)?;
    }
    bundle.set("/process/capabilities", Value::Null).set("/process/user", json!({"uid": 0, "gid": 0}));
    bundle.run("c")?.ok()?.says("CapBnd:\t0000000000000000")?;
    Ok(())
}

fn mounts(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    let source = bundle.dir.join("source");
    fs::create_dir_all(source.join("deep"))?;
    fs::write(source.join("file"), "content")?;
    bundle.push("/mounts", json!({"destination": "/made/here", "type": "bind", "source": source, "options": ["rbind", "ro", "nosuid", "noexec"]}));
    bundle.push("/mounts", json!({"destination": "/etc/one", "type": "bind", "source": source.join("file"), "options": ["bind"]}));
    bundle.push("/mounts", json!({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "mode=1711", "nodev"]}));
    bundle.args(&["sh", "-c", "cat /made/here/file /etc/one; echo; touch /made/here/x; grep -E ' /(made/here|scratch) ' /proc/self/mounts; stat -c %a /scratch"]);
    let shown = bundle.run("m")?.ok()?;
    for part in ["contentcontent", "ro,nosuid,noexec", "nodev", "size=64k", "1711"] {
        shown.clone().says(part)?;
    }
    ensure!(shown.stderr.contains("Read-only"), "a read-only bind is writable: {}", shown.stderr);
    bundle.set("/root/readonly", json!(true)).args(&["touch", "/x"]);
    bundle.run("m")?.complains(&["Read-only"])?;
    bundle.push(
        "/mounts",
        json!({"destination": "/gone", "type": "bind", "source": "/no/such/source", "options": ["bind"]}),
    );
    bundle.run("m")?.complains(&["/no/such/source"])?;
    Ok(())
}

fn paths(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    fs::create_dir_all(bundle.dir.join("rootfs/secret"))?;
    fs::write(bundle.dir.join("rootfs/secret/key"), "hidden")?;
    fs::write(bundle.dir.join("rootfs/etc/key"), "hidden")?;
    fs::create_dir_all(bundle.dir.join("rootfs/fixed"))?;
    bundle.set("/linux/maskedPaths", json!(["/secret", "/etc/key", "/does/not/exist"]));
    bundle.set("/linux/readonlyPaths", json!(["/fixed"])).set("/root/readonly", json!(false));
    bundle.args(&[
        "sh",
        "-c",
        "ls /secret; cat /etc/key; touch /fixed/x; touch /secret/x; touch /free; echo end",
    ]);
    let shown = bundle.run("mask")?.ok()?;
    shown.clone().prints("end")?;
    ensure!(shown.stderr.matches("Read-only").count() == 2, "stderr: {}", shown.stderr);
    Ok(())
}

fn devices(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.push("/linux/devices", json!({"path": "/dev/lent", "type": "c", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 3, "gid": 4}));
    bundle.set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}, {"allow": true, "type": "c", "access": "m"}]));
    let look = "stat -c '%F %t %T %a %u %g' /dev/lent; echo ross-tests > /dev/lent && echo written; head -c 1 /dev/lent; ls /dev";
    bundle.args(&["sh", "-c", look]);
    let shown = bundle.run("d")?.ok()?;
    for part in [
        "character special file 1 b 640 3 4",
        "written",
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "pts",
        "ptmx",
        "shm",
        "stdin",
    ] {
        shown.clone().says(part)?;
    }
    ensure!(
        shown.stderr.contains("not permitted"),
        "a device may be read that the list lets be written: {}",
        shown.stderr
    );
    Ok(())
}

fn namespaces(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.args(&["sleep", "1000"]);
    bundle.call(&["run", "-d", "first"])?.ok()?;
    let pid = state(&bundle, "first")?["pid"].as_i64().context("pid")?;
    // Joined by path, and left out.
    let join = |kind: &str, file: &str| json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")});
    let list = json!([join("network", "net"), join("ipc", "ipc"), join("uts", "uts"), join("pid", "pid"), {"type": "mount"}]);
    bundle.set("/linux/namespaces", list).set("/hostname", Value::Null);
    bundle.args(&[
        "sh",
        "-c",
        "for n in net ipc uts pid cgroup; do readlink /proc/self/ns/$n; done; cat /proc/1/comm",
    ]);
    let shown = bundle.run("second")?.ok()?;
    let lines: Vec<&str> = shown.stdout.lines().collect();
    for (line, kind) in lines.iter().zip(["net", "ipc", "uts", "pid"]) {
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
        ensure!(**line == *theirs.to_string_lossy(), "{kind}: {line}, expected {}", theirs.display());
    }
    let own = fs::read_link("/proc/self/ns/cgroup")?;
    ensure!(lines[4] == own.to_string_lossy(), "a namespace that is not listed is new");
    ensure!(lines[5] == "sleep", "pid 1 of the joined namespace is {}", lines[5]);
    bundle.call(&["delete", "-f", "first"])?.ok()?;
    bundle.set("/linux/namespaces", json!([{"type": "network", "path": "/no/such/ns"}, {"type": "mount"}]));
    bundle.run("third")?.complains(&["/no/such/ns"])?;
    Ok(())
}

fn user_namespace(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    // Groups beyond the mapping cannot be named in it.
    bundle.set("/linux/sysctl", json!({}));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    // The root must be reachable for the mapped user.
    for dir in bundle.dir.ancestors().take(3) {
        let _ = std::process::Command::new("chmod").arg("a+x").arg(dir).status();
    }
    bundle.set("/root/readonly", json!(false));
    bundle.args(&["sh", "-c", "id -u; cat /proc/self/uid_map | tr -s ' '; test -c /dev/null && echo dev"]);
    bundle.run("u")?.ok()?.says("0\n")?.says("0 100000 65536")?.says("dev")?;
    Ok(())
}

fn seccomp(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.set("/root/readonly", json!(false));
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
        {"names": ["chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 3, "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]},
        {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"}]}));
    bundle.args(&[
        "sh",
        "-c",
        "mkdir /x; chmod 7 /tmp; kill -USR1 $$; kill -CONT $$ && echo other; hostname x; echo $?",
    ]);
    let shown = bundle.run("s")?.ok()?;
    for part in ["not supported", "not permitted", "No such process"] {
        ensure!(shown.stderr.contains(part), "no `{part}`: {}", shown.stderr);
    }
    shown.says("other")?.says("159")?;
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NONSENSE"}));
    bundle.run("s")?.complains(&["SCMP_ACT_NONSENSE"])?;
    Ok(())
}

fn hooks(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    let log = bundle.dir.join("hooks");
    let hook = |name: &str| {
        let script = format!(
            "read state; echo {name} $(echo $state | grep -o '\"status\": *\"[a-z]*\"' | cut -d'\"' -f4) >> {}",
            log.display()
        );
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], "timeout": 20}])
    };
    for name in ["prestart", "createRuntime", "poststart", "poststop"] {
        bundle.set(&format!("/hooks/{name}"), hook(name));
    }
    bundle.args(&["true"]);
    bundle.run("h")?.ok()?;
    let ran = fs::read_to_string(&log)?;
    let names: Vec<&str> = ran.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(names == ["prestart", "createRuntime", "poststart", "poststop"], "hooks ran as {names:?}");
    ensure!(ran.contains("createRuntime creat") && ran.contains("poststop stopped"), "states: {ran}");
    bundle.set(
        "/hooks",
        json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo broken hook >&2; exit 3"]}]}),
    );
    bundle.run("h")?.complains(&["hook"])?;
    bundle.call(&["list", "-q"])?.ok()?.prints("")?;
    Ok(())
}

fn resources(bed: &mut Bed) -> Result<()> {
    let mut bundle = bundle(bed)?;
    bundle.set(
        "/linux/resources/memory",
        json!({"limit": 33_554_432, "swap": 67_108_864, "reservation": 16_777_216}),
    );
    bundle.set("/linux/resources/pids", json!({"limit": 33}));
    bundle.set("/linux/resources/cpu", json!({"shares": 1024, "quota": 20000, "period": 50000}));
    bundle.set("/linux/resources/unified", json!({"memory.high": "30000000"}));
    let files = "memory.max memory.swap.max memory.low pids.max cpu.max cpu.weight memory.high";
    bundle.args(&["sh", "-c", &format!("cd /sys/fs/cgroup; for f in {files}; do cat $f; done")]);
    bundle.run("r")?.ok()?.prints("33554432\n33554432\n16777216\n33\n20000 50000\n100\n29999104")?;
    bundle.set("/linux/resources/unified", json!({"../escape": "1"}));
    bundle.run("r")?.complains(&["../escape"])?;
    Ok(())
}

fn bad(bed: &mut Bed) -> Result<()> {
    let original = bundle(bed)?.config;
    let mut bundle = bundle(bed)?;
    // The specification: unknown properties are ignored.
    bundle.args(&["true"]).set("/somethingNew", json!({"a": 1})).set("/linux/newer", json!(true));
    bundle.run("b")?.ok()?;
    for (pointer, value, words) in [
        ("/ociVersion", json!("2.0.0"), &["2.0.0"][..]),
        ("/process/args", json!([]), &["process.args"]),
        ("/process/args", json!("sh"), &["process.args"]),
        ("/process/cwd", json!("relative"), &["process.cwd"]),
        ("/root/path", json!("/no/such/root"), &["/no/such/root"]),
        (
            "/mounts",
            json!([{"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": [7]}]),
            &["mounts"],
        ),
        ("/linux/namespaces", json!([{"type": "nonsense"}]), &["nonsense"]),
        (
            "/linux/namespaces",
            json!([{"type": "pid"}, {"type": "pid"}, {"type": "mount"}]),
            &["linux.namespaces[1]"],
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]),
            &["RLIMIT_NONSENSE"],
        ),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]), &["process.rlimits[0]"]),
        ("/linux/sysctl", json!({"kernel.panic": "1"}), &["kernel.panic"]),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]), &["uidMappings"]),
        ("/linux/cgroupsPath", json!("/a/../../b"), &["cgroupsPath"]),
        ("/linux/rootfsPropagation", json!("sideways"), &["sideways"]),
        ("/process/user", json!({"uid": -1, "gid": 0}), &["process.user"]),
        ("/hooks", json!({"poststop": [{"path": "relative"}]}), &["relative"]),
    ] {
        bundle.config = original.clone();
        bundle.config["process"]["terminal"] = false.into();
        bundle.args(&["true"]).set(pointer, value);
        bundle.run("b").and_then(|output| output.complains(words)).with_context(|| pointer.to_owned())?;
    }
    // A hostname needs a namespace of its own.
    bundle.config = original;
    bundle
        .args(&["true"])
        .set("/hostname", json!("x"))
        .set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}]));
    bundle.run("b")?.complains(&["hostname"])?;
    bundle.call(&["list", "-q"])?.ok()?.prints("")?;
    Ok(())
}

fn clean_failure(bed: &mut Bed) -> Result<()> {
    let before = crate::harness::Leftovers::look()?;
    let mut bundle = bundle(bed)?;
    bundle.args(&["/nope"]);
    bundle.run("f")?.complains(&["/nope"])?;
    bundle.args(&["true"]).push("/mounts", json!({"destination": "/x", "type": "nonsensefs", "source": "x"}));
    bundle.run("f")?.complains(&["nonsensefs"])?;
    bundle.call(&["list", "-q"])?.ok()?.prints("")?;
    let left = before.compare_beside_daemon(&crate::harness::Leftovers::look()?);
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
