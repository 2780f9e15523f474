//! State, create, start, kill, delete, and every wrong order of them. runtime.md.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::stage::Stage;

pub fn cases() -> Vec<Case> {
    let steps = |name, section, steps: fn(&mut Stage) -> Result<()>| case(name, section).steps(steps);
    vec![
        steps("state/created", "runtime.md#state", created),
        steps("state/running", "runtime.md#state", running),
        steps("state/stopped", "runtime.md#state", stopped),
        steps("state/stopped-by-itself", "runtime.md#state", stopped_by_itself),
        steps("state/annotations", "runtime.md#state", annotations),
        steps("state/unknown-id", "runtime.md#query-state", |stage| fails(stage, &["state", "nobody"])),
        steps("state/without-an-id", "runtime.md#query-state", |stage| fails(stage, &["state"])),
        steps("create/does-not-run-the-program", "runtime.md#create", does_not_run),
        steps("create/twice", "runtime.md#create", create_twice),
        steps("create/without-an-id", "runtime.md#create", |stage| fails(stage, &["create"])),
        steps("create/id-that-is-a-path", "runtime.md#create", path_as_id),
        steps("create/pid-file", "runc: --pid-file", pid_file),
        steps("create/later-changes-of-config-do-not-count", "runtime.md#lifecycle", later_changes),
        steps("create/id-can-be-used-again", "runtime.md#delete", again),
        steps("start/runs-the-program", "runtime.md#start", starts),
        steps("start/twice", "runtime.md#start", start_twice),
        steps("start/stopped", "runtime.md#start", start_stopped),
        steps("start/unknown-id", "runtime.md#start", |stage| fails(stage, &["start", "nobody"])),
        steps("start/without-an-id", "runtime.md#start", |stage| fails(stage, &["start"])),
        steps("start/without-a-process", "runtime.md#start", without_process),
        steps("kill/sends-the-signal", "runtime.md#kill", sends),
        steps("kill/by-number", "runtime.md#kill", by_number),
        steps("kill/created", "runtime.md#kill", kill_created),
        steps("kill/stopped", "runtime.md#kill", kill_stopped),
        steps("kill/unknown-id", "runtime.md#kill", |stage| fails(stage, &["kill", "nobody", "KILL"])),
        steps("kill/unknown-signal", "runtime.md#kill", unknown_signal),
        steps("kill/without-an-id", "runtime.md#kill", |stage| fails(stage, &["kill"])),
        steps("delete/running", "runtime.md#delete", delete_running),
        steps("delete/created-as-runc-does", "runc: delete of what was never started", delete_created),
        steps("delete/force", "runc: delete --force", force),
        steps("delete/twice", "runtime.md#delete", delete_twice),
        steps("delete/unknown-id", "runtime.md#delete", |stage| fails(stage, &["delete", "nobody"])),
        steps("delete/without-an-id", "runtime.md#delete", |stage| fails(stage, &["delete"])),
        steps("delete/leaves-the-bundle", "runtime.md#delete", leaves_the_bundle),
        steps("run/hands-on-the-exit-code", "runc: run", exit_code),
        steps("run/hands-on-the-signal", "runc: run", exit_by_signal),
        steps("list/names-the-containers", "runc: list", list),
    ]
}

fn fails(stage: &mut Stage, args: &[&str]) -> Result<()> {
    let output = stage.call(args)?;
    ensure!(output.code > 0, "`{}` ended with {}", output.command, output.code);
    Ok(())
}

fn check_state(stage: &Stage, status: &str) -> Result<Value> {
    let state = stage.state()?;
    ensure!(state["status"] == status, "the status is {}, expected {status}", state["status"]);
    ensure!(state["id"] == stage.id.as_str(), "the id is {}", state["id"]);
    ensure!(
        state["bundle"] == stage.bundle.dir.to_string_lossy().as_ref(),
        "the bundle is {}",
        state["bundle"]
    );
    let version = state["ociVersion"].as_str().context("ociVersion")?;
    ensure!(version.split('.').count() >= 3 && version.starts_with("1."), "ociVersion is {version}");
    Ok(state)
}

fn created(stage: &mut Stage) -> Result<()> {
    stage.words(&["wait"]);
    stage.create()?.ok()?;
    let pid = check_state(stage, "created")?["pid"].as_i64().context("pid")?;
    ensure!(fs::exists(format!("/proc/{pid}"))?, "there is no process {pid}");
    Ok(())
}

fn running(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let pid = check_state(stage, "running")?["pid"].as_i64().context("pid")?;
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(comm.trim() == "busybox", "process {pid} is {comm}");
    Ok(())
}

fn stopped(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["kill", "ID", "KILL"])?.ok()?;
    stage.becomes("stopped")?;
    check_state(stage, "stopped").map(drop)
}

fn stopped_by_itself(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log"]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    stage.becomes("stopped")?;
    check_state(stage, "stopped").map(drop)
}

fn annotations(stage: &mut Stage) -> Result<()> {
    let annotations = json!({"org.example.one": "1", "org.example.empty": ""});
    stage.bundle.set("/annotations", annotations.clone());
    stage.words(&["wait"]);
    stage.create()?.ok()?;
    let state = stage.state()?;
    ensure!(state["annotations"] == annotations, "{}", state["annotations"]);
    Ok(())
}

fn does_not_run(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log"]);
    stage.create()?.ok()?;
    ensure!(stage.log()?.is_empty(), "the program ran before start");
    stage.start()?.ok()?;
    stage.log_has(1).map(drop)
}

fn create_twice(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let before = stage.state()?["pid"].clone();
    stage.create()?.complains(&[])?;
    let after = check_state(stage, "running")?;
    ensure!(after["pid"] == before, "the first one has changed");
    Ok(())
}

fn path_as_id(stage: &mut Stage) -> Result<()> {
    stage.words(&[]);
    for id in ["../escaped", "a/b", "..", "."] {
        let output = stage.call(&["create", id])?;
        ensure!(output.code > 0, "`create {id}` ended with {}", output.code);
    }
    Ok(())
}

fn pid_file(stage: &mut Stage) -> Result<()> {
    let file = stage.bundle.dir.join("pid");
    stage.words(&["wait"]);
    stage.call(&["create", "--pid-file", &file.to_string_lossy(), "ID"])?.ok()?;
    let pid: i64 = fs::read_to_string(file)?.trim().parse()?;
    ensure!(pid == stage.pid()?, "the file says {pid}, the state {}", stage.pid()?);
    Ok(())
}

fn later_changes(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log", "as-created"]);
    stage.create()?.ok()?;
    stage.words(&["append=/out/log", "changed"]);
    stage.start()?.ok()?;
    let log = stage.log_has(1)?;
    ensure!(log[0]["argv"][2] == "as-created", "{}", log[0]["argv"]);
    Ok(())
}

fn again(stage: &mut Stage) -> Result<()> {
    for _ in 0..2 {
        stage.words(&["append=/out/log"]);
        stage.create()?.ok()?;
        stage.start()?.ok()?;
        stage.becomes("stopped")?;
        stage.call(&["delete", "ID"])?.ok()?;
    }
    stage.log_has(2).map(drop)
}

fn starts(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log", "wait"]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    stage.log_has(1)?;
    check_state(stage, "running").map(drop)
}

fn start_twice(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.start()?.complains(&[])?;
    check_state(stage, "running").map(drop)
}

fn start_stopped(stage: &mut Stage) -> Result<()> {
    stopped_by_itself(stage)?;
    stage.start()?.complains(&[])?;
    check_state(stage, "stopped")?;
    ensure!(stage.log()?.len() == 1, "the program ran again");
    Ok(())
}

/// Without a process there is nothing to start: an error of create or of start.
fn without_process(stage: &mut Stage) -> Result<()> {
    stage.remove("/process")?;
    if stage.create()?.code == 0 {
        stage.start()?.complains(&[])?;
    }
    Ok(())
}

/// A shell that ends with 42 when it gets the signal.
fn trap(stage: &mut Stage, signal: &str) -> Result<()> {
    let script = format!(
        "trap 'echo got > /out/got; exit 42' {signal}; echo > /out/ready; while :; do sleep 0.02; done"
    );
    stage.bundle.args(&["/bin/busybox", "sh", "-c", &script]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    let ready = stage.bundle.dir.join("said/ready");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !fs::exists(&ready)? {
        ensure!(std::time::Instant::now() < deadline, "the shell is not ready");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

fn got(stage: &Stage) -> Result<()> {
    stage.becomes("stopped")?;
    ensure!(fs::exists(stage.bundle.dir.join("said/got"))?, "the signal has not come");
    Ok(())
}

fn sends(stage: &mut Stage) -> Result<()> {
    trap(stage, "USR1")?;
    stage.call(&["kill", "ID", "SIGUSR1"])?.ok()?;
    got(stage)
}

fn by_number(stage: &mut Stage) -> Result<()> {
    trap(stage, "TERM")?;
    stage.call(&["kill", "ID", "15"])?.ok()?;
    got(stage)
}

fn kill_created(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log"]);
    stage.create()?.ok()?;
    stage.call(&["kill", "ID", "KILL"])?.ok()?;
    stage.becomes("stopped")?;
    ensure!(stage.log()?.is_empty(), "the program ran");
    Ok(())
}

fn kill_stopped(stage: &mut Stage) -> Result<()> {
    stopped_by_itself(stage)?;
    stage.call(&["kill", "ID", "TERM"])?.complains(&[])?;
    check_state(stage, "stopped").map(drop)
}

fn unknown_signal(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    fails(stage, &["kill", "ID", "OFTOMORROW"])?;
    check_state(stage, "running").map(drop)
}

fn delete_running(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["delete", "ID"])?.complains(&[])?;
    check_state(stage, "running").map(drop)
}

/// The specification has it fail; the callers of runc rely on it.
fn delete_created(stage: &mut Stage) -> Result<()> {
    stage.words(&["append=/out/log"]);
    stage.create()?.ok()?;
    stage.call(&["delete", "ID"])?.ok()?;
    stage.is_gone()?;
    ensure!(stage.log()?.is_empty(), "the program ran");
    Ok(())
}

fn force(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    let pid = stage.pid()?;
    stage.call(&["delete", "--force", "ID"])?.ok()?;
    stage.is_gone()?;
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ensure!(comm.trim() != "busybox" || state.contains(") Z "), "process {pid} still runs");
    Ok(())
}

fn delete_twice(stage: &mut Stage) -> Result<()> {
    stopped_by_itself(stage)?;
    stage.call(&["delete", "ID"])?.ok()?;
    fails(stage, &["delete", "ID"])?;
    stage.is_gone()
}

fn leaves_the_bundle(stage: &mut Stage) -> Result<()> {
    stopped_by_itself(stage)?;
    stage.call(&["delete", "ID"])?.ok()?;
    for path in ["config.json", "rootfs/bin/probe", "said/log"] {
        ensure!(fs::exists(stage.bundle.dir.join(path))?, "{path} went with the container");
    }
    Ok(())
}

fn exit_code(stage: &mut Stage) -> Result<()> {
    stage.words(&["exit=37"]);
    stage.run()?.exits(37)?;
    stage.is_gone()
}

fn exit_by_signal(stage: &mut Stage) -> Result<()> {
    // The first process of a pid namespace cannot kill itself.
    stage.bundle.args(&["/bin/busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]);
    stage.run()?.exits(137).map(drop)
}

fn list(stage: &mut Stage) -> Result<()> {
    stage.sleeps()?;
    stage.call(&["list", "-q"])?.ok()?.prints(&stage.id)?;
    let listed = stage.call(&["list", "-f", "json"])?.ok()?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    ensure!(listed[0]["id"] == stage.id.as_str() && listed[0]["status"] == "running", "{listed}");
    Ok(())
}
