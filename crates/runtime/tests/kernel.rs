//! What is asked of the kernel, as docs/kernel.md promises it: nothing newer than the floor is needed, and what the floor
//! has is missed in words. A filter around the runtime answers ENOSYS in the kernel's place, as an older one would.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use bundle::Bundle;
use ross_runtime::seccomp::{Abi, compile, lookup_syscall, syscall_names};
use ross_runtime::spec::{Seccomp, SeccompAction, SyscallRule};
use serde_json::json;

/// `set_mempolicy_home_node`, the newest call of Linux 6.1 on x86-64 and aarch64 (asm-generic/unistd.h).
const NEWEST_OF_THE_FLOOR: u32 = 450;

/// Does `body` in a thread without these calls; what it starts has none of them either.
fn without<T: Send>(calls: &[&str], body: impl FnOnce() -> T + Send) -> T {
    let profile = Seccomp {
        default_action: SeccompAction::Allow,
        syscalls: vec![SyscallRule {
            names: calls.iter().map(|&name| name.to_owned()).collect(),
            action: SeccompAction::Errno,
            errno_ret: Some(38),
            args: Vec::new(),
        }],
        ..Seccomp::default()
    };
    let program = compile(&profile).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // As root and without no_new_privs, which the container would have for good.
            assert!(ross_sys::seccomp::load(&program.instructions, program.flags).unwrap().is_none());
            body()
        });
        thread.join().unwrap()
    })
}

fn newer_than_the_floor() -> Vec<&'static str> {
    let abi = if cfg!(target_arch = "aarch64") { Abi::Aarch64 } else { Abi::X86_64 };
    let is_newer =
        |name: &&str| lookup_syscall(name).unwrap().get(abi).is_some_and(|nr| nr > NEWEST_OF_THE_FLOOR);
    let newer: Vec<&str> = syscall_names().filter(is_newer).collect();
    for known in ["fchmodat2", "statmount", "setxattrat", "open_tree_attr"] {
        assert!(newer.contains(&known), "{known}");
    }
    newer
}

/// A configuration with as much in it as can be had at once.
fn with_everything(script: &str) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.mount(json!({"destination": "/bound", "source": "/etc", "options": ["rbind", "rro", "nosuid"]}));
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    // Not of the host's root, whose file system may be one that cannot be mapped.
    let mapped = bundle.outside("mapped");
    std::fs::create_dir(&mapped).unwrap();
    bundle.mount(json!({"destination": "/mapped", "source": mapped, "options": ["bind", "idmap"],
        "uidMappings": map, "gidMappings": map}));
    bundle.mount(json!({"destination": "/etc", "type": "tmpfs", "options": ["tmpcopyup", "size=1m"]}));
    bundle.config["root"]["readonly"] = json!(true);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "77"});
    bundle.config["linux"]["rootfsPropagation"] = json!("private");
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        bundle.config["hooks"][kind] = json!([{"path": "/bin/true"}]);
    }
    bundle
}

#[test]
fn nothing_newer_than_the_floor_is_needed() {
    let newer = newer_than_the_floor();
    let bundle = with_everything("cat /proc/sys/net/ipv4/ip_unprivileged_port_start; exit 4");
    let said = without(&newer, || bundle.run());
    assert_eq!((said.code, said.out.as_str()), (4, "77\r\n"), "{said:?}");
    let mut bundle = Bundle::new("sleep 100");
    bundle.user_namespace();
    without(&newer, || {
        assert_eq!(bundle.detached(&["create"]), 0);
        for command in [
            &["start", "ID"][..],
            &["exec", "ID", "true"],
            &["exec", "--user", "7:8", "--cap", "CAP_KILL", "ID", "true"],
            &["ps", "ID"],
            &["pause", "ID"],
            &["resume", "ID"],
            &["kill", "ID", "KILL"],
        ] {
            let said = bundle.runtime(command);
            assert_eq!(said.code, 0, "{command:?}: {said:?}");
        }
        bundle.wait_for("stopped");
        assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
    });
}

#[test]
fn what_may_be_missing_is_done_without() {
    // Kernels without keyrings, and outer filters that are older than faccessat2 or rseq.
    for calls in
        [&["keyctl", "add_key", "request_key"][..], &["faccessat2"], &["rseq", "statx"], &["getrandom"]]
    {
        let bundle = Bundle::new("sleep 100");
        without(calls, || {
            assert_eq!(bundle.detached(&["create"]), 0, "{calls:?}");
            assert_eq!(bundle.runtime(&["start", "ID"]).code, 0, "{calls:?}");
            let said = bundle.runtime(&["exec", "ID", "echo", "ran"]);
            assert_eq!(said.out, "ran\n", "{calls:?}: {said:?}");
        });
    }
}

#[test]
fn without_a_read_only_mount_the_runtime_runs_from_memory() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    for call in ["open_tree", "mount_setattr"] {
        let mut exec =
            without(&[call], || bundle.spawn(&["exec", "ID", "sh", "-c", "touch /ran; sleep 100"]));
        bundle.wait_for_file("ran");
        let exe = std::fs::read_link(format!("/proc/{}/exe", exec.id())).unwrap();
        assert!(exe.to_str().unwrap().starts_with("/memfd:ross-runtime"), "{call}: {}", exe.display());
        exec.kill().unwrap();
        exec.wait().unwrap();
        std::fs::remove_file(bundle.rootfs().join("ran")).unwrap();
    }
    // Neither: it does not matter for run, which cannot do without.
    let said = without(&["open_tree", "memfd_create"], || bundle.runtime(&["exec", "ID", "echo", "ran"]));
    assert_eq!(said.out, "ran\n", "{said:?}");
}

#[test]
fn what_the_floor_has_is_missed_by_name() {
    for call in [
        "clone3",
        "open_tree",
        "openat2",
        "fsopen",
        "fsconfig",
        "fsmount",
        "move_mount",
        "mount_setattr",
        "close_range",
    ] {
        let bundle = Bundle::new("true");
        let said = without(&[call], || bundle.run());
        assert_eq!(said.code, 1, "{call}: {said:?}");
        assert!(said.err.contains(call), "{call}: {said:?}");
        assert!(said.err.contains("Linux 6.1"), "{call}: {said:?}");
        bundle.assert_gone();
    }
    let mut bundle = Bundle::new("true");
    bundle.config["hooks"]["createContainer"] = json!([{"path": "/bin/true"}]);
    let said = without(&["memfd_create"], || bundle.run());
    assert!(said.code == 1 && said.err.contains("hook createContainer /bin/true"), "{said:?}");
    assert!(said.err.contains("Linux 6.1"), "{said:?}");
    bundle.assert_gone();
}

#[test]
fn what_the_floor_has_is_missed_by_name_in_a_container_that_runs() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    for (call, command) in [
        ("clone3", &["exec", "ID", "true"][..]),
        ("close_range", &["exec", "ID", "true"]),
        ("pidfd_open", &["exec", "ID", "true"]),
        ("pidfd_open", &["kill", "ID", "0"]),
        ("pidfd_send_signal", &["kill", "ID", "0"]),
        ("openat2", &["exec", "ID", "true"]),
        ("openat2", &["pause", "ID"]),
    ] {
        let said = without(&[call], || bundle.runtime(command));
        assert_ne!(said.code, 0, "{call}: {said:?}");
        assert!(said.err.contains(call), "{call}: {said:?}");
        assert!(said.err.contains("Linux 6.1"), "{call}: {said:?}");
    }
    assert_eq!(bundle.status(), "running");
}
