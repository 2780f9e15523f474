//! Compiled profiles in the kernel: each case filters a thread of its own, which ends with it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::os::fd::OwnedFd;
use std::thread;
use std::time::Instant;

use ross_runtime::defaults::{CAPABILITIES, default_seccomp};
use ross_runtime::seccomp::{Program, compile};
use ross_runtime::spec::Seccomp;
use ross_sys::seccomp::{Flags, load};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

/// Runs `body` in a thread under the filter.
fn filtered<T: Send + 'static>(
    program: Program,
    body: impl FnOnce(Option<OwnedFd>) -> T + Send + 'static,
) -> T {
    let thread = thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        let listener = load(&program.instructions, program.flags).unwrap();
        body(listener)
    });
    thread.join().unwrap()
}

fn profile(json: &str) -> Program {
    compile(&serde_json::from_str::<Seccomp>(json).unwrap()).unwrap()
}

fn mount() -> Result<(), Errno> {
    rustix::mount::mount("none", "/nonexistent", "tmpfs", rustix::mount::MountFlags::empty(), None)
}

#[test]
fn the_default_profile_lets_programs_live_and_nothing_else() {
    let program = compile(&default_seccomp(&CAPABILITIES)).unwrap();
    let start = Instant::now();
    let loaded = filtered(program, move |_| {
        let loaded = start.elapsed();
        assert_eq!(mount(), Err(Errno::PERM));
        assert_eq!(rustix::system::sethostname(b"other"), Err(Errno::PERM));
        let socket = |family: u16| {
            rustix::net::socket(AddressFamily::from_raw(family), SocketType::SEQPACKET, None).map(drop)
        };
        assert_eq!(socket(38), Err(Errno::PERM), "AF_ALG");
        assert_eq!(socket(40), Err(Errno::PERM), "AF_VSOCK");
        rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        // A thread is made with clone, after clone3 answered ENOSYS; a process by clone or vfork.
        assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
        assert!(std::process::Command::new("true").status().unwrap().success());
        let file = tempfile::tempfile().unwrap();
        rustix::fs::fsync(&file).unwrap();
        loaded
    });
    println!("a thread was made and filtered within {loaded:?}");
}

#[test]
fn errno_values_are_returned() {
    let program = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["mount"],"action":"SCMP_ACT_ERRNO","errnoRet":111},
            {"names":["sethostname"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    filtered(program, |_| {
        assert_eq!(mount(), Err(Errno::CONNREFUSED));
        assert_eq!(rustix::system::sethostname(b"other"), Err(Errno::PERM));
    });
}

#[test]
fn arguments_are_looked_at() {
    let program = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO","errnoRet":97,
            "args":[{"index":0,"value":16,"op":"SCMP_CMP_EQ"},{"index":2,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#,
    );
    filtered(program, |_| {
        let netlink = |protocol: u32| {
            let protocol = rustix::net::Protocol::from_raw(rustix::net::RawProtocol::new(protocol).unwrap());
            rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, Some(protocol)).map(drop)
        };
        assert_eq!(netlink(9), Err(Errno::AFNOSUPPORT), "NETLINK_AUDIT");
        assert_eq!(netlink(15), Ok(()), "NETLINK_KOBJECT_UEVENT");
    });
}

#[test]
fn every_flag_is_taken() {
    let program = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/agent","syscalls":[{"names":["mount"],"action":"SCMP_ACT_NOTIFY"}],
            "flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
    );
    assert!(program.flags.contains(Flags::NEW_LISTENER.union(Flags::WAIT_KILLABLE)));
    let listened = filtered(program, |listener| {
        // Nobody listens any more once it is closed, which ends the call with ENOSYS.
        drop(listener.unwrap());
        mount()
    });
    assert_eq!(listened, Err(Errno::NOSYS));
}
