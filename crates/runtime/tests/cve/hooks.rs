//! Hooks: programs of the host that know nothing of the runtime, and see the container as it is.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn environment_and_descriptors_are_those_said() {
    let mut bundle = Bundle::new("true");
    let log = bundle.outside("hooks");
    let script =
        format!("for fd in /proc/self/fd/*; do readlink $fd; done >> {0}; env >> {0}", log.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["ONLY=this"]}]);
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        bundle.config["hooks"][kind] = hook.clone();
    }
    let said = bundle.shell("exec 7</etc/hostname; SECRET=of-the-runtime $RUN");
    assert_eq!(said.code, 0, "{said:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("ONLY=this").count(), 5, "{text}");
    assert!(!text.contains("SECRET") && !text.contains("/etc/hostname"), "{text}");
    // The state on standard input is in memory; sockets and mounts of the set-up are not for hooks.
    assert!(!text.contains("socket:") && !text.contains("rootfs") && text.contains("memfd:state"), "{text}");
}

#[test]
fn create_container_is_in_the_mounts_of_the_container_before_the_root_changes() {
    let mut bundle = Bundle::new("readlink /proc/self/ns/mnt");
    let log = bundle.outside("hook");
    let root = bundle.rootfs();
    let script = format!(
        "{{ readlink /proc/self/ns/mnt; stat -f -c %T {root}/proc; test -e {root}/bin/busybox && echo root; }} > {log}",
        root = root.display(),
        log = log.display(),
    );
    bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script],
        "env": ["PATH=/bin:/usr/bin"]}]});
    let said = bundle.run();
    let namespace = said.out.trim();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("{namespace}\nproc\nroot\n"), "{said:?}");
    assert_ne!(std::fs::read_link("/proc/self/ns/mnt").unwrap().to_str().unwrap(), namespace);
}
