//! A /proc or /sys that is not what it seems: what the runtime writes there would go astray.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::bundle::Bundle;

const SYSCTL: &str = "net/ipv4/ip_unprivileged_port_start";

fn with_sysctl(script: &str) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.config["linux"]["sysctl"] = json!({ SYSCTL.replace('/', "."): "77" });
    bundle
}

/// A directory with all the files that are written below /proc, as plain files.
fn forged_proc(bundle: &Bundle) -> std::path::PathBuf {
    let forged = bundle.outside("forged");
    for dir in ["sys/net/ipv4", "self/attr/apparmor", "1/attr/apparmor", "1/fd"] {
        std::fs::create_dir_all(forged.join(dir)).unwrap();
    }
    for file in
        [&format!("sys/{SYSCTL}"), "1/attr/apparmor/exec", "1/attr/exec", "self/attr/exec", "1/oom_score_adj"]
    {
        std::fs::write(forged.join(file), "").unwrap();
    }
    forged
}

fn assert_unwritten(dir: &std::path::Path) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_unwritten(&path);
        } else {
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "{}", path.display());
        }
    }
}

#[test]
fn cve_2019_19921_cve_2023_27561_cve_2025_54867_links_at_proc_and_sys() {
    for (name, target) in
        [("proc", "/etc"), ("sys", "/etc"), ("proc", "tmp"), ("sys", "/proc"), ("proc", "/proc/1")]
    {
        let bundle = Bundle::new("true");
        std::fs::remove_dir(bundle.rootfs().join(name)).unwrap();
        symlink(target, bundle.rootfs().join(name)).unwrap();
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains(&format!(" on /{name}")), "{said:?}");
        assert!(said.err.contains("too many levels of symbolic links"), "{said:?}");
        bundle.assert_gone();
    }
}

#[test]
fn cve_2019_16884_cve_2023_28642_nothing_covers_proc() {
    for (target, allowed) in [
        ("/proc", false),
        ("/proc/self/attr", false),
        ("/proc/self/attr/exec", false),
        ("/proc/sys", false),
        ("/proc/self", false),
        ("/link", false),
        ("/proc/../proc/sys", false),
        ("/proc/uptime", true),
    ] {
        let mut bundle = Bundle::new("true");
        symlink("/proc/sys", bundle.rootfs().join("link")).unwrap();
        let mount = if allowed || target.ends_with("exec") {
            json!({"destination": target, "source": "/etc/hostname", "options": ["bind"]})
        } else if target == "/proc" {
            // CVE-2019-16884: the volume of an image.
            json!({"destination": target, "source": "/etc", "options": ["bind"]})
        } else {
            json!({"destination": target, "type": "tmpfs", "source": "tmpfs"})
        };
        bundle.mount(mount);
        let said = bundle.run();
        assert_eq!(said.code == 0, allowed, "{target}: {said:?}");
        assert!(allowed || said.err.contains("inside /proc"), "{target}: {said:?}");
        bundle.assert_gone();
    }
}

#[test]
fn cve_2019_16884_a_forged_proc_gets_nothing() {
    // Without a procfs in the container, labels and parameters are written to one that is mounted nowhere.
    let mut bundle =
        with_sysctl("cat /real/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/self/attr/exec");
    let forged = forged_proc(&bundle);
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/proc");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    bundle.mount(json!({"destination": "/proc", "source": "forged", "options": ["bind"]}));
    let said = bundle.run();
    assert!(said.out.is_empty() && said.err.contains("/real/"), "{said:?}");
    assert_unwritten(&forged);
    // A label goes to the kernel, which may not have it, or has no AppArmor: never to the file.
    let label = bundle.config["process"]["apparmorProfile"].clone();
    bundle.config["process"]["apparmorProfile"] = json!("ross-test-no-such-profile");
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("AppArmor profile ross-test-no-such-profile"), "{said:?}");
    assert_unwritten(&forged);
    bundle.config["process"]["apparmorProfile"] = label;
    // The value arrives.
    bundle.mount(json!({"destination": "/real", "type": "proc", "source": "proc"}));
    let said = bundle.run();
    assert_eq!(said.out, "77\n", "{said:?}");
    assert_unwritten(&forged);
}

/// What a hook mounts over files of the container's procfs, before they are written.
fn covered_by_hook(bundle: &mut Bundle, file: &str) -> std::path::PathBuf {
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "").unwrap();
    let script = format!("mount --bind {} {}/proc/{file}", victim.display(), bundle.rootfs().display());
    bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script],
        "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]}]});
    victim
}

#[test]
fn cve_2025_52881_a_covered_parameter_is_not_written() {
    let mut bundle = with_sysctl("true");
    let victim = covered_by_hook(&mut bundle, &format!("sys/{SYSCTL}"));
    let said = bundle.run();
    assert!(
        said.code == 1 && said.err.contains("set linux.sysctl.net.ipv4.ip_unprivileged_port_start"),
        "{said:?}"
    );
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "");
}

#[test]
fn cve_2025_52881_a_covered_label_is_not_written() {
    // The label of the set-up's process: the directory of its id, which is 1 in its pid namespace.
    let mut bundle = Bundle::new("true");
    bundle.config["process"]["apparmorProfile"] = json!("ross-test-no-such-profile");
    let victim = covered_by_hook(&mut bundle, "1/attr/exec");
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("AppArmor profile ross-test-no-such-profile"), "{said:?}");
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "");
}

#[test]
fn cve_2025_52881_an_exec_writes_its_label_to_no_file_of_the_container() {
    // The container covers its own /proc after it was started, with files for every process there may be.
    let mut bundle = Bundle::new("mount --bind /f /proc; touch /ready; sleep 100");
    for process in (1..50).map(|number: u32| number.to_string()).chain(["self".to_owned()]) {
        let attr = bundle.rootfs().join("f").join(process).join("attr");
        std::fs::create_dir_all(attr.join("apparmor")).unwrap();
        std::fs::write(attr.join("exec"), "").unwrap();
        std::fs::write(attr.join("apparmor/exec"), "").unwrap();
    }
    bundle.may_mount();
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    bundle.wait_for_file("ready");
    let exec = ["exec", "--apparmor", "ross-test-no-such-profile", "ID", "true"];
    let said = bundle.runtime(&exec);
    assert!(said.code == 255 && said.err.contains("AppArmor profile ross-test-no-such-profile"), "{said:?}");
    assert_unwritten(&bundle.rootfs().join("f"));
}

#[test]
fn cve_2015_8214_parameters_of_the_host_are_refused() {
    let host = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap();
    let before = host("kernel/core_pattern");
    let check = |sysctl: Value, without: &str, reason: &str| {
        let mut bundle = Bundle::new("true");
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != without);
        bundle.config["linux"]["sysctl"] = sysctl.clone();
        let said = bundle.run();
        let name = sysctl.as_object().unwrap().keys().next().unwrap().clone();
        assert!(said.code == 1 && said.err.contains(&format!("linux.sysctl.{name}")), "{said:?}");
        assert!(said.err.contains(reason), "{said:?}");
    };
    let of_host = "belongs to the host";
    check(json!({"kernel.core_pattern": "|/tmp/x"}), "", of_host);
    check(json!({"kernel/core_pattern": "|/tmp/x"}), "", of_host);
    check(json!({"vm.overcommit_memory": "1"}), "", of_host);
    check(json!({"kernel.shm/../core_pattern": "|/tmp/x"}), "", "is no name");
    check(json!({"net/../kernel/core_pattern": "|/tmp/x"}), "", "is no name");
    check(json!({"net.ipv4.ip_forward": "1"}), "network", "needs a network namespace");
    check(json!({"kernel.shmmax": "1"}), "ipc", "needs a ipc namespace");
    check(json!({"user.max_user_namespaces": "0"}), "", "needs a user namespace");
    assert_eq!(host("kernel/core_pattern"), before);
}
