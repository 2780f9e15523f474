//! The seccomp agent gets the listener of a container and of an exec.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::thread;

use bundle::Bundle;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

/// Takes one listener and what is told with it.
fn take(agent: &UnixListener) -> (Value, OwnedFd) {
    let (socket, _) = agent.accept().unwrap();
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (serde_json::from_slice(&bytes[..got.unwrap().bytes]).unwrap(), fd.unwrap())
}

/// Two listeners, let go of at once: the calls they are asked about end with ENOSYS then.
fn take_two(agent: UnixListener) -> thread::JoinHandle<[Value; 2]> {
    thread::spawn(move || [take(&agent).0, take(&agent).0])
}

fn notify_mkdir(bundle: &mut Bundle, no_new_privileges: bool) -> UnixListener {
    let path = bundle.outside("agent");
    bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "the \"agent\"",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
    UnixListener::bind(path).unwrap()
}

#[test]
fn of_a_container_and_an_exec() {
    for no_new_privileges in [false, true] {
        let script = "mkdir /tmp/made; echo $? > /tmp/code; sleep 100";
        let mut bundle = Bundle::new(script);
        let agent = take_two(notify_mkdir(&mut bundle, no_new_privileges));
        assert_eq!(bundle.detached(&["create"]), 0);
        assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
        let said = bundle.runtime(&["exec", "ID", "mkdir", "/tmp/other"]);
        assert!(said.code == 1 && said.err.contains("Function not implemented"), "{said:?}");
        let [container, exec] = agent.join().unwrap();
        assert!(!bundle.rootfs().join("tmp/made").exists());
        let pid = bundle.pid();
        for (told, status) in [(&container, "creating"), (&exec, "running")] {
            assert_eq!(told["fds"], json!(["seccompFd"]));
            assert_eq!(told["metadata"], "the \"agent\"");
            assert_eq!(told["state"]["status"], status);
            assert_eq!(told["state"]["id"], bundle.id.as_str());
            assert_eq!(told["state"]["pid"], pid);
        }
        assert_eq!(container["pid"], pid);
        assert_ne!(exec["pid"], pid);
    }
}

#[test]
fn that_is_not_there() {
    let mut bundle = Bundle::new("true");
    drop(notify_mkdir(&mut bundle, true));
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("connect to seccomp agent"), "{said:?}");
    bundle.assert_gone();
    bundle.config["linux"]["seccomp"]["listenerPath"] = json!("");
    bundle.config["linux"]["seccomp"]["listenerMetadata"] = json!("");
    let said = bundle.run();
    assert!(
        said.code == 1 && said.err.contains("linux.seccomp.listenerPath: required by SCMP_ACT_NOTIFY"),
        "{said:?}"
    );
}
