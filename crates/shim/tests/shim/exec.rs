//! Other programs in a running container.

use std::fs;

use ross_shim::protocol::{AttachRequest, Backpressure, Streams, TerminalSize};
use ross_types::ErrorKind;

use crate::harness::{Bundle, Shim, exec, in_own_world, process, see, see_until, soon};

async fn idle() -> Shim {
    Bundle::new(&["/bin/sleep", "1000"]).start().await
}

async fn end(shim: Shim) {
    soon(shim.client.signal(None, 9)).await.unwrap();
    shim.wait().await;
    shim.shutdown().await;
}

#[test]
fn output_and_code() {
    in_own_world(async || {
        let shim = idle().await;
        let (pid, mut stream) =
            soon(shim.client.exec_attached(exec("one", "echo out; echo err >&2; exit 9"))).await.unwrap();
        let seen = see(&mut stream).await;
        assert_eq!((&seen.stdout[..], &seen.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        let exit = seen.exit.unwrap();
        assert_eq!((exit.code, exit.pid), (9, pid));
        // Still there for who asks later, in every way.
        assert_eq!(soon(shim.client.wait(Some("one"))).await.unwrap(), exit);
        let state = soon(shim.client.state()).await.unwrap();
        assert_eq!((state.execs[0].exec_id.as_str(), state.execs[0].exit.as_ref()), ("one", Some(&exit)));
        let taken = soon(shim.client.exec(exec("one", "true"))).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(soon(shim.client.wait(Some("two"))).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(shim.log().len(), 0, "an exec's output is not the container's");
        end(shim).await;
    });
}

#[test]
fn programs_that_cannot_run() {
    in_own_world(async || {
        let shim = idle().await;
        let mut request = exec("one", "");
        request.process = process(&["/bin/nope"]).to_string();
        let error = soon(shim.client.exec_attached(request.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProgramNotFound, "{error}");
        request.process = process(&["/tmp"]).to_string();
        let error = soon(shim.client.exec(request.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotExecute, "{error}");
        request.process = "{".to_owned();
        let error = soon(shim.client.exec(request)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        end(shim).await;
    });
}

#[test]
fn input_ends_with_its_client() {
    in_own_world(async || {
        let shim = idle().await;
        let request = |id: &str| {
            let mut request = exec(id, "cat; exit 6");
            request.stdin = true;
            request
        };
        let (_, mut stream) = soon(shim.client.exec_attached(request("told"))).await.unwrap();
        soon(stream.stdin(b"abc")).await.unwrap();
        soon(stream.close_stdin()).await.unwrap();
        let seen = see(&mut stream).await;
        assert_eq!((&seen.stdout[..], seen.exit.unwrap().code), (&b"abc"[..], 6));
        let (_, stream) = soon(shim.client.exec_attached(request("lost"))).await.unwrap();
        drop(stream);
        assert_eq!(soon(shim.client.wait(Some("lost"))).await.unwrap().code, 6);
        end(shim).await;
    });
}

#[test]
fn a_terminal() {
    in_own_world(async || {
        let shim = idle().await;
        let mut request = exec("tty", "stty size; read line; stty size; exit 2");
        request.terminal = true;
        request.stdin = true;
        request.size = Some(TerminalSize { rows: 20, cols: 70 });
        let (_, mut stream) = soon(shim.client.exec_attached(request)).await.unwrap();
        see_until(&mut stream, "20 70\r\n").await;
        soon(shim.client.resize(Some("tty"), TerminalSize { rows: 21, cols: 71 })).await.unwrap();
        soon(stream.stdin(b"\n")).await.unwrap();
        see_until(&mut stream, "21 71\r\n").await;
        assert_eq!(see(&mut stream).await.exit.unwrap().code, 2);
        end(shim).await;
    });
}

#[test]
fn detached_and_attached_to_later() {
    in_own_world(async || {
        let shim = idle().await;
        let mut request = exec("bg", "read go; echo \"$go\"");
        request.stdin = true;
        soon(shim.client.exec(request)).await.unwrap();
        let attach = AttachRequest {
            exec: Some("bg".into()),
            streams: Streams::ALL,
            backpressure: Backpressure::Block,
        };
        let mut stream = soon(shim.client.attach(attach)).await.unwrap();
        soon(stream.stdin(b"hi\n")).await.unwrap();
        assert_eq!(see(&mut stream).await.stdout, b"hi\n");
        end(shim).await;
    });
}

#[test]
fn what_it_leaves_behind_does_not_hold_it_up() {
    in_own_world(async || {
        let shim = idle().await;
        let (_, mut stream) =
            soon(shim.client.exec_attached(exec("orphans", "sleep 1000 & echo bye; exit 4"))).await.unwrap();
        let seen = see(&mut stream).await;
        assert_eq!((&seen.stdout[..], seen.exit.unwrap().code), (&b"bye\n"[..], 4));
        end(shim).await;
    });
}

/// Nobody reads, and what outlives the exec writes as fast as it can: the shim takes only so much of that.
#[test]
fn what_it_leaves_behind_does_not_fill_the_shim() {
    in_own_world(async || {
        let shim = idle().await;
        let request = exec("noisy", "yes 0123456789012345678901234567890123456789 & exit 4");
        let (_, stream) = soon(shim.client.exec_attached(request)).await.unwrap();
        assert_eq!(soon(shim.client.wait(Some("noisy"))).await.unwrap().code, 4);
        let status = fs::read_to_string(format!("/proc/{}/status", shim.pid)).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
        assert!(peak < 32 << 10, "{peak} KiB at the peak");
        drop(stream);
        end(shim).await;
    });
}

#[test]
fn signals_and_the_end_of_the_container() {
    in_own_world(async || {
        let shim = idle().await;
        soon(shim.client.exec(exec("killed", "sleep 1000"))).await.unwrap();
        soon(shim.client.signal(Some("killed"), 9)).await.unwrap();
        assert_eq!(soon(shim.client.wait(Some("killed"))).await.unwrap().code, 137);
        let (_, mut stream) = soon(shim.client.exec_attached(exec("swept", "sleep 1000"))).await.unwrap();
        soon(shim.client.signal(None, 9)).await.unwrap();
        assert_eq!(see(&mut stream).await.exit.unwrap().code, 137);
        shim.wait().await;
        let late = soon(shim.client.exec(exec("late", "true"))).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::FailedPrecondition);
        shim.shutdown().await;
    });
}

#[test]
fn only_so_many_ended_ones_are_remembered() {
    in_own_world(async || {
        let shim = idle().await;
        for number in 0..70 {
            let id = format!("e{number}");
            soon(shim.client.exec(exec(&id, "exit 1"))).await.unwrap();
            assert_eq!(soon(shim.client.wait(Some(&id))).await.unwrap().code, 1);
        }
        let state = soon(shim.client.state()).await.unwrap();
        assert_eq!(state.execs.len(), 64);
        assert_eq!(state.execs.last().unwrap().exec_id, "e69");
        end(shim).await;
    });
}
