//! Commands against a made-up daemon: the order of calls, output, exit codes.

use std::time::Duration;

use clap::Parser;
use tonic::Code;

use super::fake::{Fake, Script};
use super::*;
use crate::streams::testing::{captured, text};

/// What became of a command.
struct Played {
    outcome: Outcome,
    calls: Vec<String>,
    stdout: String,
    stderr: String,
}

async fn play(script: Script, line: &str, stdin: &'static str) -> Played {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let fake = Fake::serve(script, &socket);
    let (streams, stdout, stderr) = captured(stdin);
    let host = Host::parse(&format!("unix://{}", socket.display())).unwrap();
    let mut context = Context { host, format: None, streams };
    let cli = Cli::try_parse_from(line.split(' ')).unwrap();
    let running = dispatch(cli.command, &mut context);
    let outcome = tokio::time::timeout(Duration::from_secs(30), running).await.expect(line);
    Played { outcome, calls: fake.calls(), stdout: text(&stdout), stderr: text(&stderr) }
}

#[tokio::test]
async fn run_attaches_and_waits_before_it_starts() {
    let script =
        Script { output: vec![(false, "out\n"), (true, "err\n")], exit_code: 7, ..Script::default() };
    let played = play(script, "ross run busybox true", "").await;
    assert_eq!(played.outcome.unwrap(), 7);
    assert_eq!(played.calls, ["create", "attach without stdin", "wait NextExit", "start"]);
    assert_eq!(played.stdout, "out\n");
    assert_eq!(played.stderr, "ross: warning: no swap here\nerr\n");
}

#[tokio::test]
async fn run_pulls_what_is_missing_and_creates_again() {
    let script = Script { image_missing: true, ..Script::default() };
    let played = play(script.clone(), "ross run --rm busybox", "").await;
    assert_eq!(played.outcome.unwrap(), 0);
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
    let never = play(script.clone(), "ross run --pull never busybox", "").await;
    assert_eq!(never.outcome.unwrap_err().exit_code_of_run(), 125);
    assert_eq!(never.calls, ["create"]);
    let always = play(Script::default(), "ross run -d --pull always -q busybox", "").await;
    assert_eq!(always.calls, ["pull busybox", "create", "start"]);
    assert_eq!(always.stdout, "cafe\n");
}

#[tokio::test]
async fn a_program_that_cannot_start_leaves_the_shells_codes() {
    let check = async |reason: &'static str, flags: &str, code: u8, removed: bool| {
        let script = Script { start_fails: Some((Code::FailedPrecondition, reason)), ..Script::default() };
        let played = play(script, &format!("ross run {flags} busybox /nope"), "").await;
        assert_eq!(played.outcome.unwrap_err().exit_code_of_run(), code, "{reason}");
        assert_eq!(played.calls.last().is_some_and(|call| call == "remove"), removed, "{reason} {flags}");
    };
    check("program-not-found", "--rm", 127, true).await;
    check("cannot-execute", "-i", 126, false).await;
    check("failed-precondition", "-d", 125, false).await;
}

#[tokio::test]
async fn standard_input_goes_through_to_its_end() {
    let script = Script { echo: true, exit_code: 3, ..Script::default() };
    let played = play(script, "ross run -i busybox cat", "one\ntwo\n").await;
    assert_eq!(played.outcome.unwrap(), 3);
    assert_eq!(played.stdout, "one\ntwo\n");
    assert_eq!(played.calls[1], "attach with stdin");
}

#[tokio::test]
async fn exec_leaves_the_code_of_its_process() {
    let script = Script { echo: true, output: vec![(true, "e")], exit_code: 42, ..Script::default() };
    let played = play(script, "ross exec -i web cat -u", "in").await;
    assert_eq!(played.outcome.unwrap(), 42);
    assert_eq!((played.stdout.as_str(), played.stderr.as_str()), ("in", "e"));
    assert_eq!(played.calls, ["create-exec cat -u", "start-exec attached"]);
    let detached = play(Script::default(), "ross exec -d web true", "").await;
    assert_eq!(detached.outcome.unwrap(), 0);
    assert_eq!(detached.calls, ["create-exec true", "start-exec detached"]);
}

#[tokio::test]
async fn signals_are_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let script = Script { ends_on: "USR2", exit_code: 140, ..Script::default() };
    let fake = Fake::serve(script, &socket);
    let (streams, _, _) = captured("");
    let host = Host::parse(&format!("unix://{}", socket.display())).unwrap();
    let mut context = Context { host, format: None, streams };
    let cli = Cli::try_parse_from(["ross", "run", "busybox"]).unwrap();
    let mut started = fake.started();
    let send = async {
        started.wait_for(|started| *started).await.unwrap();
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::USR2).unwrap();
    };
    let running = async { futures_util::future::join(dispatch(cli.command, &mut context), send).await.0 };
    let outcome = tokio::time::timeout(Duration::from_secs(30), running).await.expect("ends on USR2");
    assert_eq!(outcome.unwrap(), 140);
    assert!(fake.calls().contains(&"kill USR2".to_owned()), "{:?}", fake.calls());
}

#[tokio::test]
async fn a_terminal_inside_needs_one_here() {
    let played = play(Script::default(), "ross run -it busybox", "").await;
    assert!(played.outcome.unwrap_err().to_string().contains("not a terminal"));
    assert!(played.calls.is_empty());
}

#[tokio::test]
async fn nobody_at_the_socket_is_told_plainly() {
    let (streams, _, _) = captured("");
    let host = Host::parse("unix:///nonexistent/ross.sock").unwrap();
    let context = Context { host, format: None, streams };
    let failure = context.daemon().await.unwrap_err();
    assert!(failure.to_string().contains("no rossd is listening at /nonexistent/ross.sock"), "{failure}");
    assert_eq!((failure.exit_code(), failure.exit_code_of_run()), (1, 125));
}
