//! Attached clients: everything arrives, in both directions, however fast or slow they are.

use std::time::Duration;

use ross_shim::client::{AttachEvent, ClientError};
use ross_shim::protocol::{Backpressure, Streams, TerminalSize};
use ross_types::ErrorKind;

use crate::harness::{Bundle, in_own_world, see, see_until, soon};

#[test]
fn from_the_first_byte_to_the_last() {
    in_own_world(async || {
        let shim = Bundle::script("echo first; echo second >&2; exit 4").launch().await;
        let mut both = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        let stderr = Streams { stderr: true, ..Streams::default() };
        let mut one = shim.attach(stderr, Backpressure::Disconnect).await;
        soon(shim.client.start(None)).await.unwrap();
        let seen = see(&mut both).await;
        assert_eq!((&seen.stdout[..], &seen.stderr[..]), (&b"first\n"[..], &b"second\n"[..]));
        assert_eq!(seen.exit, Some(shim.wait().await));
        let seen = see(&mut one).await;
        assert_eq!((&seen.stdout[..], &seen.stderr[..]), (&b""[..], &b"second\n"[..]));
        // Who comes too late hears how it ended.
        let mut late = shim.attach(Streams::ALL, Backpressure::Block).await;
        assert_eq!(see(&mut late).await.exit.map(|exit| exit.code), Some(4));
        shim.shutdown().await;
    });
}

#[test]
fn input_comes_through() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/cat"]).with_stdin().launch().await;
        let (mut reader, mut writer) = shim.attach(Streams::ALL, Backpressure::Block).await.split();
        // Some of it before there is a program to read it.
        let input: Vec<u8> = (0..600_000_u32).map(|number| number.to_le_bytes()[0] ^ 0x5a).collect();
        let expected = input.clone();
        let sender = tokio::spawn(async move {
            writer.stdin(&input).await.unwrap();
            writer.close_stdin().await.unwrap();
        });
        soon(shim.client.start(None)).await.unwrap();
        let mut output = Vec::new();
        let exit = loop {
            match soon(reader.next()).await.unwrap().unwrap() {
                AttachEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
                AttachEvent::Exited(exit) => break exit,
            }
        };
        assert_eq!(exit.code, 0);
        assert!(output == expected, "{} bytes of {}", output.len(), expected.len());
        soon(sender).await.unwrap();
        shim.shutdown().await;
    });
}

#[test]
fn stdin_stays_open_for_the_next_client() {
    in_own_world(async || {
        let mut bundle = Bundle::new(&["/bin/cat"]).with_stdin();
        bundle.config.stdin_once = false;
        let shim = bundle.start().await;
        for line in ["one\n", "two\n"] {
            let mut client = shim.attach(Streams::ALL, Backpressure::Block).await;
            soon(client.stdin(line.as_bytes())).await.unwrap();
            soon(client.close_stdin()).await.unwrap();
            see_until(&mut client, line).await;
        }
        soon(shim.client.close_stdin(None)).await.unwrap();
        assert_eq!(shim.wait().await.code, 0);
        assert_eq!(shim.log().len(), 2);
        shim.shutdown().await;
    });
}

#[test]
fn a_lost_connection_is_no_end_of_input() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/cat"]).with_stdin().start().await;
        let mut client = shim.attach(Streams::ALL, Backpressure::Block).await;
        soon(client.stdin(b"before\n")).await.unwrap();
        see_until(&mut client, "before").await;
        drop(client);
        let mut client = shim.attach(Streams::ALL, Backpressure::Block).await;
        soon(client.stdin(b"after\n")).await.unwrap();
        see_until(&mut client, "after").await;
        soon(client.close_stdin()).await.unwrap();
        assert_eq!(see(&mut client).await.exit.unwrap().code, 0);
        shim.shutdown().await;
    });
}

#[test]
fn a_terminal_with_its_size() {
    in_own_world(async || {
        let shim = Bundle::script("stty size; read line; stty size; echo \"got $line\"")
            .with_terminal()
            .launch()
            .await;
        let mut client = shim.attach(Streams::ALL, Backpressure::Block).await;
        soon(shim.client.start(Some(TerminalSize { rows: 33, cols: 101 }))).await.unwrap();
        see_until(&mut client, "33 101\r\n").await;
        soon(client.resize(TerminalSize { rows: 44, cols: 202 })).await.unwrap();
        soon(client.stdin(b"hello\n")).await.unwrap();
        see_until(&mut client, "44 202\r\ngot hello\r\n").await;
        assert_eq!(see(&mut client).await.exit.unwrap().code, 0);
        let text: String = shim.log().into_iter().map(|(_, text)| text).collect();
        assert!(text.starts_with("33 101\r\n"), "{text:?}");
        shim.shutdown().await;
    });
}

#[test]
fn a_size_for_what_has_no_terminal() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).start().await;
        let size = TerminalSize { rows: 1, cols: 1 };
        let error = soon(shim.client.resize(None, size)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        soon(shim.client.signal(None, 9)).await.unwrap();
        shim.wait().await;
        shim.shutdown().await;
    });
}

#[test]
fn a_slow_client_holds_the_program_up_and_loses_nothing() {
    in_own_world(async || {
        let shim = Bundle::script(
            "head -c 4000000 /proc/self/exe >/dev/null; yes 0123456 2>/dev/null | head -c 4000000",
        )
        .launch()
        .await;
        let mut slow = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(300), shim.client.wait(None)).await;
        assert!(early.is_err(), "the program ended before its output was taken");
        let seen = see(&mut slow).await;
        assert_eq!(seen.stdout.len(), 4_000_000);
        assert!(seen.stdout.chunks(8).all(|line| line == b"0123456\n"));
        assert_eq!(shim.wait().await.code, 0);
        shim.shutdown().await;
    });
}

#[test]
fn a_slow_client_has_the_rest_after_the_shim_was_told_to_leave() {
    in_own_world(async || {
        // More than a socket holds, less than what holds the program up.
        let shim = Bundle::script("head -c 400000 /dev/zero; exit 7").launch().await;
        let mut slow = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        assert_eq!(shim.wait().await.code, 7);
        soon(shim.client.shutdown()).await.unwrap();
        assert!(!shim.path("shim.sock").exists(), "another shim may take its place");
        let seen = see(&mut slow).await;
        assert_eq!((seen.stdout.len(), seen.exit.map(|exit| exit.code)), (400_000, Some(7)));
        soon(async {
            while shim.client.state().await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;
    });
}

#[test]
fn an_onlooker_that_is_too_slow_is_disconnected() {
    in_own_world(async || {
        let mut bundle = Bundle::script("yes 0123456 2>/dev/null | head -c 4000000");
        bundle.config.log.max_size = 0;
        let shim = bundle.launch().await;
        let mut slow = shim.attach(Streams::OUTPUT, Backpressure::Disconnect).await;
        soon(shim.client.start(None)).await.unwrap();
        assert_eq!(shim.wait().await.code, 0);
        let error = loop {
            match soon(slow.next()).await {
                Ok(Some(AttachEvent::Output { .. })) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Refused { kind: ErrorKind::ResourceExhausted, .. }), "{error}");
        let logged: usize = shim.log().iter().map(|(_, text)| text.len()).sum();
        assert_eq!(logged, 4_000_000);
        shim.shutdown().await;
    });
}

#[test]
fn a_client_that_dies_disturbs_nobody() {
    in_own_world(async || {
        let shim = Bundle::script("yes 0123456 2>/dev/null | head -c 4000000").launch().await;
        let mut dying = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        let mut living = shim.attach(Streams::OUTPUT, Backpressure::Block).await;
        soon(shim.client.start(None)).await.unwrap();
        assert!(matches!(soon(dying.next()).await, Ok(Some(AttachEvent::Output { .. }))));
        drop(dying);
        assert_eq!(see(&mut living).await.stdout.len(), 4_000_000);
        assert_eq!(shim.wait().await.code, 0);
        shim.shutdown().await;
    });
}
