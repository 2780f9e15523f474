//! Descriptors of the host in a container: to be entered, to be looked into, to be changed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::bundle::Bundle;

/// The process that waits for start has descriptors of the host, and the user and capabilities of the container.
#[test]
fn cve_2016_9962_nobody_looks_into_a_container_that_waits() {
    let bundle = Bundle::new("sleep 100");
    let script = "for f in /proc/1/fd/*; do readlink $f && ls $f/../../../..; done; true";
    assert_eq!(bundle.detached(&["create"]), 0);
    let said = bundle.runtime(&["exec", "ID", "sh", "-c", script]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    // Who may trace everything sees the streams and the FIFOs of the start, and no directory.
    let script = "for f in /proc/1/fd/*; do readlink $f; test -d $f && echo DIRECTORY; done; true";
    let said = bundle.runtime(&["exec", "--cap", "CAP_SYS_PTRACE", "ID", "sh", "-c", script]);
    assert!(said.out.contains("/report") && said.out.lines().count() == 5, "{said:?}");
    assert!(!said.out.contains("DIRECTORY"), "{said:?}");
    // The program itself is not hidden from its own kind.
    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
    assert_eq!(bundle.runtime(&["exec", "ID", "readlink", "/proc/1/cwd"]).out, "/\n");
}

#[test]
fn cve_2016_9962_nobody_looks_into_what_joins() {
    // The first program opens whatever it sees of any process for as long as others join.
    let spy = "while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/self) continue;; esac; \
               ls -d $p/root/usr $p/cwd/Cargo.toml 2>/dev/null; \
               for f in $p/fd/*; do readlink $f 2>/dev/null; done; done; done > /seen";
    let bundle = Bundle::new(spy);
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    bundle.wait_for_file("seen");
    for _ in 0..20 {
        assert_eq!(bundle.runtime(&["exec", "ID", "true"]).code, 0);
    }
    let seen = std::fs::read_to_string(bundle.rootfs().join("seen")).unwrap();
    let host = bundle.outside("");
    let of_host = |line: &&str| {
        ["/usr", "/Cargo.toml"].iter().any(|end| line.ends_with(end))
            || line.starts_with(host.to_str().unwrap())
    };
    assert_eq!(seen.lines().find(of_host), None);
}

#[test]
fn cve_2024_21626_a_descriptor_as_working_directory() {
    const CLIMB: &str = "cat ../../../../../../../../etc/shadow";
    let mut bundle = Bundle::new(CLIMB);
    for number in 3..16 {
        symlink(format!("/proc/self/fd/{number}"), bundle.rootfs().join(format!("link{number}"))).unwrap();
    }
    // It is refused, or is one in the container's own root.
    let held = |code: i32, out: &str, err: &str| {
        (code != 0 && err.contains("process.cwd")) || (out.is_empty() && err.contains("No such file"))
    };
    let of = |number| {
        [format!("/proc/self/fd/{number}"), format!("/link{number}"), format!("/proc/self/fd/{number}/../..")]
    };
    for cwd in (3..16).flat_map(of) {
        bundle.config["process"]["cwd"] = json!(cwd);
        let said = bundle.run();
        assert!(held(said.code, &said.out, &said.err), "{cwd}: {said:?}");
    }
    bundle.config["process"]["cwd"] = json!("/");
    bundle.config["process"]["args"] = json!(["sleep", "100"]);
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    for cwd in (3..16).flat_map(of) {
        let said = bundle.runtime(&["exec", "--cwd", &cwd, "ID", "sh", "-c", CLIMB]);
        assert!(held(said.code, &said.out, &said.err), "{cwd}: {said:?}");
    }
}

#[test]
fn cve_2024_21626_a_missing_working_directory_is_made_in_the_root() {
    let mut bundle = Bundle::new("pwd");
    bundle.config["process"]["cwd"] = json!("/a/b");
    assert_eq!(bundle.run().out, "/a/b\n");
}

#[test]
fn cve_2024_21626_no_descriptor_is_left_to_the_program() {
    let script = "for fd in /proc/self/fd/*; do readlink $fd; done";
    let bundle = Bundle::new(script);
    // Standard streams, and the script's own. What the caller has open without a word about it stays with the caller.
    let foreign = |line: &&str| line.starts_with('/') && *line != "/dev/null";
    let said = bundle.shell("exec 5</etc/hostname 9</; $RUN");
    assert_eq!(said.out.lines().filter(foreign).count(), 0, "{said:?}");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let said = bundle.runtime(&["exec", "ID", "sh", "-c", script]);
    assert_eq!(said.out.lines().filter(foreign).count(), 0, "{said:?}");
    let kept = bundle.run_with(&["--preserve-fds", "90"]);
    assert!(
        kept.code == 1 && kept.err.contains("descriptor 3 is for the program, and is not open"),
        "{kept:?}"
    );
}

#[test]
fn the_socket_of_an_agent_and_its_listener_are_closed() {
    let mut bundle = Bundle::new("for fd in /proc/self/fd/*; do readlink $fd; done");
    let path = bundle.outside("agent");
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
    let agent = UnixListener::bind(path).unwrap();
    let agent = std::thread::spawn(move || agent.accept().unwrap());
    let said = bundle.run();
    agent.join().unwrap();
    assert!(said.out.contains("/dev/null"), "{said:?}");
    assert!(!said.out.contains("socket:") && !said.out.contains("anon_inode"), "{said:?}");
}

#[test]
fn standard_streams_that_are_dev_null_are_the_own_one() {
    // The node behind the caller's is the host's: a change of its mode would be one for the whole host.
    let script =
        "busybox chmod 600 /proc/self/fd/0; busybox chmod 600 /proc/self/fd/1; stat -c %a /dev/null >&2";
    let mut bundle = Bundle::new(script);
    let host = bundle.outside("null");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &host,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o666)).unwrap();
    let said = bundle.shell("$RUN < $D/null > $D/null");
    assert_eq!(said.err, "600\n", "{said:?}");
    // The same for what joins.
    bundle.config["process"]["args"] = json!(["sleep", "100"]);
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let said = bundle.shell(&format!(
        "EXEC=$(echo $RUN | sed 's/ run .*/ exec/'); $EXEC {} sh -c '{script}' < $D/null > $D/null",
        bundle.id
    ));
    assert_eq!(said.err, "600\n", "{said:?}");
    // Whatever the container has made of its own, before.
    for change in ["rm /dev/null", "echo text > /dev/null", "rm /dev/null; busybox mkfifo /dev/null"] {
        let change = bundle.runtime_with_input(&["exec", "ID", "sh", "-c", change], "");
        assert_eq!(change.code, 0, "{change:?}");
        let script =
            "busybox chmod 600 /proc/self/fd/0; busybox chmod 600 /proc/self/fd/1; cat; echo end >&2";
        let said = bundle.shell(&format!(
            "EXEC=$(echo $RUN | sed 's/ run .*/ exec/'); $EXEC {} sh -c '{script}' < $D/null > $D/null",
            bundle.id
        ));
        assert_eq!(said.err, "end\n", "{said:?}");
    }
    let mode = std::fs::metadata(&host).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "the host's node was changed");
}
