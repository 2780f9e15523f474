//! The command line as podman, containerd and dockerd use it: options, outputs, and the log they read.
//!
//! What cannot run here fails; what needs a controller that a host may lack is ignored, which the summary counts:
//! `cargo test -- --include-ignored` in the test machine runs it.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bundle::Bundle;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

fn bundle(script: &str) -> Bundle {
    // What is left behind comes to this process, so that it can be reaped: an exec that nobody reaps keeps the first
    // process of its container from ending, and not every first process of a pid namespace reaps.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    Bundle::new(script)
}

fn running(script: &str) -> Bundle {
    let bundle = bundle(script);
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    bundle
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The last line of a log, as go-runc and podman read it.
fn last_error(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap();
    let entry = json(text.lines().last().unwrap());
    assert_eq!(entry["level"], "error", "{text}");
    let time = entry["time"].as_str().unwrap();
    assert!(time.len() >= 20 && time.contains('T') && time.ends_with('Z'), "{time}");
    entry["msg"].as_str().unwrap().to_owned()
}

#[test]
fn the_log_says_what_callers_look_for() {
    let bundle = running("sleep 100");
    let log = bundle.outside("log");
    let logged = |arguments: &[&str]| {
        let mut words = vec!["--log", log.to_str().unwrap(), "--log-format", "json"];
        words.extend(arguments);
        let said = bundle.runtime(&words);
        assert_ne!(said.code, 0, "{arguments:?}");
        let message = last_error(&log);
        assert!(said.err.contains(&message), "{said:?}");
        (said.code, message)
    };
    let check = |arguments: &[&str], code: i32, words: &str| {
        let (was, message) = logged(arguments);
        assert!(was == code && message.contains(words), "{arguments:?}: {was}, {message}");
    };
    check(&["start", "ID"], 1, "cannot start an already running container");
    check(&["delete", "ID"], 1, "that is not stopped");
    check(&["resume", "ID"], 1, "container not paused");
    check(&["kill", "ID", "SIGNOPE"], 1, "unknown signal \"SIGNOPE\"");
    check(&["exec", "ID", "nope"], 255, "executable file not found in $PATH");
    check(&["exec", "ID", "/etc"], 255, "permission denied");
    check(&["exec", "ID"], 255, "process args cannot be empty");
    check(&["exec", "--cgroup", "nope", "ID", "true"], 255, "no such file or directory");
    check(&["nope"], 1, "`nope` is no command");
    check(&["list", "--format", "xml"], 1, "invalid format option");
    assert_eq!(bundle.runtime(&["pause", "ID"]).code, 0);
    check(&["exec", "ID", "true"], 255, "cannot exec in a paused container");
    check(&["pause", "ID"], 1, "container not running");
    assert_eq!(bundle.runtime(&["resume", "ID"]).code, 0);
    assert_eq!(bundle.runtime(&["kill", "ID", "9"]).code, 0);
    bundle.wait_for("stopped");
    check(&["kill", "ID", "9"], 1, "container not running");
    check(&["start", "ID"], 1, "cannot start a container that has stopped");
    check(&["exec", "ID", "true"], 255, "cannot exec in a stopped container");
    check(&["pause", "ID"], 1, "container not running");
    check(&["update", "--pids-limit", "5", "ID"], 1, "container not running");
    check(&["events", "ID"], 1, "is not running");
    assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
    for command in ["state", "start", "kill", "delete", "pause", "resume", "ps", "update", "events"] {
        check(&[command, "ID"], 1, "container does not exist");
    }
    check(&["exec", "ID", "true"], 255, "container does not exist");
    check(&["state", "../x"], 1, "invalid container ID format");
    assert_eq!(bundle.runtime(&["delete", "--force", "ID"]).code, 0);
    // Without a file, the format is that of standard error.
    let said = bundle.runtime(&["--log-format=json", "state", "ID"]);
    assert_eq!(json(&said.err)["level"], "error");
}

/// The outputs have the keys runc's have, with the same kinds of values.
#[test]
fn outputs_are_as_those_of_runc() {
    let bundle = running("sleep 100");
    let runc = Command::new("runc").arg("features").output().expect("this test compares with runc");
    let of_runc = json(&String::from_utf8(runc.stdout).unwrap());
    let features = json(&bundle.runtime(&["features"]).out);
    for (key, value) in of_runc.as_object().unwrap() {
        assert_eq!(std::mem::discriminant(value), std::mem::discriminant(&features[key]), "{key}");
    }
    let missing = |path: &str| {
        let list = |of: &Value| of.pointer(path).and_then(Value::as_array).cloned().unwrap();
        let known = list(&features);
        list(&of_runc).into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>()
    };
    assert!(missing("/hooks").is_empty());
    assert!(missing("/linux/namespaces").is_empty());
    assert!(missing("/linux/capabilities").is_empty());
    assert!(missing("/linux/seccomp/actions").is_empty());
    assert!(missing("/linux/seccomp/operators").is_empty());
    // Words of mount(8) for the file system, which ross hands on to it.
    let of_file_systems = ["acl", "dirsync", "iversion", "lazytime", "mand", "noacl", "silent", "sync"];
    assert_eq!(missing("/mountOptions"), of_file_systems.map(|word| json!(word)));

    let state = json(&bundle.runtime(&["state", "ID"]).out);
    for key in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"] {
        assert!(!state[key].is_null(), "{key}: {state}");
    }
    let list = json(&bundle.runtime(&["list", "--format=json"]).out);
    assert_eq!((&list[0]["owner"], &list[0]["status"]), (&json!("root"), &json!("running")));
    assert!(bundle.runtime(&["list"]).out.contains("root"));
    assert_eq!(bundle.runtime(&["list", "--quiet"]).out.trim(), bundle.id);
    let version = bundle.runtime(&["--version"]).out;
    assert!(version.starts_with("ross-runtime version ") && version.contains("\nspec: 1."), "{version}");
}

#[test]
fn processes_of_a_container() {
    let bundle = running("sleep 101 & sleep 102; true");
    let mut pids = vec![];
    while pids.len() < 3 {
        pids = json(&bundle.runtime(&["ps", "--format", "json", "ID"]).out).as_array().unwrap().clone();
    }
    assert!(pids.contains(&json!(bundle.pid())), "{pids:?}");
    // By ps of the host, which needs the pid namespace and the /proc this test runs in.
    let table = bundle.runtime(&["ps", "ID"]).out;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("UID") && table.contains("sleep 101"), "{table}");
    let table = bundle.runtime(&["ps", "-f", "table", "ID", "-e", "-o", "pid,args"]).out;
    assert!(table.lines().count() == 4 && table.trim_start().starts_with("PID COMMAND"), "{table}");
    let wrong = bundle.runtime(&["ps", "ID", "-o", "args"]);
    assert!(wrong.code == 1 && wrong.err.contains("PID field"), "{wrong:?}");
    let wrong = bundle.runtime(&["ps", "ID", "--nonsense"]);
    assert!(wrong.code == 1 && wrong.err.contains("ps: exit status"), "{wrong:?}");
}

#[test]
fn signals_by_number_and_name() {
    for signal in ["10", "USR1", "SIGUSR1", "usr1"] {
        let bundle = running(
            "trap 'echo got > /tmp/got; exit' USR1; echo ready > /tmp/ready; while :; do sleep 1; done",
        );
        bundle.wait_for_file("tmp/ready");
        assert_eq!(bundle.runtime(&["kill", "ID", signal]).code, 0, "{signal}");
        bundle.wait_for("stopped");
        assert!(bundle.rootfs().join("tmp/got").exists(), "{signal}");
    }
}

/// Where the pid namespace is not the container's own, the kernel ends only who is killed.
#[test]
fn killing_reaches_all_without_a_pid_namespace() {
    for arguments in [&["kill", "ID", "KILL"][..], &["kill", "--all", "ID", "9"]] {
        let mut bundle = bundle("sleep 100 & echo $! > /tmp/child; sleep 100");
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "pid");
        assert_eq!(bundle.detached(&["run", "--detach"]), 0);
        bundle.wait_for_file("tmp/child");
        assert_eq!(bundle.runtime(arguments).code, 0);
        bundle.wait_for("stopped");
        while !json(&bundle.runtime(&["ps", "-f", "json", "ID"]).out).as_array().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn what_an_aborted_create_left_goes() {
    let bundle = bundle("true");
    let left = bundle.outside("state").join(&bundle.id);
    for (arguments, code) in [(&["delete", "ID"][..], 1), (&["delete", "--force", "ID"], 0)] {
        std::fs::create_dir_all(&left).unwrap();
        let said = bundle.runtime(arguments);
        assert_eq!((said.code, left.exists()), (code, false), "{said:?}");
    }
    assert_eq!(bundle.detached(&["create"]), 0);
}

/// Waits for a program that was left behind.
fn reap(pid: i64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
}

#[test]
fn exec_options() {
    let bundle = running("sleep 100");
    let exec = |options: &[&str], script: &str| {
        let mut words = vec!["exec"];
        words.extend(options);
        words.extend(["ID", "sh", "-c", script]);
        bundle.runtime(&words)
    };
    let status = exec(&["--no-new-privs", "-g", "5", "--additional-gids", "6"], "cat /proc/self/status").out;
    assert!(status.contains("NoNewPrivs:\t1\n") && status.contains("Groups:\t5 6 \n"), "{status}");
    assert_eq!(exec(&["--env", "A=1", "-e", "B=2", "--cwd", "/proc"], "echo $A$B; pwd").out, "12\n/proc\n");

    // A cgroup below the container's; `/` is its own.
    assert_eq!(exec(&["--cgroup", "/"], "cat /proc/self/cgroup").out.lines().last(), Some("0::/"));
    let cgroup = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(|root| std::path::Path::new(root).join("ross").join(&bundle.id))
        .into_iter()
        .find(|path| path.exists())
        .unwrap();
    std::fs::create_dir_all(cgroup.join("below/deeper")).unwrap();
    let said = exec(&["--cgroup", ":below/deeper"], "cat /proc/self/cgroup");
    assert_eq!(said.out.lines().last(), Some("0::/below/deeper"), "{said:?}");
    let out = exec(&["--cgroup", "../.."], "true");
    assert!(out.code == 255 && out.err.contains("is not a name"), "{out:?}");

    // Detached, with a file that appears with the process id in it.
    let file = bundle.outside("pid");
    let options = ["exec", "--detach", "--pid-file", file.to_str().unwrap(), "ID", "sleep", "200"];
    assert_eq!(bundle.runtime_detached(&options), 0);
    let pid: i64 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(json(&bundle.runtime(&["ps", "-f", "json", "ID"]).out).as_array().unwrap().contains(&json!(pid)));
    let program = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(program, rustix::process::Signal::KILL).unwrap();
    reap(pid);

    // A process of a file, as conmon and the shim of containerd give it.
    let file = bundle.outside("process.json");
    let process = json!({"args": ["sh", "-c", "echo $HOME; id -u"], "cwd": "/", "env": ["PATH=/bin", "HOME=/h"],
        "user": {"uid": 3, "gid": 4}});
    std::fs::write(&file, process.to_string()).unwrap();
    assert_eq!(bundle.runtime(&["exec", "--process", file.to_str().unwrap(), "ID"]).out, "/h\n3\n");
}

#[test]
fn exec_in_a_paused_container_waits() {
    let bundle = running("sleep 100");
    assert_eq!(bundle.runtime(&["pause", "ID"]).code, 0);
    let mut exec = bundle.spawn(&["exec", "--ignore-paused", "ID", "echo", "done"]);
    // It is in, and does not go on.
    loop {
        let pids = json(&bundle.runtime(&["ps", "-f", "json", "ID"]).out);
        if pids.as_array().unwrap().len() == 2 {
            break;
        }
        assert_eq!(exec.try_wait().unwrap(), None);
    }
    assert_eq!(bundle.status(), "paused");
    assert_eq!(bundle.runtime(&["resume", "ID"]).code, 0);
    let mut out = String::new();
    exec.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((exec.wait().unwrap().code(), out.as_str()), (Some(0), "done\n"));
}

/// Takes the descriptor and the name that come over a socket.
fn received(listener: &UnixListener) -> (String, OwnedFd) {
    let (socket, _) = listener.accept().unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    let mut parts = [rustix::io::IoSliceMut::new(&mut name)];
    let count = recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (String::from_utf8_lossy(&name[..count]).into_owned(), fd.unwrap())
}

#[test]
fn sockets_get_their_descriptors() {
    let mut bundle = bundle("tty; sleep 100");
    bundle.config["process"]["terminal"] = json!(true);
    let (console, pidfd) = (bundle.outside("console"), bundle.outside("pidfd"));
    let (on_console, on_pidfd) = (UnixListener::bind(&console).unwrap(), UnixListener::bind(&pidfd).unwrap());
    let sockets = ["--console-socket", console.to_str().unwrap(), "--pidfd-socket", pidfd.to_str().unwrap()];
    let pid_of = |fd: &OwnedFd| {
        let info = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(fd));
        let text = std::fs::read_to_string(info).unwrap();
        text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse::<i64>().ok()).unwrap()
    };
    assert_eq!(bundle.detached(&[&["create"][..], &sockets].concat()), 0);
    let (name, master) = received(&on_console);
    assert_eq!(name, "/dev/ptmx");
    assert_eq!(pid_of(&received(&on_pidfd).1), bundle.pid());
    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
    let mut line = String::new();
    BufReader::new(std::fs::File::from(master)).read_line(&mut line).unwrap();
    assert_eq!(line, "/dev/pts/0\r\n");

    let options = [&["exec", "--tty", "--detach"][..], &sockets, &["ID", "tty"]].concat();
    assert_eq!(bundle.runtime(&options).code, 0);
    let (_, master) = received(&on_console);
    let program = pid_of(&received(&on_pidfd).1);
    let mut line = String::new();
    BufReader::new(std::fs::File::from(master)).read_line(&mut line).unwrap();
    assert_eq!(line, "/dev/pts/1\r\n");
    reap(program);
    // Nobody listens: nothing is left of the container, nor of an exec.
    drop(on_pidfd);
    let processes = || json(&bundle.runtime(&["ps", "-f", "json", "ID"]).out).as_array().unwrap().len();
    let before = processes();
    assert_eq!(bundle.runtime_detached(&options), 255);
    assert_eq!(processes(), before);
    let pid_file = ["exec", "--pid-file", "/nonexistent/pid", "ID", "sleep", "300"];
    assert_eq!(bundle.runtime_detached(&pid_file), 255);
    assert_eq!(processes(), before);
    assert_eq!(bundle.runtime(&["delete", "--force", "ID"]).code, 0);
    assert_eq!(bundle.detached(&[&["create"][..], &sockets].concat()), 1);
    bundle.assert_gone();
}

/// A run in the foreground hands its pidfd over, too, and keeps the container when it is to.
#[test]
fn run_keeps_and_hands_over() {
    let bundle = bundle("exit 3");
    bundle.write_config();
    let pidfd = bundle.outside("pidfd");
    let listener = UnixListener::bind(&pidfd).unwrap();
    let said = bundle.run_with(&["--keep", "--pidfd-socket", pidfd.to_str().unwrap()]);
    assert_eq!(said.code, 3, "{said:?}");
    let (name, fd) = received(&listener);
    assert_eq!(name, "pidfd");
    let info = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    assert!(std::fs::read_to_string(info).unwrap().contains("\nPid:\t-1\n"), "it was reaped");
    assert_eq!(bundle.status(), "stopped");
    assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
    bundle.assert_gone();
}

/// What a program without a pid namespace leaves behind comes to the runtime, which reaps it.
#[test]
fn run_reaps_what_is_left_behind() {
    for (options, comes) in [(&["run"][..], true), (&["run", "--no-subreaper"], false)] {
        let script = "(sleep 100 & echo $! > /tmp/left); touch /tmp/ready; \
                      while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 5";
        let mut bundle = bundle(script);
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "pid");
        bundle.write_config();
        let dir = bundle.outside("");
        let mut run = bundle.spawn(&[options, &["--bundle", dir.to_str().unwrap(), "ID"]].concat());
        bundle.wait_for_file("tmp/ready");
        let left: i32 =
            std::fs::read_to_string(bundle.rootfs().join("tmp/left")).unwrap().trim().parse().unwrap();
        let parent = || {
            let status = std::fs::read_to_string(format!("/proc/{left}/status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("PPid:\t")?.parse::<u32>().ok())
        };
        // The shell between has ended: the one that waited for it made the file.
        assert_eq!(parent(), Some(if comes { run.id() } else { std::process::id() }));
        let pid = rustix::process::Pid::from_raw(left).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        if comes {
            let deadline = Instant::now() + Duration::from_secs(10);
            while parent().is_some() {
                assert!(Instant::now() < deadline, "it is not reaped");
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            reap(i64::from(left));
        }
        assert_eq!(run.try_wait().unwrap(), None, "it goes on");
        std::fs::write(bundle.rootfs().join("tmp/go"), "").unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(5));
    }
}

/// Descriptors beyond the standard three, for create and exec.
#[test]
fn preserved_descriptors() {
    let bundle = bundle("cat <&3; sleep 100");
    bundle.write_config();
    std::fs::write(bundle.outside("file"), "content\n").unwrap();
    let with_file = |arguments: &str| {
        let script = format!("exec {} 3< {} ", arguments, bundle.outside("file").display());
        Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap()
    };
    let runtime =
        format!("{} --root {}", env!("CARGO_BIN_EXE_ross-runtime"), bundle.outside("state").display());
    let path = bundle.outside("");
    let create = with_file(&format!(
        "unshare --mount --propagation private {runtime} run --detach --preserve-fds 1 -b {} {} > {} 2>&1",
        path.display(),
        bundle.id,
        bundle.outside("out").display()
    ));
    assert!(create.status.success(), "{create:?}");
    let exec = with_file(&format!("{runtime} exec --preserve-fds 1 {} sh -c 'cat <&3'", bundle.id));
    assert_eq!(String::from_utf8_lossy(&exec.stdout), "content\n", "{exec:?}");
    let refused = with_file(&format!("{runtime} exec --preserve-fds 90 {} true", bundle.id));
    assert!(refused.status.code() == Some(255), "{refused:?}");
    while std::fs::read_to_string(bundle.outside("out")).unwrap() != "content\n" {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn updates_what_every_host_has() {
    let bundle = running("sleep 100");
    let update = |json: &str| {
        let file = bundle.outside("resources.json");
        std::fs::write(&file, json).unwrap();
        bundle.runtime(&["update", "--resources", file.to_str().unwrap(), "ID"])
    };
    let unified = update(r#"{"unified":{"cgroup.max.depth":"7"}}"#);
    assert_eq!(unified.code, 0, "{unified:?}");
    let depth = bundle.runtime(&["exec", "ID", "cat", "/sys/fs/cgroup/cgroup.max.depth"]);
    assert_eq!(depth.out, "7\n", "{depth:?}");
    let stdin =
        bundle.runtime_with_input(&["update", "-r", "-", "ID"], r#"{"unified":{"cgroup.max.depth":"9"}}"#);
    assert_eq!(stdin.code, 0, "{stdin:?}");
    assert_eq!(bundle.runtime(&["exec", "ID", "cat", "/sys/fs/cgroup/cgroup.max.depth"]).out, "9\n");
    for (json, words) in [("{", "EOF"), (r#"{"memory":{"limit":"x"}}"#, "memory.limit")] {
        let wrong = update(json);
        assert!(wrong.code == 1 && wrong.err.contains(words), "{wrong:?}");
    }
    assert!(bundle.runtime(&["update", "-r", "/nonexistent", "ID"]).err.contains("No such file"));
    let rdt = bundle.runtime(&["update", "--l3-cache-schema", "L3:0=f", "ID"]);
    assert!(rdt.code == 1 && rdt.err.contains("l3 cache schema is not enabled"), "{rdt:?}");
    // Nothing to do is done.
    assert_eq!(bundle.runtime(&["update", "--kernel-memory", "1", "ID"]).code, 0);
}

#[test]
#[ignore = "needs cpu, memory and pids in cgroup v2, as in the test machine"]
fn updates_limits_by_options() {
    let bundle = running("sleep 100");
    let file = |name: &str| {
        bundle.runtime(&["exec", "ID", "cat", &format!("/sys/fs/cgroup/{name}")]).out.trim().to_owned()
    };
    let options = [
        "update",
        "--memory",
        "64M",
        "--memory-swap",
        "96M",
        "--memory-reservation",
        "32M",
        "--cpu-share",
        "512",
        "--cpu-quota",
        "20000",
        "--cpu-period",
        "50000",
        "--pids-limit",
        "20",
        "ID",
    ];
    let said = bundle.runtime(&options);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!((file("memory.max"), file("memory.low")), ("67108864".into(), "33554432".into()));
    assert_eq!((file("memory.swap.max"), file("pids.max")), ("33554432".into(), "20".into()));
    assert_eq!((file("cpu.max"), file("cpu.weight")), ("20000 50000".into(), "59".into()));
    // One of two keeps the other.
    let said = bundle.runtime(&["update", "--cpu-period", "100000", "--memory", "80M", "ID"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!((file("cpu.max"), file("memory.max")), ("20000 100000".into(), "83886080".into()));
    assert_eq!(file("memory.swap.max"), "16777216");
    let said = bundle.runtime(&["update", "--memory", "-1", "ID"]);
    assert_eq!((said.code, file("memory.max"), file("memory.swap.max")), (0, "max".into(), "max".into()));
}

#[test]
fn events_tell_what_is_used() {
    let bundle = running("sleep 100");
    let said = bundle.runtime(&["events", "--stats", "ID"]);
    let event = json(&said.out);
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(bundle.id)));
    let data = &event["data"];
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{data}");
    for path in ["/cpu/throttling/periods", "/memory/usage/limit", "/memory/swap/usage", "/memory/raw"] {
        assert!(data.pointer(path).is_some(), "{path}: {data}");
    }
    for path in ["/pids/current", "/blkio/ioServiceBytesRecursive", "/hugetlb"] {
        assert!(data.pointer(path).is_some(), "{path}: {data}");
    }
    // One line after another, until the container has ended.
    let mut events = bundle.spawn(&["events", "--interval", "10ms", "ID"]);
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        assert_eq!(json(&lines.next().unwrap().unwrap())["type"], "stats");
    }
    assert_eq!(bundle.runtime(&["kill", "ID", "KILL"]).code, 0);
    assert!(lines.all(|line| json(&line.unwrap())["type"] == "stats"));
    assert_eq!(events.wait().unwrap().code(), Some(0));
}

#[test]
#[ignore = "needs memory in cgroup v2, as in the test machine"]
fn events_tell_when_memory_ran_out() {
    let mut bundle =
        bundle("while [ ! -e /tmp/go ]; do sleep 0.1; done; head -c 64m /dev/zero | tail -c 64m; sleep 100");
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 16 << 20, "swap": 16 << 20});
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let mut events = bundle.spawn(&["events", "--interval", "100ms", "ID"]);
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines().map(|line| json(&line.unwrap()));
    // Whoever prints statistics watches already.
    assert_eq!(lines.next().unwrap()["type"], "stats");
    std::fs::write(bundle.rootfs().join("tmp/go"), "").unwrap();
    assert_eq!(lines.find(|line| line["type"] != "stats").unwrap(), json!({"type": "oom", "id": bundle.id}));
    assert_eq!(bundle.runtime(&["kill", "ID", "KILL"]).code, 0);
    lines.for_each(drop);
    assert_eq!(events.wait().unwrap().code(), Some(0));
}

#[test]
fn specs_are_written_once_and_run() {
    for rootless in [false, true] {
        let mut bundle = bundle("");
        let path = bundle.outside("spec");
        std::fs::create_dir(&path).unwrap();
        let mut words = vec!["spec", "--bundle", path.to_str().unwrap()];
        if rootless {
            words.push("--rootless");
        }
        assert_eq!(bundle.runtime(&words).code, 0);
        assert_eq!(bundle.runtime(&words).code, 1, "it is there");
        bundle.config = json(&std::fs::read_to_string(path.join("config.json")).unwrap());
        bundle.config["process"]["terminal"] = json!(false);
        bundle.config["process"]["args"] =
            json!(["sh", "-c", "cat /proc/self/uid_map; ls /sys/class >/dev/null"]);
        let said = bundle.run();
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let whole = said.out.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
        assert_eq!(whole, !rootless, "{said:?}");
    }
}
