//! Start, end, signals, waits, and what a daemon that comes back finds.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;

use ross_shim::client::{LaunchSpec, ShimClient, launch};
use ross_shim::config::ShimConfig;
use ross_shim::exit_record::ExitRecord;
use ross_shim::protocol::{Backpressure, Request, Status, Streams, append, preamble};
use ross_types::ErrorKind;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::process::Command;

use crate::harness::{BINARY, Bundle, DEADLINE, Shim, exec, in_own_world, see_until, soon};

#[test]
fn runs_logs_and_ends() {
    in_own_world(async || {
        let shim = Bundle::script("echo out; echo err >&2; printf 'no end'; exit 3").launch().await;
        let state = soon(shim.client.state()).await.unwrap();
        assert_eq!((state.status, state.pid), (Status::Created, 0));
        let pid = soon(shim.client.start(None)).await.unwrap();
        let exit = shim.wait().await;
        assert_eq!((exit.code, exit.signal, exit.pid, exit.oom_killed), (3, None, pid, false));
        assert!(exit.started_at > 1_700_000_000_000_000_000 && exit.finished_at >= exit.started_at);
        let log = shim.log();
        let of = |stream: &str| -> String {
            log.iter().filter(|(of, _)| of == stream).map(|(_, text)| text.as_str()).collect()
        };
        assert_eq!((of("stdout").as_str(), of("stderr").as_str()), ("out\nno end", "err\n"));
        let state = soon(shim.client.state()).await.unwrap();
        assert_eq!((state.status, state.exit), (Status::Stopped, Some(exit)));
        let again = soon(shim.client.start(None)).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::FailedPrecondition);
        shim.shutdown().await;
    });
}

#[test]
fn a_program_that_is_not_there() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/nope"]).launch().await;
        let error = soon(shim.client.start(None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProgramNotFound, "{error}");
        assert!(error.to_string().contains("/bin/nope"), "{error}");
        let record = ExitRecord::read(&shim.bundle.config.exit_record).unwrap().unwrap();
        assert_eq!((record.code, record.pid), (127, 0));
        assert_eq!(soon(shim.client.state()).await.unwrap().status, Status::Created);
        shim.shutdown().await;

        let shim = Bundle::new(&["/tmp"]).launch().await;
        assert_eq!(soon(shim.client.start(None)).await.unwrap_err().kind(), ErrorKind::CannotExecute);
        shim.shutdown().await;
    });
}

#[test]
fn signals() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).start().await;
        let refused = soon(shim.client.shutdown()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
        assert_eq!(
            soon(shim.client.signal(None, 4000)).await.unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        soon(shim.client.signal(None, 9)).await.unwrap();
        let exit = shim.wait().await;
        assert_eq!((exit.code, exit.signal), (137, Some(9)));
        let late = soon(shim.client.signal(None, 9)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::FailedPrecondition);
        shim.shutdown().await;

        let shim = Bundle::script("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done").launch().await;
        let mut stream = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        see_until(&mut stream, "up").await;
        soon(shim.client.signal_all(15)).await.unwrap();
        assert_eq!(shim.wait().await.code, 7);
        shim.shutdown().await;
    });
}

#[test]
fn everyone_who_waits_is_told() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).start().await;
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let client = shim.client.clone();
                tokio::spawn(async move { client.wait(None).await })
            })
            .collect();
        // One that gives up disturbs nobody.
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), shim.client.wait(None)).await;
        assert!(early.is_err());
        soon(shim.client.signal(None, 15)).await.unwrap_or_default();
        soon(shim.client.signal(None, 9)).await.unwrap();
        for waiter in waiters {
            assert_eq!(soon(waiter).await.unwrap().unwrap().code, 137);
        }
        assert_eq!(shim.wait().await.code, 137);
        shim.shutdown().await;
    });
}

#[test]
fn a_daemon_that_comes_back_finds_it() {
    in_own_world(async || {
        let shim = Bundle::script("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done").launch().await;
        let mut old = shim.attach(Streams::ALL, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        see_until(&mut old, "up").await;
        // The old daemon is gone with all its connections; the new one has only the directory.
        drop(old);
        let dir = shim.bundle.dir.path();
        let config = ShimConfig::read(dir).unwrap();
        assert_eq!(config, shim.bundle.config);
        let client = soon(ShimClient::connect(&dir.join("shim.sock"))).await.unwrap();
        let state = soon(client.state()).await.unwrap();
        assert_eq!(state.status, Status::Running);
        soon(client.signal(None, 15)).await.unwrap();
        assert_eq!(soon(client.wait(None)).await.unwrap().code, 5);
        assert_eq!(shim.log(), [("stdout".to_owned(), "up\n".to_owned())]);
        shim.shutdown().await;
    });
}

#[test]
fn pause_and_resume() {
    in_own_world(async || {
        let shim = Bundle::script("while :; do echo tick; sleep 0.02; done").launch().await;
        let mut stream = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        see_until(&mut stream, "tick").await;
        soon(shim.client.pause()).await.unwrap();
        assert_eq!(soon(shim.client.pause()).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
        assert_eq!(soon(shim.client.state()).await.unwrap().status, Status::Paused);
        let refused = soon(shim.client.exec(exec("e", "true"))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
        soon(shim.client.resume()).await.unwrap();
        see_until(&mut stream, "tick").await;
        // Even a frozen container can be killed.
        soon(shim.client.pause()).await.unwrap();
        soon(shim.client.signal(None, 9)).await.unwrap();
        assert_eq!(shim.wait().await.code, 137);
        shim.shutdown().await;
    });
}

/// What is asked for beside the end must not be begun, to be left without a shim.
#[test]
fn nothing_begins_in_a_shim_that_leaves() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).launch().await;
        let late = soon(ShimClient::connect(&shim.path("shim.sock"))).await.unwrap();
        // The shim stays for a client that has yet to read more than a socket holds.
        let mut owed = UnixStream::connect(shim.path("shim.sock")).unwrap();
        let mut requests = preamble().to_vec();
        for _ in 0..100_000 {
            append(&mut requests, &Request::State).unwrap();
        }
        owed.set_write_timeout(Some(DEADLINE)).unwrap();
        owed.write_all(&requests).unwrap();
        soon(shim.client.shutdown()).await.unwrap();
        let refused = soon(late.start(None)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::FailedPrecondition, "{refused}");
        assert!(!shim.cgroup().exists(), "it was begun");
        drop(owed);
        soon(async {
            while late.state().await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;
    });
}

#[test]
fn a_long_path_to_the_socket() {
    in_own_world(async || {
        let mut bundle = Bundle::new(&["/bin/true"]);
        let long = bundle.dir.path().join("x".repeat(120)).join("y".repeat(120));
        fs::create_dir_all(&long).unwrap();
        bundle.config.durable = false;
        fs::write(bundle.dir.path().join("config.json"), bundle.spec.to_string()).unwrap();
        let spec = LaunchSpec { config: &bundle.config, dir: &long, root: &long };
        let launched = soon(launch(&BINARY, spec)).await.unwrap();
        let shim = Shim::new(bundle, launched);
        soon(shim.client.start(None)).await.unwrap();
        assert_eq!(shim.wait().await.code, 0);
        shim.shutdown().await;
    });
}

#[test]
fn a_shim_that_cannot_begin_says_why() {
    in_own_world(async || {
        let bundle = Bundle::new(&["/bin/true"]);
        // The socket's name is taken by something that cannot be removed.
        fs::create_dir(bundle.dir.path().join("shim.sock")).unwrap();
        let dir = bundle.dir.path();
        let spec = LaunchSpec { config: &bundle.config, dir, root: dir };
        let error = soon(launch(&BINARY, spec)).await.unwrap_err();
        assert!(error.to_string().contains("listen in"), "{error}");
    });
}

/// The daemon was killed between fork and answer: nobody else will ever find what it started.
#[test]
fn a_shim_whose_launcher_is_gone_gives_up() {
    in_own_world(async || {
        let bundle = Bundle::new(&["/bin/true"]);
        let dir = bundle.dir.path();
        bundle.config.write(dir).unwrap();
        let (launcher, answer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(launcher);
        let mut shim = Command::new(env!("CARGO_BIN_EXE_ross-shim"));
        shim.args(["--id", &bundle.config.id]).arg("--dir").arg(dir).arg("--root").arg(dir);
        shim.stdout(answer.try_clone().unwrap()).stderr(answer).kill_on_drop(true);
        let status = soon(shim.spawn().unwrap().wait()).await.unwrap();
        assert!(!status.success(), "{status}");
        assert!(soon(ShimClient::connect(&dir.join("shim.sock"))).await.unwrap_err().is_gone());
    });
}

#[test]
fn the_program_inherits_nothing() {
    in_own_world(async || {
        let shim = Bundle::script(
            "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; cat /proc/self/oom_score_adj",
        )
        .start()
        .await;
        assert_eq!(shim.wait().await.code, 0);
        let text: String = shim.log().into_iter().map(|(_, text)| text).collect();
        let lines: Vec<&str> = text.lines().collect();
        let [fds @ .., blocked, ignored, oom_score] = lines.as_slice() else { panic!("{text:?}") };
        // ls has the directory itself open as 3.
        assert_eq!(fds, ["0", "1", "2", "3"]);
        let signals = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // Real-time signals may be ignored by whoever runs the tests; a Rust program ignores SIGPIPE.
        assert_eq!((signals(blocked), signals(ignored) & 0x7fff_ffff), (0, 0));
        assert_eq!(*oom_score, fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim_end());
        shim.shutdown().await;
    });
}
