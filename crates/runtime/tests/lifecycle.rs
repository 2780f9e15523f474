//! The commands of a container's life, and their errors, through the command line.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::time::{Duration, Instant};

use bundle::Bundle;
use serde_json::{Value, json};

#[test]
fn run_tells_the_exit_code() {
    for (script, code) in [("true", 0), ("exit 7", 7), ("kill -9 $$; sleep 9", 137)] {
        let mut bundle = Bundle::new(script);
        // The first process of a pid namespace cannot kill itself.
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
        let said = bundle.run();
        assert_eq!(said.code, code, "{script}: {said:?}");
        bundle.assert_gone();
    }
}

#[test]
fn create_start_kill_delete() {
    let bundle = Bundle::new("echo started > /tmp/x; sleep 100");
    assert_eq!(bundle.detached(&["create"]), 0);
    assert_eq!(bundle.status(), "created");
    assert!(!bundle.rootfs().join("tmp/x").exists());
    assert_eq!(bundle.detached(&["create"]), 1, "the name is taken");
    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
    bundle.wait_for("running");
    let again = bundle.runtime(&["start", "ID"]);
    assert!(again.code == 1 && again.err.contains("is running"), "{again:?}");
    let kept = bundle.runtime(&["delete", "ID"]);
    assert!(kept.code == 1 && kept.err.contains("is running"), "{kept:?}");
    assert_eq!(bundle.runtime(&["kill", "ID", "KILL"]).code, 0);
    bundle.wait_for("stopped");
    assert_eq!(bundle.runtime(&["kill", "ID", "TERM"]).code, 1);
    assert_eq!(bundle.runtime(&["kill", "--all", "ID", "TERM"]).code, 0);
    assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
    bundle.assert_gone();
    assert!(bundle.rootfs().join("tmp/x").exists());
    let gone = bundle.runtime(&["state", "ID"]);
    assert!(gone.err.contains("does not exist"), "{gone:?}");
}

#[test]
fn deletes_what_was_never_started() {
    let bundle = Bundle::new("true");
    assert_eq!(bundle.detached(&["create"]), 0);
    assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
}

#[test]
fn lists() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.runtime(&["list", "-q"]).out, "");
    assert_eq!(bundle.detached(&["run", "-d"]), 0);
    assert_eq!(bundle.runtime(&["list", "-q"]).out.trim(), bundle.id);
    let list: Value = serde_json::from_str(&bundle.runtime(&["list", "-f", "json"]).out).unwrap();
    assert_eq!(list[0]["status"], "running");
    assert!(bundle.runtime(&["list"]).out.starts_with("ID "));
    assert!(bundle.runtime(&["ps", "ID"]).out.contains("sleep 100"));
}

#[test]
fn program_that_cannot_run() {
    for (args, message) in [
        (json!(["/bin/nope"]), "exec /bin/nope: no such file or directory"),
        (json!(["nope"]), "exec nope: executable file not found in $PATH"),
        (json!(["/etc"]), "exec /etc: permission denied"),
        (json!(["/bin/text"]), "exec /bin/text: exec format error"),
        (
            json!(["script"]),
            "exec script: no such file or directory: the interpreter that it names is not in",
        ),
    ] {
        let mut bundle = Bundle::new("");
        for (name, content) in [("text", "text"), ("script", "#!/bin/nope\n")] {
            let text = bundle.rootfs().join("bin").join(name);
            std::fs::copy("/bin/busybox", &text).unwrap();
            std::fs::write(&text, content).unwrap();
        }
        bundle.config["process"]["args"] = args;
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains(message), "{said:?}");
        bundle.assert_gone();
        bundle.write_config();
        if !message.contains("format") && !message.contains("interpreter") {
            assert_eq!(bundle.detached(&["create"]), 1, "{message}");
            bundle.assert_gone();
        }
    }
}

#[test]
fn exec_has_its_cpus() {
    let mut bundle = Bundle::new("sleep 100");
    // Of the first process it is not said to be for.
    bundle.config["process"]["execCPUAffinity"] = json!({"initial": "4-5000"});
    assert!(bundle.run().err.contains("process.execCPUAffinity.initial: `4-5000` is no list of CPUs"));
    bundle.config["process"]["execCPUAffinity"] = json!({"final": "1023"});
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let said = bundle.runtime(&["exec", "ID", "true"]);
    assert!(said.code == 255 && said.err.contains("execCPUAffinity.final"), "{said:?}");
    let process = bundle.outside("process.json");
    let mut exec = |affinity: Value| {
        bundle.config["process"]["args"] = json!(["grep", "Cpus_allowed_list", "/proc/self/status"]);
        bundle.config["process"]["execCPUAffinity"] = affinity;
        std::fs::write(&process, bundle.config["process"].to_string()).unwrap();
        bundle.runtime(&["exec", "--process", process.to_str().unwrap(), "ID"]).out
    };
    assert_eq!(exec(json!({"initial": "0", "final": "0"})), "Cpus_allowed_list:\t0\n");
    assert_eq!(exec(json!({"final": "0"})), "Cpus_allowed_list:\t0\n");
}

/// A runtime that is kept to one CPU (by the unit it is started in, say) does not keep its containers there.
#[test]
fn cpus_are_those_of_the_cgroup() {
    let mut bundle = Bundle::new("");
    let show = "grep Cpus_allowed_list /proc/self/status";
    bundle.config["process"]["args"] = json!(["sh", "-c", format!("{show}; sleep 100")]);
    bundle.write_config();
    let output = |script: &str| {
        let said = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    // Of a process that asks for more CPUs than there can be.
    let all = output(&format!("taskset -c 0-8191 {show}"));
    let first = output(&format!("taskset -c 0 {show}"));
    assert_ne!(all, first, "this test needs more than one CPU");
    let runtime = format!(
        "unshare --mount --propagation private taskset -c 0 {} --root {}",
        env!("CARGO_BIN_EXE_ross-runtime"),
        bundle.outside("state").display()
    );
    let out = bundle.outside("out");
    let run = format!("{runtime} run -d -b {} {}", bundle.outside("").display(), bundle.id);
    assert_eq!(output(&format!("{run} > {} 2>&1; echo $?", out.display())), "0\n");
    let exec = output(&format!("{runtime} exec {} {show}", bundle.id));
    assert_eq!(exec, all, "an exec");
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::read_to_string(&out).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it says nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(std::fs::read_to_string(&out).unwrap(), all, "the first process");
    // An initial affinity alone is one for the time of the clone.
    let process = bundle.outside("process.json");
    bundle.config["process"]["args"] = json!(show.split(' ').collect::<Vec<_>>());
    bundle.config["process"]["execCPUAffinity"] = json!({"initial": "0"});
    std::fs::write(&process, bundle.config["process"].to_string()).unwrap();
    assert_eq!(bundle.runtime(&["exec", "--process", process.to_str().unwrap(), "ID"]).out, all);
}

#[test]
fn exec_joins() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "-d"]), 0);
    let exec = |arguments: &[&str]| {
        let mut words = vec!["exec"];
        words.extend(arguments);
        bundle.runtime(&words)
    };
    assert_eq!(exec(&["ID", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(exec(&["ID", "nope"]).code, 255);
    let said = exec(&[
        "-u",
        "7:8",
        "-g",
        "9",
        "-e",
        "A=b",
        "--cwd",
        "/tmp",
        "ID",
        "sh",
        "-c",
        "id; pwd; echo $A; umask",
    ]);
    assert_eq!(said.out, "uid=7 gid=8 groups=9\n/tmp\nb\n0022\n", "{said:?}");
    let pids = exec(&["ID", "sh", "-c", "ps; cat /proc/self/cgroup"]);
    assert!(pids.out.contains("sleep 100") && pids.out.contains("0::/\n"), "{pids:?}");
    for kind in ["mnt", "net", "ipc", "uts", "pid", "cgroup"] {
        let inside = exec(&["ID", "readlink", &format!("/proc/self/ns/{kind}")]).out;
        let of_container = std::fs::read_link(format!("/proc/{}/ns/{kind}", bundle.pid())).unwrap();
        assert_eq!(inside.trim(), of_container.to_str().unwrap());
    }
    // It has the container's seccomp filter.
    let status = exec(&["ID", "cat", "/proc/self/status"]).out;
    assert!(status.contains("Seccomp:\t2\n"), "{status}");
    assert_eq!(bundle.runtime(&["pause", "ID"]).code, 0);
    assert_eq!(bundle.status(), "paused");
    assert!(exec(&["ID", "true"]).err.contains("is paused"));
    assert_eq!(bundle.runtime(&["resume", "ID"]).code, 0);
    assert_eq!(exec(&["ID", "true"]).code, 0);
    // A paused container can be forced away.
    assert_eq!(bundle.runtime(&["pause", "ID"]).code, 0);
    assert_eq!(bundle.runtime(&["delete", "-f", "ID"]).code, 0);
    bundle.assert_gone();
}

#[test]
fn hooks_run_in_order_with_the_state() {
    let mut bundle = Bundle::new("echo program");
    let log = bundle.outside("hooks");
    let hook = |name: &str| {
        let script = format!("echo {name} >> {0}; cat >> {0}; echo >> {0}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
    };
    let mut hooks = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "id -u; cat"]}]});
    for name in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        hooks[name] = hook(name);
    }
    bundle.config["hooks"] = hooks;
    bundle.config["annotations"] = json!({"a": "b"});
    let said = bundle.run();
    assert!(said.code == 0 && said.out.starts_with("0\n{") && said.out.ends_with("program\n"), "{said:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let order = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    assert_eq!(lines.iter().step_by(2).copied().collect::<Vec<_>>(), order);
    for (line, status) in
        lines[1..].iter().step_by(2).zip(["creating", "creating", "creating", "running", "stopped"])
    {
        let state: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (state["id"].as_str(), state["status"].as_str()),
            (Some(bundle.id.as_str()), Some(status))
        );
        assert_eq!(state["annotations"]["a"], "b");
        assert_eq!(state["pid"] == 0, status == "stopped", "{line}");
    }
}

#[test]
fn failing_hooks_undo_everything() {
    for (kind, hook, reason) in [
        ("createRuntime", json!({"path": "/bin/false"}), "exit code 1"),
        ("createRuntime", json!({"path": "/nope"}), "cannot be executed"),
        ("createRuntime", json!({"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}), "timed out"),
        ("createContainer", json!({"path": "/bin/false"}), "exit code 1"),
        ("startContainer", json!({"path": "/bin/false"}), "exit code 1"),
        ("poststart", json!({"path": "/bin/false"}), "exit code 1"),
    ] {
        let mut bundle = Bundle::new("sleep 60");
        bundle.config["hooks"] = json!({kind: [hook]});
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains(kind) && said.err.contains(reason), "{kind}: {said:?}");
        bundle.assert_gone();
    }
    let mut bundle = Bundle::new("sleep 60");
    bundle.config["hooks"] = json!({"poststart": [{"path": "/bin/false"}]});
    assert_eq!(bundle.detached(&["create"]), 0);
    assert!(bundle.runtime(&["start", "ID"]).err.contains("poststart"));
    bundle.wait_for("stopped");
}

#[test]
fn failures_leave_nothing() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("mount none on /x (type nofs): make the file system: no such device", |c| {
            c["mounts"]
                .as_array_mut()
                .unwrap()
                .push(json!({"destination": "/x", "type": "nofs", "source": "none"}));
        }),
        ("mounts[7].source", |c| {
            let bind = json!({"destination": "/x", "source": "/nope/nope", "options": ["bind"]});
            c["mounts"].as_array_mut().unwrap().push(bind);
        }),
        ("root.path", |c| c["root"]["path"] = json!("nope")),
        ("linux.namespaces", |c| c["linux"]["namespaces"][0]["path"] = json!("/etc/hostname")),
        ("linux.sysctl.net.nope", |c| c["linux"]["sysctl"] = json!({"net.nope": "1"})),
        ("process.user.uid", |c| c["process"]["user"]["uid"] = json!("root")),
        ("linux.intelRdt: no resctrl file system is mounted", |c| {
            c["linux"]["intelRdt"] = json!({"closID": "x"})
        }),
    ];
    for (message, change) in cases {
        let mut bundle = Bundle::new("true");
        change(&mut bundle.config);
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains(message), "{message}: {said:?}");
        bundle.assert_gone();
    }
}

#[test]
fn log_file_has_the_error_as_json() {
    let bundle = Bundle::new("true");
    let log = bundle.outside("log");
    bundle.runtime(&["--log", log.to_str().unwrap(), "--log-format", "json", "state", "ID"]);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("does not exist"));
}
