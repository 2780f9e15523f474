//! The built `ross` against a made-up daemon: the order of calls, output, exit codes, signals.
//!
//! Each command is a process of its own, so that no test sees the signals or the streams of another.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod login;
mod raw;
mod streams;
mod transfer;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tonic::Code;

use fake::{Fake, Script};

/// How long a command may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A daemon at a socket of its own.
struct Stage {
    fake: Fake,
    socket: PathBuf,
    directory: TempDir,
}

impl Stage {
    fn set(script: Script) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        Self { fake: Fake::serve(script, &socket), socket, directory }
    }

    /// `ross` with the words of `line`, its streams piped; it is killed when it is dropped.
    fn ross(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ross"));
        command.arg(format!("--host=unix://{}", self.socket.display())).args(line.split(' '));
        // The credentials of whoever runs the tests are none of theirs.
        command.env("DOCKER_CONFIG", self.directory.path().join("docker")).env_remove("REGISTRY_AUTH_FILE");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// What became of a command.
#[derive(Debug)]
struct Played {
    code: Option<i32>,
    calls: Vec<String>,
    stdout: String,
    stderr: String,
}

async fn play(script: Script, line: &str, stdin: &str) -> Played {
    let stage = Stage::set(script);
    let mut child = stage.ross(line).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).await.unwrap();
    drop(input);
    ended(&stage, child, line).await
}

async fn ended(stage: &Stage, child: Child, line: &str) -> Played {
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect(line).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Played {
        code: output.status.code(),
        calls: stage.fake.calls(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn signal_to(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn run_attaches_and_waits_before_it_starts() {
    let script =
        Script { output: vec![(false, "out\n"), (true, "err\n")], exit_code: 7, ..Script::default() };
    let played = play(script, "run busybox true", "").await;
    assert_eq!(played.code, Some(7), "{played:?}");
    assert_eq!(played.calls, ["create", "attach without stdin", "wait NextExit", "start"]);
    assert_eq!(played.stdout, "out\n");
    assert_eq!(played.stderr, "ross: warning: no swap here\nerr\n");
}

#[tokio::test]
async fn run_pulls_what_is_missing_and_creates_again() {
    let script = Script { image_missing: true, ..Script::default() };
    let played = play(script.clone(), "run --rm busybox", "").await;
    assert_eq!(played.code, Some(0), "{played:?}");
    let expected = [
        "create",
        "inspect-image",
        "pull busybox",
        "create",
        "attach without stdin",
        "wait Removed",
        "start",
    ];
    assert_eq!(played.calls, expected);
    assert!(played.stderr.contains("Pulling busybox\n") && played.stdout.is_empty(), "{}", played.stderr);
    let never = play(script.clone(), "run --pull never busybox", "").await;
    assert_eq!(never.code, Some(125), "{never:?}");
    assert_eq!(never.calls, ["create"]);
    let always = play(Script::default(), "run -d --pull always -q busybox", "").await;
    assert_eq!(always.calls, ["pull busybox", "create", "start"]);
    assert_eq!(always.stdout, "cafe\n");
}

#[tokio::test]
async fn a_program_that_cannot_start_leaves_the_shells_codes() {
    let check = async |reason: &'static str, flags: &str, code: i32, removed: bool| {
        let script = Script { start_fails: Some((Code::FailedPrecondition, reason)), ..Script::default() };
        let played = play(script, &format!("run {flags} busybox /nope"), "").await;
        assert_eq!(played.code, Some(code), "{reason} {played:?}");
        assert!(played.stderr.contains("\nross: exec /nope: no such file or directory\n"), "{played:?}");
        assert_eq!(played.calls.last().is_some_and(|call| call == "remove"), removed, "{reason} {flags}");
    };
    check("program-not-found", "--rm", 127, true).await;
    check("cannot-execute", "-i", 126, false).await;
    check("failed-precondition", "-d", 125, false).await;
}

#[tokio::test]
async fn standard_input_goes_through_to_its_end() {
    let script = Script { echo: true, exit_code: 3, ..Script::default() };
    let played = play(script, "run -i busybox cat", "one\ntwo\n").await;
    assert_eq!(played.code, Some(3), "{played:?}");
    assert_eq!(played.stdout, "one\ntwo\n");
    assert_eq!(played.calls[1], "attach with stdin");
}

#[tokio::test]
async fn exec_leaves_the_code_of_its_process() {
    let script = Script { echo: true, output: vec![(true, "e")], exit_code: 42, ..Script::default() };
    let played = play(script, "exec -i web cat -u", "in").await;
    assert_eq!(played.code, Some(42), "{played:?}");
    assert_eq!((played.stdout.as_str(), played.stderr.as_str()), ("in", "e"));
    assert_eq!(played.calls, ["create-exec cat -u", "start-exec attached"]);
    let detached = play(Script::default(), "exec -d web true", "").await;
    assert_eq!(detached.code, Some(0), "{detached:?}");
    assert_eq!(detached.calls, ["create-exec true", "start-exec detached"]);
}

#[tokio::test]
async fn signals_are_passed_on() {
    let check = async |signal: Signal, name: &'static str| {
        let stage = Stage::set(Script { ends_on: name, exit_code: 140, ..Script::default() });
        let child = stage.ross("run busybox").spawn().unwrap();
        // They are caught from before the container starts.
        let mut started = stage.fake.started();
        tokio::time::timeout(DEADLINE, started.wait_for(|started| *started)).await.expect(name).unwrap();
        signal_to(&child, signal);
        let played = ended(&stage, child, name).await;
        assert_eq!(played.code, Some(140), "{name} {played:?}");
        assert_eq!(played.calls.last().unwrap(), &format!("kill {name}"));
    };
    check(Signal::HUP, "HUP").await;
    check(Signal::INT, "INT").await;
    check(Signal::QUIT, "QUIT").await;
    check(Signal::TERM, "TERM").await;
    check(Signal::USR1, "USR1").await;
    check(Signal::USR2, "USR2").await;
}

#[tokio::test]
async fn start_shows_output_whenever_it_connects_input() {
    let script = Script { echo: true, output: vec![(false, "out ")], exit_code: 4, ..Script::default() };
    let played = play(script, "start -i web", "in").await;
    assert_eq!(played.code, Some(4), "{played:?}");
    assert_eq!(played.calls, ["inspect", "attach with stdin", "wait NextExit", "start"]);
    assert_eq!(played.stdout, "out in");
}

#[tokio::test]
async fn lists_and_logs_are_asked_for_as_typed() {
    let check = async |line: &str, call: &str, stdout: &str| {
        let played = play(Script { log_lines: 3, ..Script::default() }, line, "").await;
        assert_eq!((played.code, played.calls), (Some(0), vec![call.to_owned()]), "{line}");
        assert_eq!(played.stdout, stdout, "{line}");
    };
    let filtered = "list all=true limit=0 status=exited|created label=a";
    check("ps -aq --filter status=exited --filter label=a -f status=created", filtered, "cafecafecafe\n")
        .await;
    check("ps -l -q --no-trunc", "list all=true limit=1", &format!("{}\n", "cafe".repeat(16))).await;
    check("logs --follow --tail 7 web", "logs follow=true tail=Some(7)", "line 0\nline 2\n").await;
    check("logs -n -1 web", "logs follow=false tail=None", "line 0\nline 2\n").await;
    let json = play(Script::default(), "ps --format json", "").await;
    let list: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(list[0]["id"], "cafe".repeat(16), "{json:?}");
}

#[tokio::test]
async fn by_force_what_is_gone_already_is_told_and_no_failure() {
    let check = async |line: &str, code: i32, stdout: &str| {
        let played = play(Script::default(), line, "").await;
        assert_eq!((played.code, played.stdout.as_str()), (Some(code), stdout), "{line} {played:?}");
        assert_eq!(played.stderr, "ross: No such object: missing\n", "{line}");
    };
    check("rm missing web", 1, "web\n").await;
    check("rm -f missing web", 0, "web\n").await;
    check("rmi missing", 1, "").await;
    check("rmi -f missing", 0, "").await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_with_dockers_code() {
    let check = async |line: &str, start: &str| {
        let played = play(Script::default(), line, "").await;
        assert_eq!((played.code, played.stdout.as_str()), (Some(125), ""), "{line} {played:?}");
        assert!(played.stderr.starts_with(start) && played.stderr.ends_with('\n'), "{line} {played:?}");
    };
    check("run --no-such-flag busybox", "ross: unexpected argument '--no-such-flag' found\n").await;
    check("ps --format xml", "ross: invalid value 'xml' for '--format <FORMAT>'").await;
    check("run --memory 1x busybox", "ross: invalid value `1x` for --memory: ").await;
    check("container", "Containers, in the long form\n").await;
}

#[tokio::test]
async fn help_is_a_word_too() {
    for (line, start) in [
        ("help", "Run containers on this machine\n"),
        ("help image pull", "Fetch an image from a registry\n"),
        ("help run", "Create and start a container"),
    ] {
        let played = play(Script::default(), line, "").await;
        assert!(played.code == Some(0) && played.stdout.starts_with(start), "{line} {played:?}");
    }
}

#[tokio::test]
async fn a_terminal_inside_needs_one_here() {
    let played = play(Script::default(), "run -it busybox", "").await;
    assert_eq!(played.code, Some(125), "{played:?}");
    assert!(played.stderr.contains("not a terminal"), "{played:?}");
    assert!(played.calls.is_empty());
}

#[tokio::test]
async fn nobody_at_the_socket_is_told_plainly() {
    let check = async |line: &str, code: i32| {
        let mut stage = Stage::set(Script::default());
        stage.socket = "/nonexistent/ross.sock".into();
        let played = ended(&stage, stage.ross(line).spawn().unwrap(), line).await;
        assert_eq!(played.code, Some(code), "{line} {played:?}");
        let expected = "ross: no rossd is listening at /nonexistent/ross.sock: ";
        assert!(played.stderr.starts_with(expected), "{line} {played:?}");
    };
    check("ps", 1).await;
    check("run busybox", 125).await;
}

/// A file is there when all of it is: what breaks off, or never began, leaves none.
#[tokio::test]
async fn an_export_is_whole_or_not_there() {
    let check = async |container: &str, code: i32, expected: Option<&str>| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("root.tar");
        let line = format!("export -o {} {container}", file.display());
        let played = play(Script::default(), &line, "").await;
        assert_eq!(played.code, Some(code), "{played:?}");
        assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), expected, "{played:?}");
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, usize::from(expected.is_some()), "nothing lies beside it");
    };
    check("web", 0, Some("first second")).await;
    check("broken", 1, None).await;
    check("missing", 1, None).await;
    let piped = play(Script::default(), "export web", "").await;
    assert_eq!((piped.code, piped.stdout.as_str()), (Some(0), "first second"));
    let nowhere = play(Script::default(), "export -o /no/such/folder/file web", "").await;
    assert!(nowhere.code == Some(1) && nowhere.stderr.contains("/no/such/folder/file"), "{nowhere:?}");
}

/// What the environment says is not typed, and no usage line has it.
#[test]
fn the_host_is_no_part_of_usage_lines() {
    let said = |args: &[&str]| {
        let mut ross = std::process::Command::new(env!("CARGO_BIN_EXE_ross"));
        let output = ross.args(args).env("ROSS_HOST", "unix:///nowhere.sock").output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let usage = said(&["run"]);
    assert!(usage.contains("Usage: ross run ") && !usage.contains("--host"), "{usage}");
    assert!(said(&["--help"]).contains("[env: ROSS_HOST] [default: unix:///run/ross/ross.sock]"));
    assert!(said(&["ps"]).contains("/nowhere.sock"), "but it is what is asked");
}

#[tokio::test]
async fn a_prune_tells_what_it_could_not_remove() {
    let played = play(Script::default(), "container prune -f", "").await;
    assert_eq!((played.code, played.stderr.as_str()), (Some(0), ""), "{played:?}");
    let played = play(Script::default(), "system prune -f --volumes", "").await;
    assert_eq!(played.code, Some(1), "{played:?}");
    assert!(played.stdout.contains("Deleted Volumes:\none\n"), "what went is told: {played:?}");
    assert_eq!(played.stderr, "ross: remove /volumes/two: it is stuck\n");
}

/// What cannot be is refused before the daemon is asked.
#[tokio::test]
async fn what_is_made_is_checked_here() {
    let check = async |line: &str, says: &str| {
        let played = play(Script::default(), line, "").await;
        assert_eq!((played.code, played.calls.len()), (Some(1), 0), "{played:?}");
        assert!(played.stderr.contains(says), "{played:?}");
    };
    check("import http://127.0.0.1/x.tar", "is a URL").await;
    check("import /no/such/file.tar", "/no/such/file.tar").await;
    check("import - Not/Valid", "Not/Valid").await;
    check("commit web Not/Valid", "Not/Valid").await;
    check("image prune -f --filter until=soon", "until=soon").await;
}
