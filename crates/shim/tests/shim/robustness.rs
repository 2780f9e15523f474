//! Bad clients, and a lot of output.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use ross_shim::protocol::{MAX_FRAME, Status, preamble};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::{Bundle, DEADLINE, in_own_world, soon};

/// Sends `bytes` and waits until the shim hangs up.
fn is_hung_up_on(path: &std::path::Path, bytes: &[u8]) {
    let mut socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    // The shim may hang up before it has read everything.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let end = socket.read_to_end(&mut answer);
    let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "still connected after {bytes:?}");
}

#[test]
fn nonsense_ends_only_its_own_connection() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).start().await;
        let socket = shim.path("shim.sock");
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let framed = |payload: &[u8]| {
            let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
            [&preamble()[..], &length[..], payload].concat()
        };
        is_hung_up_on(&socket, b"GET / HTTP/1.1\r\n\r\n");
        is_hung_up_on(&socket, &framed(&[0xff; 20]));
        is_hung_up_on(&socket, &framed(&[]));
        let announced = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes();
        is_hung_up_on(&socket, &[&preamble()[..], &announced[..]].concat());
        // More than was asked for while an answer is due: Wait{None}, then State.
        is_hung_up_on(&socket, &[&framed(&[7, 0])[..], &[1, 0, 0, 0, 1][..]].concat());
        assert_eq!(soon(shim.client.state()).await.unwrap().status, Status::Running);

        // More clients than it takes at once: the rest wait, and are served when others go.
        let crowd: Vec<_> = (0..260).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
        assert_eq!(soon(shim.client.state()).await.unwrap().status, Status::Running);
        drop(crowd);
        let other = soon(ross_shim::client::ShimClient::connect(&socket)).await.unwrap();
        assert_eq!(soon(other.state()).await.unwrap().status, Status::Running);
        soon(shim.client.signal(None, 9)).await.unwrap();
        shim.wait().await;
        shim.shutdown().await;
    });
}

#[test]
fn much_output_is_logged_within_bounds() {
    in_own_world(async || {
        let mut bundle =
            Bundle::script("yes 0123456789012345678901234567890123456789 2>/dev/null | head -c 41000000");
        bundle.config.log.max_size = 4 << 20;
        let shim = bundle.launch().await;
        let start = Instant::now();
        soon(shim.client.start(None)).await.unwrap();
        assert_eq!(shim.wait().await.code, 0);
        println!("41 MB of output in 1,000,000 lines logged in {:?}", start.elapsed());
        for suffix in ["", ".1", ".2"] {
            let path = format!("{}{suffix}", shim.bundle.config.log.path.display());
            assert!(fs::metadata(path).unwrap().len() <= 4 << 20);
        }
        assert!(!shim.path("container.log.3").exists());
        let odd: Vec<_> = shim.log().into_iter().filter(|(_, line)| line.len() != 41).collect();
        assert_eq!(odd, []);
        shim.shutdown().await;
    });
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    in_own_world(async || {
        let mut bundle = Bundle::script("echo lost; exit 3");
        bundle.config.log.path = "/dev/full".into();
        let shim = bundle.start().await;
        let exit = shim.wait().await;
        assert_eq!(exit.code, 3);
        assert!(exit.error.unwrap().contains("No space left"));
        shim.shutdown().await;
    });
}

/// As long as the shim has no descriptor for a client, the client waits, and the shim sleeps.
#[test]
fn clients_wait_for_descriptors() {
    in_own_world(async || {
        let shim = Bundle::new(&["/bin/sleep", "1000"]).start().await;
        let sleeps = || -> u64 {
            let status = fs::read_to_string(format!("/proc/{}/status", shim.pid)).unwrap();
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count.unwrap().trim().parse().unwrap()
        };
        let process = Pid::from_raw(shim.pid);
        let ordinary = getrlimit(Resource::Nofile);
        prlimit(process, Resource::Nofile, Rlimit { current: Some(0), ..ordinary }).unwrap();
        let before = sleeps();
        let mut waiting = UnixStream::connect(shim.path("shim.sock")).unwrap();
        soon(async {
            while sleeps() == before {
                tokio::task::yield_now().await
            }
        })
        .await;
        prlimit(process, Resource::Nofile, ordinary).unwrap();
        waiting.set_read_timeout(Some(DEADLINE)).unwrap();
        waiting.read_exact(&mut preamble()).unwrap();
        soon(shim.client.signal(None, 9)).await.unwrap();
        shim.wait().await;
        shim.shutdown().await;
    });
}
