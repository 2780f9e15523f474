//! `push` and `save`: what is asked, what is printed, what is left in files.

use super::fake::Script;
use super::{Stage, ended, play};

#[tokio::test]
async fn a_push_is_told_as_docker_does() {
    let check = async |line: &str, call: &str, stdout: &str| {
        let played = play(Script::default(), line, "").await;
        assert_eq!((played.code, played.calls), (Some(0), vec![call.to_owned()]), "{line}");
        assert_eq!(played.stdout, stdout, "{line}");
    };
    let line = |tag: &str| format!("{tag}: digest: sha256:cafe size: 528\n");
    check("push team/app:1", "push team/app:1 all=false", &line("1")).await;
    check("image push --tag 1 team/app", "push team/app:1 all=false", &line("1")).await;
    check("push -a team/app", "push team/app all=true", &(line("1") + &line("2"))).await;
    check("push -q team/app:1", "push team/app:1 all=false", "docker.io/team/app:1\n").await;
    let json = play(Script::default(), "push -q --format json -a team/app", "").await;
    let pushed: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(pushed[1]["reference"], "docker.io/team/app:2", "{json:?}");
    for line in ["push -a team/app:1", "push -a team/app --tag 1", "push Team/App"] {
        let played = play(Script::default(), line, "").await;
        assert!(matches!(played.code, Some(1 | 125)) && played.calls.is_empty(), "{line} {played:?}");
    }
}

#[tokio::test]
async fn a_save_leaves_a_whole_file_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.tar");
    let check = async |names: &str, code: i32, says: &str, left: Option<&str>| {
        let line = format!("save -o {} {names}", file.display());
        let played = play(Script::default(), &line, "").await;
        assert_eq!(played.code, Some(code), "{played:?}");
        assert!(played.stderr.contains(says), "{played:?}");
        assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), left, "{names}");
        let others = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(others, usize::from(left.is_some()), "nothing else is left");
    };
    check("missing", 1, "No such object: missing", None).await;
    check("broken", 1, "a blob is wrong", None).await;
    check("app other:1", 0, "", Some("abcd")).await;
    check("broken", 1, "a blob is wrong", Some("abcd")).await;
    // A signal in the middle leaves nothing either.
    let stage = Stage::set(Script::default());
    let mut child = stage.ross(&format!("save -o {} slow", file.display())).spawn().unwrap();
    let deadline = std::time::Instant::now() + super::DEADLINE;
    while std::fs::read_dir(dir.path()).unwrap().count() == 1 {
        assert!(std::time::Instant::now() < deadline, "no file is begun");
        tokio::task::yield_now().await;
    }
    super::signal_to(&child, super::Signal::INT);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only what was there");
    let played = play(Script::default(), "image save app", "").await;
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "abcd"), "{played:?}");
    assert_eq!(played.calls, ["save app"]);
    let check = async |output: &str, says: &str| {
        let line = format!("save -o {output} app");
        let played = play(Script::default(), &line, "").await;
        assert_eq!(played.code, Some(1), "{played:?}");
        assert!(played.stderr.contains(says), "{played:?}");
    };
    check("/", "is a directory").await;
    check("/nonexistent/x.tar", "cannot write the archive `/nonexistent/x.tar`: No such file").await;
    check("/dev/full", "No space left").await;
}

#[tokio::test]
async fn a_layout_in_a_directory_is_packed_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
    std::fs::write(dir.path().join("index.json"), "{}").unwrap();
    std::fs::write(dir.path().join("blobs/sha256/x"), vec![7; 1_000_000]).unwrap();
    let stage = Stage::set(Script::default());
    let line = format!("load -i {}", dir.path().display());
    let played = ended(&stage, stage.ross(&line).spawn().unwrap(), &line).await;
    // Two members with their headers, in whole blocks, and the end of the archive.
    let length = 512 + 512 + 512 + 1_000_448 + 1024;
    assert_eq!(played.stdout, format!("Loaded image ID: {length} bytes\n"), "{played:?}");
}
