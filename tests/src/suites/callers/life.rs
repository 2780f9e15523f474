//! The life of a container as podman and docker tell it, whose command lines are the same in this.

use anyhow::{Context, Result};

use super::caller::{Caller, IMAGE, PROGRAM};

const LIMITS: [&str; 3] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/cpu.max"];

/// Everything that is done to a container, with `options` for each that is made.
pub fn life(caller: &Caller, options: &[&str]) -> Result<()> {
    short(caller, options).context("run to the end")?;
    let limits = ["--memory", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5"];
    let program = ["--name", "life", IMAGE, "sh", "-c", PROGRAM];
    caller.call(&[&["run", "-d"], options, &limits, &program].concat())?.ok()?;
    caller.await_answer(&["logs", "life"], "ready", 1)?;
    limited(caller, "67108864\n50\n50000 100000")?;
    exec(caller).context("exec")?;
    freeze(caller).context("pause")?;
    caller.call(&["kill", "--signal", "USR1", "life"])?.ok()?;
    caller.await_answer(&["logs", "life"], "poked", 1)?;
    caller.call(&["update", "--memory", "96m", "--memory-swap", "96m", "life"])?.ok()?;
    limited(caller, "100663296\n50\n50000 100000")?;
    caller.call(&["top", "life"])?.ok()?.says("sleep")?;
    caller.call(&["restart", "-t", "90", "life"])?.ok()?;
    caller.await_answer(&["logs", "life"], "ready", 2)?;
    caller.call(&["logs", "life"])?.ok()?.says("bye")?;
    caller.call(&["stop", "-t", "90", "life"])?.ok()?;
    caller
        .call(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "life"])?
        .says("exited 7")?;
    caller.call(&["rm", "life"])?.ok()?;
    caller.call(&["ps", "-a", "-q"])?.ok()?.prints("")?;
    Ok(())
}

/// Output and exit codes of programs that end, or cannot be started, and a terminal.
fn short(caller: &Caller, options: &[&str]) -> Result<()> {
    let run = |program: &[&str]| {
        let before = [&["run", "--rm"], options, &[IMAGE]].concat();
        caller.call(&[&before, program].concat())
    };
    run(&["sh", "-c", "echo out; echo err >&2; exit 3"])?.exits(3)?.prints("out")?;
    // The caller learns from the runtime's message which of the two it is.
    run(&["/nope"])?.exits(127)?;
    run(&["/etc"])?.exits(126)?;
    caller.shell(&[&["run", "--rm", "-it"], options, &[IMAGE, "sh"]].concat())
}

/// The limits as the container itself sees them.
fn limited(caller: &Caller, expected: &str) -> Result<()> {
    caller.call(&[&["exec", "life", "cat"][..], &LIMITS].concat())?.ok()?.prints(expected)?;
    Ok(())
}

fn exec(caller: &Caller) -> Result<()> {
    let flags = ["exec", "--env", "A=b", "--workdir", "/tmp", "--user", "7:9", "life"];
    let program = ["sh", "-c", "echo $A $(pwd) $(id -u):$(id -g); exit 4"];
    caller.call(&[&flags[..], &program].concat())?.exits(4)?.prints("b /tmp 7:9")?;
    caller.call(&["exec", "life", "/nope"])?.complains(&[])?;
    caller.shell(&["exec", "-it", "life", "sh"])
}

fn freeze(caller: &Caller) -> Result<()> {
    let status = ["inspect", "--format", "{{.State.Status}}", "life"];
    caller.call(&["pause", "life"])?.ok()?;
    caller.call(&status)?.ok()?.prints("paused")?;
    caller.call(&["exec", "life", "true"])?.complains(&[])?;
    caller.call(&["unpause", "life"])?.ok()?;
    caller.call(&status)?.ok()?.prints("running")?;
    Ok(())
}
