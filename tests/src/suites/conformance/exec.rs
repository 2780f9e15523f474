//! Further processes in a container: runc's `exec`, whose process is the `process` of config.md.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, at, case};
use super::stage::Stage;

const SECTION: &str = "runc: exec";

pub fn cases() -> Vec<Case> {
    let steps = |name, steps: fn(&mut Stage) -> Result<()>| case(name, SECTION).steps(steps);
    vec![
        steps("exec/process", process),
        steps("exec/is-where-the-first-process-is", place),
        steps("exec/no-capability-is-inheritable", inheritable),
        steps("exec/seccomp", seccomp),
        steps("exec/hands-on-the-exit-code", exit_code),
        steps("exec/in-a-user-namespace", user_namespace),
        steps("exec/no-descriptor-leaks", descriptors),
        steps("exec/created", created),
        steps("exec/stopped", stopped),
        steps("exec/unknown-id", |stage| {
            stage.words(&[]);
            let output = stage.call(&["exec", "nobody", "/bin/probe"])?;
            ensure!(output.code > 0, "exec ended with {}", output.code);
            Ok(())
        }),
        steps("exec/no-such-program", |stage| {
            stage.sleeps()?;
            let output = stage.call(&["exec", "ID", "/no/such/program"])?;
            ensure!(output.code > 0, "exec ended with {}", output.code);
            Ok(())
        }),
        case("exec/cpu-affinity", "config.md#linux-process").since("1.2").steps(affinity),
    ]
}

/// The report of the probe as another process, with these changes of the container's own `process`.
fn exec(stage: &Stage, changes: &Value) -> Result<Value> {
    let mut process = stage.bundle.config["process"].clone();
    process["args"] = json!(["/bin/probe"]);
    for (key, value) in changes.as_object().into_iter().flatten() {
        process[key.as_str()] = value.clone();
    }
    let file = stage.bundle.dir.join("process.json");
    fs::write(&file, process.to_string())?;
    let output = stage.call(&["exec", "--process", &file.to_string_lossy(), "ID"])?.ok()?;
    Stage::report(&output.stdout)
}

fn check(report: &Value, path: &[&str], expected: &Value) -> Result<()> {
    let seen = at(report, path);
    ensure!(seen == expected, "{} is {seen}, expected {expected}", path.join("."));
    Ok(())
}

fn process(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let report = exec(
        stage,
        &json!({"user": {"uid": 7, "gid": 8, "additionalGids": [9], "umask": 0o77}, "cwd": "/etc",
            "env": ["A=b"], "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}],
            "noNewPrivileges": true, "oomScoreAdj": 300}),
    )?;
    check(&report, &["ids", "uid"], &json!([7, 7, 7, 7]))?;
    check(&report, &["ids", "gid"], &json!([8, 8, 8, 8]))?;
    check(&report, &["ids", "groups"], &json!([9]))?;
    check(&report, &["umask"], &json!(0o77))?;
    check(&report, &["cwd"], &json!("/etc"))?;
    check(&report, &["env", "A"], &json!("b"))?;
    check(&report, &["rlimits", "RLIMIT_NOFILE"], &json!([50, 60]))?;
    check(&report, &["no_new_privs"], &json!(1))?;
    check(&report, &["oom_score_adj"], &json!(300))
}

fn place(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let report = exec(stage, &json!({}))?;
    let pid = stage.pid()?;
    for name in ["pid", "net", "mnt", "ipc", "uts", "user", "cgroup"] {
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{name}"))?;
        check(&report, &["namespaces", name], &json!(theirs.to_string_lossy()))?;
    }
    check(&report, &["cgroup"], &json!("/"))
}

/// CVE-2022-29162.
fn inheritable(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let report = exec(stage, &json!({}))?;
    check(&report, &["capabilities", "inheritable"], &json!([]))?;
    check(&report, &["capabilities", "ambient"], &json!([]))?;
    check(&report, &["capabilities", "bounding"], &json!(super::config::DEFAULT_CAPABILITIES))
}

fn seccomp(stage: &mut Stage) -> Result<()> {
    stage.bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}),
    );
    stage.sleeps()?;
    let report = exec(stage, &json!({"args": ["/bin/probe", "call=mkdir"]}))?;
    check(&report, &["seccomp"], &json!(2))?;
    check(&report, &["asked", "call=mkdir", "errno"], &json!(95))
}

fn exit_code(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["exec", "ID", "/bin/probe", "exit=41"])?.exits(41).map(drop)
}

fn user_namespace(stage: &mut Stage) -> Result<()> {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    stage.bundle.push("/linux/namespaces", json!({"type": "user"}));
    stage.bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    stage.sleeps()?;
    let report = exec(stage, &json!({"user": {"uid": 5, "gid": 6}}))?;
    check(&report, &["ids", "uid"], &json!([5, 5, 5, 5]))?;
    check(&report, &["uid_map"], &json!([0, 100_000, 65536]))
}

/// CVE-2024-21626.
fn descriptors(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let report = exec(stage, &json!({}))?;
    let open = report["descriptors"].as_object().map_or(0, serde_json::Map::len);
    ensure!(open == 3, "{}", report["descriptors"]);
    Ok(())
}

fn created(stage: &mut Stage) -> Result<()> {
    stage.words(&["wait"]);
    stage.create()?.ok()?;
    exec(stage, &json!({})).map(drop)
}

fn stopped(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["kill", "ID", "KILL"])?.ok()?;
    stage.becomes("stopped")?;
    let output = stage.call(&["exec", "ID", "/bin/probe"])?;
    ensure!(output.code > 0, "exec ended with {}", output.code);
    Ok(())
}

fn affinity(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let report = exec(stage, &json!({"execCPUAffinity": {"initial": "0", "final": "0"}}))?;
    check(&report, &["affinity"], &json!("0"))
}
