//! Cgroups of others.

use std::path::PathBuf;

use serde_json::json;

use crate::bundle::Bundle;

fn cgroups_of_ross() -> PathBuf {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(PathBuf::from)
        .into_iter()
        .find(|root| root.join("cgroup.procs").exists())
        .unwrap()
        .join("ross")
}

#[test]
fn cve_2023_25809_cgroups_of_the_host_are_not_shown() {
    for namespace in [true, false] {
        for (word, writable) in [("ro", false), ("rw", true)] {
            let script = "cat /sys/fs/cgroup/cgroup.procs; ls -d /sys/fs/cgroup/*/; \
                          mkdir /sys/fs/cgroup/made && rmdir /sys/fs/cgroup/made && echo made";
            let mut bundle = Bundle::new(script);
            bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
            bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup2");
            bundle.mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime", word]}));
            if !namespace {
                let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.retain(|namespace| namespace["type"] != "cgroup");
            }
            let said = bundle.run();
            // Its own cgroup and nothing beside it.
            assert!(said.out.starts_with("1\n"), "{said:?}");
            assert!(!said.out.contains("/sys/fs/cgroup/ross/"), "{said:?}");
            assert_eq!(said.out.contains("made\n"), writable, "{said:?}");
            assert_eq!(said.err.contains("Read-only file system"), !writable, "{said:?}");
        }
    }
}

#[test]
fn paths_do_not_climb() {
    let mut bundle = Bundle::new("touch /ran");
    for path in ["/ross/../escaped", "../escaped", "/a/..", ".."] {
        bundle.config["linux"]["cgroupsPath"] = json!(path);
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains("linux.cgroupsPath: contains `..`"), "{path}: {said:?}");
    }
    assert!(!bundle.rootfs().join("ran").exists());
    assert!(!cgroups_of_ross().with_file_name("escaped").exists());
}

#[test]
fn an_exec_stays_inside_the_cgroup_of_its_container() {
    let bundle = Bundle::new("sleep 100");
    let beside = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    assert_eq!(beside.detached(&["run", "--detach"]), 0);
    let other = format!("../{}", beside.id);
    for group in [other.as_str(), "..", "/..", "a/../..", "/../../..", ":/..", "."] {
        let said = bundle.runtime(&["exec", "--cgroup", group, "ID", "touch", "/ran"]);
        assert!(
            said.code == 255 && said.err.contains("has a component that is not a name"),
            "{group}: {said:?}"
        );
    }
    assert!(!bundle.rootfs().join("ran").exists());
    let procs = std::fs::read_to_string(cgroups_of_ross().join(&beside.id).join("cgroup.procs")).unwrap();
    assert_eq!(procs.lines().count(), 1);
}

#[test]
fn cgroups_of_others_are_not_taken_over() {
    let first = Bundle::new("sleep 100");
    assert_eq!(first.detached(&["run", "--detach"]), 0);
    let mut second = Bundle::new("true");
    let path = format!("/ross/{}", first.id);
    second.config["linux"]["cgroupsPath"] = json!(path);
    let said = second.run();
    assert!(said.code == 1 && said.err.contains(&path), "{said:?}");
    assert_eq!(first.runtime(&["pause", "ID"]).code, 0);
    let said = second.run();
    assert!(said.code == 1 && said.err.contains(&path), "{said:?}");
    // What failed has neither thawed nor killed it.
    assert_eq!(first.status(), "paused");
    assert_eq!(first.runtime(&["resume", "ID"]).code, 0);
    assert_eq!(first.status(), "running");
}
