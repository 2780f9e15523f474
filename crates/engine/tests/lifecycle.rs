//! A container's life from end to end: a real image, a real shim, a real process.
//!
//! Runs as root in mount and network namespaces of its own (`unshare -m -n`), with `ROSS_SHIM` naming the ross-shim
//! binary; anywhere else it is ignored.

#![expect(clippy::unwrap_used, reason = "a test: what cannot be is a failure")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rootfs_fixtures::{Compression, Flavour, busybox};
use ross_engine::model::{
    AttachOptions, ContainerConfig, ContainerState, CreateRequest, ExecConfig, ExecStart, ListQuery,
    LogQuery, NetworkMode, OutputEvent, RemoveOptions, StopOptions, WaitCondition,
};
use ross_engine::{AttachSession, Engine, EngineConfig};
use ross_image::RegistryConfig;

async fn open(dir: &Path, shim: &str) -> Engine {
    let config = EngineConfig {
        root: dir.join("root"),
        state: dir.join("state"),
        shim: shim.into(),
        registries: RegistryConfig::default(),
        default_subnet: None,
        open_files: None,
    };
    Engine::open(config).await.unwrap_or_else(|error| panic!("{}", error.sentence()))
}

fn request(name: &str, line: &str) -> CreateRequest {
    let mut config =
        ContainerConfig { cmd: ["sh", "-c", line].map(str::to_owned).into(), ..ContainerConfig::default() };
    config.network.mode = NetworkMode::None;
    CreateRequest { name: Some(name.parse().unwrap()), image: "busybox".into(), platform: None, config }
}

async fn output(session: &mut AttachSession) -> (String, Option<i32>) {
    let mut text = String::new();
    while let Some(event) = session.output.next().await {
        match event.unwrap_or_else(|error| panic!("{}", error.sentence())) {
            OutputEvent::Data { bytes, .. } => text.push_str(&String::from_utf8_lossy(&bytes)),
            OutputEvent::Exited(exited) => return (text, Some(exited.code)),
        }
    }
    (text, None)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, namespaces of its own and ROSS_SHIM"]
async fn a_life() {
    let shim = std::env::var("ROSS_SHIM").expect("ROSS_SHIM names the shim");
    let dir = tempfile::tempdir().unwrap();
    let deadline = tokio::time::timeout(Duration::from_secs(120), life(dir.path(), &shim));
    deadline.await.expect("it takes no two minutes");
}

async fn life(dir: &Path, shim: &str) {
    let engine = open(dir, shim).await;
    let archive = busybox(Compression::Gzip, Flavour::Oci).unwrap().docker_archive("busybox:latest");
    engine.images().load(std::io::Cursor::new(archive), Arc::new(|_| {})).await.unwrap();
    let fail = |error: ross_engine::EngineError| -> () { panic!("{}", error.sentence()) };

    // Attached before the start: nothing is missed; the exit code arrives, and with auto_remove nothing is left.
    let mut once = request("once", "echo out; echo err >&2; exit 7");
    once.config.auto_remove = true;
    engine.create_container(once).await.map(drop).unwrap_or_else(fail);
    let options = AttachOptions { stdout: true, stderr: true, ..AttachOptions::default() };
    let mut session = engine.attach("once", options).await.unwrap();
    let removed = engine.wait("once", WaitCondition::Removed).await.unwrap();
    let begun = std::time::Instant::now();
    assert!(engine.start("once").await.unwrap_or_else(|error| panic!("{}", error.sentence())));
    let (text, code) = output(&mut session).await;
    assert_eq!((text.len(), code), ("out\nerr\n".len(), Some(7)), "{text}");
    assert_eq!(removed.exited().await.unwrap().code, 7);
    eprintln!("start to removal: {:?}", begun.elapsed());
    assert!(engine.inspect("once", false).await.is_err());
    assert_eq!(std::fs::read_dir(dir.join("root/containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(dir.join("state/containers")).unwrap().count(), 0);

    // A program that is not there: 127, and the container stays as it was.
    let mut none = request("none", "");
    none.config.cmd = vec!["/bin/nope".into()];
    engine.create_container(none).await.map(drop).unwrap_or_else(fail);
    let error = engine.start("none").await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 127, "{}", error.sentence());
    let run = engine.inspect("none", false).await.unwrap().summary.run;
    assert_eq!((run.state, run.exited.code), (ContainerState::Created, 127));
    engine.remove("none", RemoveOptions::default()).await.unwrap_or_else(fail);

    // One that goes on: exec, logs, a new engine that finds it again, stop.
    engine
        .create_container(request("long", "echo hello; trap 'exit 3' TERM; while :; do sleep 0.1; done"))
        .await
        .map(drop)
        .unwrap_or_else(fail);
    engine.start("long").await.map(drop).unwrap_or_else(fail);
    assert!(!engine.start("long").await.unwrap());
    let exec = ExecConfig {
        cmd: ["sh", "-c", "hostname; exit 5"].map(str::to_owned).into(),
        attach_stdout: true,
        ..ExecConfig::default()
    };
    let id = engine.create_exec("long", exec).await.unwrap();
    let mut session = engine.start_exec(id.as_str(), ExecStart::default()).await.unwrap().unwrap();
    let (text, code) = output(&mut session).await;
    let container = engine.inspect("long", true).await.unwrap().summary;
    assert_eq!((text.trim(), code), (container.id.short(), Some(5)));
    assert_eq!(engine.inspect_exec(id.as_str()).await.unwrap().exit_code, Some(5));
    assert!(engine.stats("long", false).await.unwrap().next().await.unwrap().unwrap().cpu.usage_ns > 0);

    drop(session);
    engine.shutdown().await;
    let engine = open(dir, shim).await;
    let run = engine.inspect("long", false).await.unwrap().summary.run;
    assert_eq!((run.state, run.pid), (ContainerState::Running, container.run.pid));
    assert_eq!(engine.list(ListQuery::default()).await.unwrap().len(), 1);
    let mut log = engine.logs("long", LogQuery { follow: true, ..LogQuery::default() }).await.unwrap();
    assert_eq!(log.next().await.unwrap().unwrap().line, b"hello\n");
    assert!(engine.stop("long", StopOptions::default()).await.unwrap());
    assert!(log.next().await.is_none());
    let run = engine.inspect("long", false).await.unwrap().summary.run;
    assert_eq!((run.state, run.exited.code), (ContainerState::Exited, 3));
    engine.remove("long", RemoveOptions::default()).await.unwrap_or_else(fail);
    assert_eq!(std::fs::read_dir(dir.join("state/containers")).unwrap().count(), 0);
    engine.shutdown().await;
}
