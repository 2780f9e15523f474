//! The six kinds of hooks: when they run, where, with what, and what their failure does. config.md and runtime.md.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::stage::Stage;
use crate::harness::Output;

const SECTION: &str = "config.md#posix-platform-hooks";
const LIFECYCLE: &str = "runtime.md#lifecycle";

/// All kinds in the order of the lifecycle; the program runs before the fifth.
const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

pub fn cases() -> Vec<Case> {
    let steps = |name, section, steps: fn(&mut Stage) -> Result<()>| case(name, section).steps(steps);
    vec![
        steps("hooks/order", LIFECYCLE, order),
        steps("hooks/in-the-order-of-the-list", SECTION, listed),
        steps("hooks/state-on-stdin", SECTION, state),
        steps("hooks/arguments-and-environment", SECTION, environment),
        steps("hooks/namespaces", SECTION, namespaces),
        steps("hooks/create-container-before-the-root-changes", SECTION, before_pivot),
        steps("hooks/prestart-fails", LIFECYCLE, |stage| create_fails(stage, "prestart")),
        steps("hooks/create-runtime-fails", LIFECYCLE, |stage| create_fails(stage, "createRuntime")),
        steps("hooks/create-container-fails", LIFECYCLE, |stage| create_fails(stage, "createContainer")),
        steps("hooks/start-container-fails", LIFECYCLE, start_container_fails),
        steps("hooks/poststart-fails", LIFECYCLE, poststart_fails).since("1.3"),
        steps("hooks/poststop-fails", LIFECYCLE, |stage| poststop_fails(stage).map(drop)),
        steps("hooks/poststop-failure-is-told", "ross: an error of delete, once all is done", poststop_told),
        steps("hooks/poststop-of-a-failed-create", LIFECYCLE, poststop_of_failed),
        steps("hooks/timeout", SECTION, timeout),
        steps("hooks/no-such-program", SECTION, missing),
        case("hooks/path-relative", SECTION)
            .set("/hooks", json!({"createRuntime": [{"path": "bin/true"}]}))
            .refused(),
        case("hooks/timeout-of-nothing", SECTION)
            .set("/hooks", json!({"createRuntime": [{"path": "/bin/true", "timeout": 0}]}))
            .refused(),
    ]
}

/// A hook of this kind that appends its report to the log. startContainer runs in the container.
fn hook(stage: &Stage, kind: &str, words: &[&str]) -> Value {
    let (path, log) = if kind == "startContainer" {
        ("/bin/probe".to_owned(), "/out/log".to_owned())
    } else {
        (stage.probe(), stage.bundle.dir.join("said/log").to_string_lossy().into_owned())
    };
    let mut args = vec!["probe".to_owned(), kind.to_owned(), format!("append={log}")];
    args.extend(words.iter().map(|word| (*word).to_owned()));
    json!({"path": path, "args": args})
}

/// Hooks of all kinds, and a program that says it is one.
fn all(stage: &mut Stage, words: &[&str]) {
    for kind in KINDS {
        let hook = hook(stage, kind, words);
        stage.bundle.set(&format!("/hooks/{kind}"), json!([hook]));
    }
    stage.words(&["program", "append=/out/log"]);
}

/// From create to delete.
fn live(stage: &Stage) -> Result<Vec<Value>> {
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    stage.becomes("stopped")?;
    stage.call(&["delete", "ID"])?.ok()?;
    stage.log()
}

fn kinds(log: &[Value]) -> Vec<&str> {
    log.iter().filter_map(|report| report["argv"][1].as_str()).collect()
}

fn of<'a>(log: &'a [Value], kind: &str) -> Result<&'a Value> {
    log.iter().find(|report| report["argv"][1] == kind).with_context(|| format!("{kind} has not run"))
}

fn order(stage: &mut Stage) -> Result<()> {
    all(stage, &[]);
    stage.create()?.ok()?;
    let created = stage.log()?;
    ensure!(kinds(&created) == KINDS[..3], "create ran {:?}", kinds(&created));
    stage.start()?.ok()?;
    stage.becomes("stopped")?;
    let started = stage.log_has(6)?;
    let mut ran = kinds(&started);
    // poststart and the program run at the same time.
    ran[4..].sort_unstable();
    ensure!(ran[..4] == KINDS[..4] && ran[4..] == ["poststart", "program"], "start ran {ran:?}");
    stage.call(&["delete", "ID"])?.ok()?;
    let log = stage.log()?;
    ensure!(log.len() == 7 && log[6]["argv"][1] == "poststop", "delete ran {:?}", kinds(&log));
    Ok(())
}

fn listed(stage: &mut Stage) -> Result<()> {
    for kind in KINDS {
        let hooks: Vec<Value> = ["1", "2", "3"].iter().map(|word| hook(stage, kind, &[word])).collect();
        stage.bundle.set(&format!("/hooks/{kind}"), json!(hooks));
    }
    stage.words(&[]);
    let log = live(stage)?;
    for kind in KINDS {
        let ran: Vec<&Value> =
            log.iter().filter(|one| one["argv"][1] == kind).map(|one| &one["argv"][3]).collect();
        ensure!(ran == ["1", "2", "3"], "{kind}: {ran:?}");
    }
    Ok(())
}

fn state(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/annotations", json!({"org.example": "seen"}));
    all(stage, &["stdin"]);
    stage.create()?.ok()?;
    let pid = stage.pid()?;
    stage.start()?.ok()?;
    stage.becomes("stopped")?;
    stage.call(&["delete", "ID"])?.ok()?;
    let log = stage.log()?;
    // The specification does not say when creating becomes created.
    let making = &["creating", "created"][..];
    let statuses = [making, making, making, &["created"], &["running"], &["stopped"]];
    for (kind, statuses) in KINDS.iter().zip(statuses) {
        let text = of(&log, kind)?["asked"]["stdin"]["ok"].as_str().context("stdin")?;
        let state: Value = serde_json::from_str(text).with_context(|| format!("{kind} got `{text}`"))?;
        ensure!(state["id"] == stage.id.as_str(), "{kind}: {state}");
        ensure!(state["bundle"] == stage.bundle.dir.to_string_lossy().as_ref(), "{kind}: {state}");
        ensure!(state["annotations"]["org.example"] == "seen", "{kind}: {state}");
        ensure!(state["ociVersion"].is_string(), "{kind}: {state}");
        ensure!(
            statuses.iter().any(|status| state["status"] == *status),
            "{kind}: the status is {}, expected {statuses:?}",
            state["status"]
        );
        // Those that run in the container may see the first process of its pid namespace.
        let inside = matches!(*kind, "createContainer" | "startContainer") && state["pid"] == 1;
        ensure!(*kind == "poststop" || inside || state["pid"] == pid, "{kind}: {state}, not {pid}");
    }
    Ok(())
}

fn environment(stage: &mut Stage) -> Result<()> {
    all(stage, &["a word", ""]);
    for kind in KINDS {
        stage.bundle.config["hooks"][kind][0]["env"] = json!(["ONE=1", "PATH=/nowhere"]);
    }
    let log = live(stage)?;
    for kind in KINDS {
        let report = of(&log, kind)?;
        ensure!(report["env"] == json!({"ONE": "1", "PATH": "/nowhere"}), "{kind}: env {}", report["env"]);
        let argv = &report["argv"];
        ensure!(argv[0] == "probe" && argv[3] == "a word" && argv[4] == "", "{kind}: {argv}");
    }
    Ok(())
}

fn namespaces(stage: &mut Stage) -> Result<()> {
    all(stage, &[]);
    let log = live(stage)?;
    let host = stage.host()?["namespaces"].clone();
    let program = of(&log, "program")?["namespaces"].clone();
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        let seen = &of(&log, kind)?["namespaces"];
        ensure!(*seen == host, "{kind} runs in {seen}, the runtime in {host}");
    }
    for kind in ["createContainer", "startContainer"] {
        let seen = &of(&log, kind)?["namespaces"];
        for name in ["mnt", "net", "ipc", "uts"] {
            // Before the root changes there is the host's procfs, which may not show them.
            if !seen[name].is_null() {
                ensure!(
                    seen[name] == program[name],
                    "{kind}: {name} is {}, not {}",
                    seen[name],
                    program[name]
                );
            }
        }
    }
    Ok(())
}

/// Its program is the host's, in the container's mount namespace: a mount it makes is gone with the container.
fn before_pivot(stage: &mut Stage) -> Result<()> {
    let target = stage.bundle.dir.join("rootfs/mnt");
    let mount =
        json!({"path": "/bin/busybox", "args": ["busybox", "mount", "-t", "tmpfs", "from-the-hook", target]});
    stage.bundle.set("/hooks/createContainer", json!([mount]));
    stage.words(&["append=/out/log"]);
    let log = live(stage)?;
    ensure!(log[0]["mounts"]["/mnt"]["source"] == "from-the-hook", "the mount does not reach the container");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains("from-the-hook"), "the mount is the host's");
    Ok(())
}

fn failing(stage: &mut Stage, kind: &str) {
    let fails = hook(stage, kind, &["exit=3"]);
    let never = hook(stage, kind, &["never"]);
    stage.bundle.set(&format!("/hooks/{kind}"), json!([fails, never]));
    stage.words(&["program", "append=/out/log"]);
}

fn create_fails(stage: &mut Stage, kind: &str) -> Result<()> {
    failing(stage, kind);
    stage.create()?.complains(&[])?;
    stage.is_gone()?;
    let log = stage.log()?;
    ensure!(kinds(&log) == [kind], "{:?} ran", kinds(&log));
    Ok(())
}

fn start_container_fails(stage: &mut Stage) -> Result<()> {
    failing(stage, "startContainer");
    stage.create()?.ok()?;
    stage.start()?.complains(&[])?;
    stopped_or_gone(stage)?;
    let log = stage.log()?;
    ensure!(kinds(&log) == ["startContainer"], "{:?} ran", kinds(&log));
    Ok(())
}

fn stopped_or_gone(stage: &Stage) -> Result<()> {
    if stage.call(&["state", "ID"])?.code == 0 { stage.becomes("stopped") } else { Ok(()) }
}

fn poststart_fails(stage: &mut Stage) -> Result<()> {
    failing(stage, "poststart");
    stage.words(&["program", "append=/out/log", "wait"]);
    stage.create()?.ok()?;
    stage.start()?.complains(&[])?;
    stopped_or_gone(stage)
}

/// The container goes all the same, and the others run. Returns what delete answered, which the specification leaves
/// open: it has the failure logged, and the lifecycle go on as if the hook had succeeded.
fn poststop_fails(stage: &mut Stage) -> Result<Output> {
    let hooks = [hook(stage, "poststop", &["exit=3"]), hook(stage, "poststop", &["second"])];
    stage.bundle.set("/hooks/poststop", json!(hooks));
    stage.words(&[]);
    stage.create()?.ok()?;
    stage.start()?.ok()?;
    stage.becomes("stopped")?;
    let output = stage.call(&["delete", "ID"])?;
    stage.is_gone()?;
    let log = stage.log()?;
    ensure!(log.len() == 2 && log[1]["argv"][3] == "second", "{:?} ran", kinds(&log));
    Ok(output)
}

/// Not only logged: who calls sees that it failed, and which hook it was.
fn poststop_told(stage: &mut Stage) -> Result<()> {
    let probe = stage.probe();
    poststop_fails(stage)?.complains(&["poststop", &probe]).map(drop)
}

fn poststop_of_failed(stage: &mut Stage) -> Result<()> {
    let (fails, after) = (hook(stage, "createRuntime", &["exit=3"]), hook(stage, "poststop", &[]));
    stage.bundle.set("/hooks", json!({"createRuntime": [fails], "poststop": [after]}));
    stage.words(&[]);
    stage.create()?.complains(&[])?;
    stage.is_gone()?;
    let log = stage.log()?;
    ensure!(kinds(&log) == ["createRuntime", "poststop"], "{:?} ran", kinds(&log));
    Ok(())
}

fn timeout(stage: &mut Stage) -> Result<()> {
    let mut hook = hook(stage, "createRuntime", &["wait"]);
    hook["timeout"] = json!(1);
    stage.bundle.set("/hooks/createRuntime", json!([hook]));
    stage.words(&[]);
    let start = std::time::Instant::now();
    stage.create()?.complains(&[])?;
    ensure!(start.elapsed().as_secs() < 60, "it took {:?}", start.elapsed());
    stage.is_gone()
}

fn missing(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/hooks/createRuntime", json!([{"path": "/no/such/hook"}]));
    stage.words(&[]);
    stage.create()?.complains(&[])?;
    stage.is_gone()
}
