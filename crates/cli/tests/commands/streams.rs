//! What becomes of a command whose streams are broken, closed or full.

use std::fs::File;

use tokio::io::AsyncReadExt as _;

use super::fake::Script;
use super::{Stage, ended, play};

/// The exit code of a program that SIGPIPE ended, as a shell shows it.
const BROKEN_PIPE: i32 = 141;

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure_to_tell_of() {
    // Reads the beginning, and leaves; what follows is more than pipes and the windows of the connection hold.
    let head = async |script: Script, line: &str, stdin: &str| {
        let stage = Stage::set(script);
        let mut child = stage.ross(line).stdin(File::open(stdin).unwrap()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        assert!(output.read(&mut [0; 10]).await.unwrap() > 0, "{line}");
        drop(output);
        let played = ended(&stage, child, line).await;
        assert_eq!(played.code, Some(BROKEN_PIPE), "{line}");
        let mut told = played.stderr.lines().filter(|line| line.starts_with("ross: "));
        assert!(told.all(|line| line == "ross: warning: no swap here"), "{line}: {}", played.stderr);
    };
    head(Script { log_lines: 1_000_000, ..Script::default() }, "logs web", "/dev/null").await;
    head(Script { echo: true, ..Script::default() }, "run -i busybox cat", "/dev/zero").await;
    head(Script { echo: true, ..Script::default() }, "exec -i web cat", "/dev/zero").await;
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let stage = Stage::set(Script { output: vec![(false, "out\n")], ..Script::default() });
    let check = async |line: &str, code: i32| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let played = ended(&stage, stage.ross(line).stdout(full).spawn().unwrap(), line).await;
        assert_eq!(played.code, Some(code), "{line} {played:?}");
        assert!(played.stderr.contains("ross: cannot write the output: No space left"), "{line} {played:?}");
    };
    check("ps", 1).await;
    check("--help", 1).await;
    check("run busybox", 125).await;
}

#[tokio::test]
async fn closed_streams_are_taken_as_wished() {
    let stage = Stage::set(Script { output: vec![(false, "out\n")], exit_code: 3, ..Script::default() });
    let check = async |line: &str, code: i32| {
        let ross = stage.ross(line);
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]).arg(ross.as_std().get_program());
        shell.args(ross.as_std().get_args()).kill_on_drop(true);
        let played = ended(&stage, shell.spawn().unwrap(), line).await;
        assert_eq!(played.code, Some(code), "{line} {played:?}");
    };
    check("ps", 0).await;
    check("run busybox", 3).await;
    check("run -i busybox cat", 3).await;
    check("rm missing", 1).await;
}

#[tokio::test]
async fn an_archive_that_cannot_be_read_is_told_rather_than_what_the_daemon_makes_of_it() {
    let played = play(Script::default(), "load -i /", "").await;
    assert_eq!(played.code, Some(1), "{played:?}");
    let expected =
        "ross: cannot read the archive `/`: it is a directory and no OCI layout: it has no index.json";
    assert!(played.stderr.starts_with(expected), "{played:?}");
    let played = play(Script::default(), "load", "five!").await;
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "Loaded image ID: 5 bytes\n"), "{played:?}");
    assert_eq!(played.calls, ["load", "a whole archive"]);
    // Opened, and not read: what came before the error, here nothing, is not to be taken for all.
    let played = play(Script::default(), "load -i /proc/self/mem", "").await;
    assert_eq!(played.code, Some(1), "{played:?}");
    let expected = "ross: cannot read the archive `/proc/self/mem`: Input/output error";
    assert!(played.stderr.starts_with(expected), "{played:?}");
    assert!(!played.calls.iter().any(|call| call == "a whole archive"), "{played:?}");
}
