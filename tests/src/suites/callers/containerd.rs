//! containerd asked by ctr: its shim for runc with another `runc`.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::harness::{Bed, PATIENCE};

use super::caller::{Caller, IMAGE, PROGRAM};

pub fn life(bed: &mut Bed) -> Result<()> {
    let mut caller = Caller::new(bed, "ctr")?;
    caller.containerd()?;
    let socket = caller.path("containerd.sock");
    caller.options(&["--address", &socket]);
    let archive = caller.archive()?;
    caller.call(&["image", "import", &archive])?.ok()?;
    steps(&caller).with_context(|| caller.log_tail())
}

fn steps(caller: &Caller) -> Result<()> {
    let runtime = ["--runc-binary", &caller.runtime];
    let group = format!("{}/short", caller.corner.containers());
    let short = ["--cgroup", &group, IMAGE, "short", "sh", "-c", "echo out; exit 3"];
    caller.call(&[&["run", "--rm"], &runtime[..], &short].concat())?.exits(3)?.prints("out")?;
    let group = format!("{}/tty", caller.corner.containers());
    let shell = ["--tty", "--cgroup", &group, IMAGE, "tty", "sh"];
    caller.shell(&[&["run", "--rm"], &runtime[..], &shell].concat()).context("run --tty")?;

    let group = format!("{}/life", caller.corner.containers());
    let log = format!("file://{}", caller.path("life.log"));
    let limits = ["--memory-limit", "67108864", "--cpus", "0.5", "--cgroup", &group, "--seccomp"];
    let program = ["--log-uri", &log, IMAGE, "life", "sh", "-c", PROGRAM];
    caller.call(&[&["run", "--detach"], &runtime[..], &limits, &program].concat())?.ok()?;
    logged(caller, "ready", 1)?;
    // ctr's containers do not see their cgroup.
    let file = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup{group}/{name}"));
    let limits = (file("memory.max")?, file("cpu.max")?);
    ensure!(limits.0.trim() == "67108864" && limits.1.trim() == "50000 100000", "the limits are {limits:?}");
    exec(caller, "output", &["echo", "inside"])?.ok()?.prints("inside")?;
    exec(caller, "code", &["sh", "-c", "exit 4"])?.exits(4)?;
    exec(caller, "nothing", &["/nope"])?.complains(&["no such file or directory"])?;
    caller.shell(&["task", "exec", "--tty", "--exec-id", "tty", "life", "sh"]).context("exec --tty")?;

    caller.call(&["task", "ps", "life"])?.ok()?.says("PID")?;
    caller.call(&["task", "metrics", "life"])?.ok()?.says("memory")?;
    caller.call(&["task", "pause", "life"])?.ok()?;
    caller.call(&["task", "ls"])?.ok()?.says("PAUSED")?;
    caller.call(&["task", "resume", "life"])?.ok()?;
    caller.call(&["task", "ls"])?.ok()?.says("RUNNING")?;
    caller.call(&["task", "kill", "--signal", "SIGUSR1", "life"])?.ok()?;
    logged(caller, "poked", 1)?;
    caller.call(&["task", "kill", "--signal", "SIGTERM", "life"])?.ok()?;
    logged(caller, "bye", 1)?;
    caller.await_answer(&["task", "ls"], "STOPPED", 1)?;
    ended_with(caller, 7)?;

    // The container is still there: its task starts anew.
    caller.call(&["task", "start", "--detach", "--log-uri", &log, "life"])?.ok()?;
    logged(caller, "ready", 2)?;
    caller.call(&["task", "kill", "--signal", "SIGKILL", "life"])?.ok()?;
    caller.await_answer(&["task", "ls"], "STOPPED", 1)?;
    ended_with(caller, 137)?;
    caller.call(&["container", "delete", "life"])?.ok()?;
    caller.call(&["container", "ls", "--quiet"])?.ok()?.prints("")?;
    Ok(())
}

/// Deletes the task, and learns its exit code by that.
fn ended_with(caller: &Caller, code: i32) -> Result<()> {
    let answer = caller.call(&["task", "delete", "life"])?.ok()?;
    ensure!(answer.stderr.contains(&format!("exit code {code}")), "ctr says `{}`", answer.stderr.trim());
    Ok(())
}

fn exec(caller: &Caller, id: &str, program: &[&str]) -> Result<crate::harness::Output> {
    caller.call(&[&["task", "exec", "--exec-id", id, "life"], program].concat())
}

/// Waits until the program has said `text` `times` times.
fn logged(caller: &Caller, text: &str, times: usize) -> Result<()> {
    let path = caller.path("life.log");
    let deadline = Instant::now() + PATIENCE;
    while fs::read_to_string(&path).unwrap_or_default().matches(text).count() < times {
        ensure!(Instant::now() < deadline, "the program does not say `{text}` {times} times");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}
