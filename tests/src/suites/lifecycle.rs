//! From create to remove: states, signals, waits, logs, exec, and a daemon that is killed in between.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::harness::{Bed, Case, Need};

pub const CASES: &[Case] = &[
    Case { name: "lifecycle/create-start-stop-remove", needs: &[], run: states },
    Case { name: "lifecycle/stop-and-kill", needs: &[], run: stop_and_kill },
    Case { name: "lifecycle/kill-has-ended-it", needs: &[], run: kill_has_ended_it },
    Case { name: "lifecycle/wait", needs: &[], run: wait },
    Case { name: "lifecycle/restart-pause-rename", needs: &[], run: restart_pause_rename },
    Case { name: "lifecycle/logs", needs: &[], run: logs },
    Case { name: "lifecycle/logs-follow", needs: &[], run: logs_follow },
    Case { name: "lifecycle/exec", needs: &[], run: exec },
    Case { name: "lifecycle/attach", needs: &[], run: attach },
    Case { name: "lifecycle/list-and-inspect", needs: &[], run: list },
    Case { name: "lifecycle/restart-policy", needs: &[], run: restart_policy },
    Case { name: "lifecycle/stats", needs: &[], run: stats },
    Case { name: "lifecycle/stats-follow-new-containers", needs: &[], run: stats_follow },
    Case { name: "lifecycle/survives-kill-9-of-the-daemon", needs: &[], run: survives },
    Case { name: "lifecycle/exit-while-the-daemon-is-dead", needs: &[], run: exit_unseen },
    Case { name: "lifecycle/daemon-restart-keeps-serving", needs: &[], run: terminate },
];

fn states(bed: &mut Bed) -> Result<()> {
    let name = bed.name("states");
    let state = |bed: &mut Bed| -> Result<String> {
        let out = bed.ross(&["ps", "-a", "--format", "json", "--filter", &format!("name={name}")])?.ok()?;
        let list: serde_json::Value = serde_json::from_str(&out.stdout)?;
        Ok(list[0]["state"].as_str().unwrap_or("none").to_owned())
    };
    bed.ross(&["create", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    ensure!(state(bed)? == "created");
    bed.ross(&["start", &name])?.ok()?;
    ensure!(state(bed)? == "running");
    // Starting what runs and stopping what does not are no errors.
    bed.ross(&["start", &name])?.ok()?;
    bed.ross(&["rm", &name])?.complains(&[&name, "running"])?;
    bed.ross(&["stop", "-t", "0", &name])?.ok()?;
    ensure!(state(bed)? == "exited");
    bed.ross(&["stop", &name])?.ok()?;
    bed.ross(&["start", &name])?.ok()?;
    ensure!(state(bed)? == "running");
    bed.ross(&["rm", "-f", &name])?.ok()?;
    bed.ross(&["start", &name])?.complains(&[&name])?;
    Ok(())
}

fn stop_and_kill(bed: &mut Bed) -> Result<()> {
    let name = bed.name("signal");
    let trap = "trap 'echo caught; exit 5' USR1 TERM; echo ready; while true; do sleep 0.05; done";
    let start = |bed: &mut Bed, extra: &[&str]| -> Result<()> {
        let args = [&["run", "-d", "--name", &name], extra, &["busybox", "sh", "-c", trap]].concat();
        bed.ross(&args)?.ok()?;
        until(bed, &["logs", &name], "ready")
    };
    start(bed, &[])?;
    bed.ross(&["stop", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("5")?;
    bed.ross(&["rm", &name])?.ok()?;
    start(bed, &["--stop-signal", "USR1"])?;
    bed.ross(&["stop", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("5")?;
    bed.ross(&["kill", &name])?.complains(&[&name, "not running"])?;
    bed.ross(&["rm", &name])?.ok()?;
    start(bed, &[])?;
    bed.ross(&["kill", "-s", "USR1", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("5")?;
    bed.ross(&["rm", &name])?.ok()?;
    // One that ignores its stop signal is killed when the time is up.
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["stop", "-t", "1", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("137")?;
    bed.ross(&["kill", "-s", "NONSENSE", &name])?.complains(&["NONSENSE"])?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn kill_has_ended_it(bed: &mut Bed) -> Result<()> {
    let name = bed.name("killed");
    let sleep = ["--name", &name, "busybox", "sleep", "1000"];
    for extra in [&[][..], &["--restart", "always"]] {
        for _ in 0..3 {
            bed.ross(&[&["run", "-d"], extra, &sleep].concat())?.ok()?;
            // A start finds nothing that still runs, and is not lost in the end of what was killed.
            bed.ross(&["kill", &name])?.ok()?;
            bed.ross(&["start", &name])?.ok()?;
            bed.ross(&["exec", &name, "true"])?.ok()?;
            // Neither does a removal; frozen or not, and whatever its restart policy.
            bed.ross(&["pause", &name])?.ok()?;
            bed.ross(&["kill", "-s", "9", &name])?.ok()?;
            bed.ross(&["rm", &name])?.ok()?;
        }
    }
    // One that goes when it ends is gone: its name is free.
    for _ in 0..3 {
        bed.ross(&[&["run", "-d", "--rm"], &sleep[..]].concat())?.ok()?;
        bed.ross(&["kill", &name])?.ok()?;
    }
    bed.ross(&["inspect", &name])?.complains(&[&name])?;
    // Other signals are sent and no more.
    bed.ross(&[&["run", "-d"], &sleep[..]].concat())?.ok()?;
    bed.ross(&["kill", "-s", "USR1", &name])?.ok()?;
    bed.ross(&["exec", &name, "true"])?.ok()?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn wait(bed: &mut Bed) -> Result<()> {
    let name = bed.name("wait");
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sh", "-c", "read x; exit 9"])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("9")?;
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sh", "-c", "sleep 0.3; exit 9"])?.ok()?;
    let waiters: Vec<_> =
        (0..3).map(|_| bed.daemon().map(|d| d.command(&["wait", &name]))).collect::<Result<_>>()?;
    let children: Vec<_> = waiters
        .into_iter()
        .map(|mut command| command.stdout(std::process::Stdio::piped()).spawn())
        .collect::<std::io::Result<_>>()?;
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.stdout == b"9\n", "a waiter got {:?}", String::from_utf8_lossy(&output.stdout));
    }
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["wait", "no-such-container"])?.complains(&["no-such-container"])?;
    Ok(())
}

fn restart_pause_rename(bed: &mut Bed) -> Result<()> {
    let name = bed.name("again");
    let pid = |bed: &mut Bed, name: &str| -> Result<i64> {
        let out = bed.ross(&["inspect", name])?.ok()?;
        let list: serde_json::Value = serde_json::from_str(&out.stdout)?;
        Ok(list[0]["state"]["pid"].as_i64().unwrap_or(0))
    };
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    let first = pid(bed, &name)?;
    bed.ross(&["restart", "-t", "0", &name])?.ok()?;
    let second = pid(bed, &name)?;
    ensure!(first > 0 && second > 0 && first != second, "restart left pid {first} as {second}");
    bed.ross(&["pause", &name])?.ok()?;
    bed.ross(&["ps", "--filter", &format!("name={name}")])?.ok()?.says("Paused")?;
    bed.ross(&["exec", &name, "true"])?.complains(&["paused"])?;
    bed.ross(&["unpause", &name])?.ok()?;
    bed.ross(&["exec", &name, "true"])?.ok()?;
    let other = bed.name("other");
    bed.ross(&["rename", &name, &other])?.ok()?;
    bed.ross(&["inspect", &name])?.complains(&[&name])?;
    ensure!(pid(bed, &other)? == second, "renaming disturbed the container");
    // KILL ends frozen processes by itself: the thaw that follows may find nothing, and that is no error.
    bed.ross(&["pause", &other])?.ok()?;
    bed.ross(&["rm", "-f", &other])?.ok()?;
    // One that goes when it ends stays when it is restarted.
    bed.ross(&["run", "-d", "--rm", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    let first = pid(bed, &name)?;
    bed.ross(&["restart", "-t", "0", &name])?.ok()?;
    ensure!(pid(bed, &name)? != first, "it was not restarted");
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn logs(bed: &mut Bed) -> Result<()> {
    let name = bed.name("logs");
    let script = "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; printf unfinished";
    bed.ross(&["run", "--name", &name, "busybox", "sh", "-c", script])?.ok()?;
    let all = bed.ross(&["logs", &name])?.ok()?;
    ensure!(all.stdout == "line 1\nline 2\nline 3\nline 4\nline 5\nunfinished", "stdout: {:?}", all.stdout);
    ensure!(all.stderr == "oops\n", "stderr: {:?}", all.stderr);
    bed.ross(&["logs", "--tail", "0", &name])?.ok()?.prints("")?;
    let tail = bed.ross(&["logs", "-n", "3", &name])?.ok()?;
    ensure!(tail.stdout.lines().count() + tail.stderr.lines().count() == 3, "{tail:?}");
    let stamped = bed.ross(&["logs", "-t", &name])?.ok()?;
    ensure!(
        stamped.stdout.lines().all(|line| line.contains("T") && line.contains("Z ")),
        "{:?}",
        stamped.stdout
    );
    bed.ross(&["logs", "--since", "1h", &name])?.ok()?.says("line 1")?;
    bed.ross(&["logs", "--until", "1h", &name])?.ok()?.prints("")?;
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["logs", &name])?.complains(&[&name])?;
    Ok(())
}

fn logs_follow(bed: &mut Bed) -> Result<()> {
    let name = bed.name("follow");
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.05; done";
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script])?.ok()?;
    // Ends by itself when the container does, with everything.
    bed.ross(&["logs", "-f", &name])?.ok()?.prints("1\n2\n3\n4\n5\n6\n7\n8\n9\n10")?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn exec(bed: &mut Bed) -> Result<()> {
    let name = bed.name("exec");
    let id = bed.ross(&["run", "-d", "--name", &name, "-e", "A=1", "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["exec", &name, "echo", "in"])?.ok()?.prints("in")?;
    bed.ross(&["exec", &name, "hostname"])?.ok()?.prints(&id.text()[..12])?;
    bed.ross(&["exec", &name, "sh", "-c", "exit 3"])?.exits(3)?;
    bed.ross(&["exec", &name, "/nope"])?.exits(127)?;
    bed.ross(&["exec", &name, "/etc/passwd"])?.exits(126)?;
    let flags = [
        "exec",
        "-e",
        "B=2",
        "-w",
        "/tmp",
        "-u",
        "7:8",
        &name,
        "sh",
        "-c",
        "echo $A$B $(pwd) $(id -u):$(id -g)",
    ];
    bed.ross(&flags)?.ok()?.prints("12 /tmp 7:8")?;
    bed.daemon()?.ross_with_input(&["exec", "-i", &name, "cat"], b"through")?.ok()?.prints("through")?;
    bed.ross(&["exec", "-d", &name, "touch", "/done"])?.ok()?;
    until(bed, &["exec", &name, "ls", "/"], "done")?;
    // Same namespaces, same cgroup, same rights as the main process.
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let script = format!("test $(readlink /proc/self/ns/{kind}) = $(readlink /proc/1/ns/{kind})");
        bed.ross(&["exec", &name, "sh", "-c", &script])?.ok()?;
    }
    bed.ross(&["exec", &name, "sh", "-c", "test \"$(cat /proc/self/cgroup)\" = \"$(cat /proc/1/cgroup)\""])?
        .ok()?;
    bed.ross(&[
        "exec",
        &name,
        "sh",
        "-c",
        "test $(grep CapEff /proc/self/status | cut -f2) = $(grep CapEff /proc/1/status | cut -f2)",
    ])?
    .ok()?;
    bed.ross(&["exec", &name, "grep", "CapInh", "/proc/self/status"])?.ok()?.says("0000000000000000")?;
    bed.ross(&["exec", &name, "grep", "Seccomp:", "/proc/self/status"])?.ok()?.says("2")?;
    bed.ross(&["stop", "-t", "0", &name])?.ok()?;
    bed.ross(&["exec", &name, "true"])?.complains(&["not running"])?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn attach(bed: &mut Bed) -> Result<()> {
    let name = bed.name("attach");
    bed.ross(&["create", "-i", "--name", &name, "busybox", "sh", "-c", "read line; echo got $line; exit 4"])?
        .ok()?;
    bed.ross(&["start", &name])?.ok()?;
    bed.daemon()?.ross_with_input(&["attach", &name], b"this\n")?.exits(4)?.prints("got this")?;
    bed.ross(&["rm", &name])?.ok()?;
    let started = bed.name("start-attach");
    bed.ross(&["create", "--name", &started, "busybox", "sh", "-c", "echo first; exit 6"])?.ok()?;
    bed.ross(&["start", "-a", &started])?.exits(6)?.prints("first")?;
    bed.ross(&["rm", &started])?.ok()?;
    Ok(())
}

fn list(bed: &mut Bed) -> Result<()> {
    let (up, down) = (bed.name("up"), bed.name("down"));
    bed.ross(&["run", "-d", "--name", &up, "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["run", "--name", &down, "busybox", "sh", "-c", "exit 3"])?.exits(3)?;
    let running = bed.ross(&["ps"])?.ok()?;
    running.clone().says("CONTAINER ID")?.says("busybox")?.says(&up)?.says("Up ")?;
    ensure!(!running.stdout.contains(&down), "ps shows a container that does not run");
    bed.ross(&["ps", "-a"])?.ok()?.says(&down)?.says("Exited (3)")?;
    bed.ross(&["ps", "-a", "--filter", "exited=3", "--format", "json"])?.ok()?.says(&down)?;
    bed.ross(&["ps", "--filter", "nonsense=1"])?.complains(&["nonsense"])?;
    let inspect = bed.ross(&["inspect", &down])?.ok()?;
    let value: serde_json::Value = serde_json::from_str(&inspect.stdout)?;
    ensure!(value[0]["state"]["exit_code"] == 3, "inspect: {}", value[0]["state"]);
    let id = value[0]["id"].as_str().unwrap_or_default().to_owned();
    ensure!(id.len() == 64, "id `{id}`");
    bed.ross(&["inspect", &id[..8]])?.ok()?.says(&id)?;
    bed.ross(&["rm", "-f", &up, &down])?.ok()?;
    Ok(())
}

fn restart_policy(bed: &mut Bed) -> Result<()> {
    let name = bed.name("policy");
    bed.ross(&[
        "run",
        "-d",
        "--name",
        &name,
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo try; exit 1",
    ])?
    .ok()?;
    until(bed, &["ps", "-a", "--filter", &format!("name={name}")], "Exited (1)")?;
    bed.ross(&["logs", &name])?.ok()?.prints("try\ntry\ntry")?;
    bed.ross(&["rm", &name])?.ok()?;
    // A daemon that is killed while one waits for its next try goes on with it. By the fifth try the wait is longer than
    // a daemon needs to come back.
    let script = "echo try; exit 1";
    let args = ["run", "-d", "--name", &name, "--restart", "on-failure", "busybox", "sh", "-c", script];
    bed.ross(&args)?.ok()?;
    until(bed, &["logs", &name], &"try\n".repeat(5))?;
    until(bed, &["ps", "--filter", &format!("name={name}")], "Restarting (1)")?;
    bed.daemon()?.crash_and_restart()?;
    let tries = bed.ross(&["logs", &name])?.ok()?.stdout.matches("try\n").count();
    until(bed, &["logs", &name], &"try\n".repeat(tries + 1))?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn stats(bed: &mut Bed) -> Result<()> {
    let name = bed.name("stats");
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["stats", "--no-stream", &name])?.ok()?.says("CPU %")?.says(&name)?;
    let out = bed.ross(&["stats", "--no-stream", "--format", "json", &name])?.ok()?;
    let value: serde_json::Value = serde_json::from_str(&out.stdout)?;
    ensure!(value[0]["name"] == name.as_str(), "{value}");
    for (part, controller) in [("memory", "memory"), ("pids", "pids"), ("block_io", "io")] {
        let counted = Need::Controller(controller).missing().is_none();
        ensure!(value[0][part].is_object() == counted, "{part}, counted here: {counted}: {value}");
    }
    ensure!(value[0]["cpu"]["usage_ns"].as_u64().is_some_and(|used| used > 0), "no time used: {value}");
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn stats_follow(bed: &mut Bed) -> Result<()> {
    let stopped = bed.name("stopped");
    bed.ross(&["create", "--name", &stopped, "busybox", "true"])?.ok()?;
    let mut watch = bed.daemon()?.command(&["stats", "--all", "--format", "json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watch.stdout.take().context("no output")?).lines();
    let mut seen = |name: &str, running: bool| {
        // A sample a second, for a bounded time.
        let sample = lines.by_ref().take(60).map_while(Result::ok).find(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            value["name"] == name && (value["cpu"]["usage_ns"] != 0) == running
        });
        sample.with_context(|| format!("no sample of {name}, running: {running}"))
    };
    let late = bed.name("late");
    let result = seen(&stopped, false).and_then(|_| {
        bed.ross(&["run", "-d", "--name", &late, "busybox", "sleep", "1000"])?.ok()?;
        seen(&late, true)
    });
    watch.kill()?;
    watch.wait()?;
    result?;
    bed.ross(&["rm", "-f", &late, &stopped])?.ok()?;
    Ok(())
}

fn survives(bed: &mut Bed) -> Result<()> {
    let name = bed.name("survivor");
    let script = "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.05; done";
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script])?.ok()?;
    until(bed, &["logs", &name], "tick 3")?;
    let inspect = |bed: &mut Bed| -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&bed.ross(&["inspect", &name])?.ok()?.stdout)?)
    };
    let before = inspect(bed)?;
    bed.daemon()?.crash_and_restart()?;
    let after = inspect(bed)?;
    ensure!(
        before[0]["state"]["pid"] == after[0]["state"]["pid"],
        "the container did not live through kill -9"
    );
    ensure!(after[0]["state"]["status"] == "running", "state is {}", after[0]["state"]["status"]);
    bed.ross(&["exec", &name, "echo", "still here"])?.ok()?.prints("still here")?;
    until(bed, &["logs", &name], "tick 30")?;
    // No tick is lost while the daemon was dead.
    let logs = bed.ross(&["logs", &name])?.ok()?;
    for (index, line) in logs.stdout.lines().enumerate() {
        ensure!(line == format!("tick {}", index + 1), "line {index} of the log is `{line}`");
    }
    bed.ross(&["stop", "-t", "0", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?.prints("137")?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn exit_unseen(bed: &mut Bed) -> Result<()> {
    let (name, gone) = (bed.name("unseen"), bed.name("gone"));
    let dir = bed.folder("gate")?;
    let bind = format!("{}:/gate", dir.display());
    let script =
        "until test -e /gate/open; do sleep 0.02; done; echo last words; touch /gate/passed; exit 42";
    bed.ross(&["run", "-d", "--name", &name, "-v", &bind, "busybox", "sh", "-c", script])?.ok()?;
    bed.ross(&["run", "-d", "--rm", "--name", &gone, "-v", &bind, "busybox", "sh", "-c", script])?.ok()?;
    let daemon = bed.daemon()?;
    daemon.terminate()?;
    std::fs::write(dir.join("open"), "")?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !dir.join("passed").exists() {
        ensure!(Instant::now() < deadline, "the container did not run on without its daemon");
        std::thread::sleep(Duration::from_millis(5));
    }
    daemon.crash_and_restart()?;
    bed.ross(&["wait", &name])?.ok()?.prints("42")?;
    bed.ross(&["logs", &name])?.ok()?.prints("last words")?;
    bed.ross(&["rm", &name])?.ok()?;
    // The one with --rm goes by itself.
    until_not(bed, &["ps", "-a"], &gone)
}

fn terminate(bed: &mut Bed) -> Result<()> {
    let name = bed.name("upgrade");
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    bed.daemon()?.terminate()?;
    bed.daemon()?.crash_and_restart()?;
    bed.ross(&["exec", &name, "echo", "back"])?.ok()?.prints("back")?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

/// Repeats a command until its output has `text`, for at most a minute.
fn until(bed: &mut Bed, args: &[&str], text: &str) -> Result<()> {
    poll(bed, args, |stdout| stdout.contains(text), text)
}

fn until_not(bed: &mut Bed, args: &[&str], text: &str) -> Result<()> {
    poll(bed, args, |stdout| !stdout.contains(text), text)
}

fn poll(bed: &mut Bed, args: &[&str], done: impl Fn(&str) -> bool, text: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = bed.ross(args)?.ok()?;
        if done(&output.stdout) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "`{}`: waited a minute for `{text}`: {}",
            output.command,
            output.text()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
