//! What is put over files: masks, devices and the console, while somebody changes what they are made of.

use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;

use crate::bundle::Bundle;
use crate::swap::{ROUNDS, Swapper};

fn node(path: &Path, kind: FileType, major: u32, minor: u32) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), makedev(major, minor)).unwrap();
}

/// The /dev of the image itself, with nothing mounted over it: what somebody who has the image can change meanwhile.
fn shared_dev(bundle: &mut Bundle) -> std::path::PathBuf {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    bundle.rootfs().join("dev")
}

#[test]
fn cve_2025_31133_a_mask_is_the_hosts_null_whatever_the_own_one_is() {
    let mut bundle = Bundle::new("stat -c '%t:%T %F' /secret; cat /secret");
    std::fs::write(bundle.rootfs().join("secret"), "secret\n").unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/secret"]);
    assert_eq!(bundle.run().out, "1:3 character special file\n");
    let dev = shared_dev(&mut bundle);
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "of the host\n").unwrap();
    node(&dev.join("null"), FileType::CharacterDevice, 1, 3);
    symlink("/proc/sys/kernel/core_pattern", dev.join("forged")).unwrap();
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let swapper = Swapper::start(dev.join("null"), dev.join("forged"));
    for _ in 0..ROUNDS {
        let said = bundle.run();
        // Either it was the right node when it was looked at, or it was not taken for one.
        let masked = said.code == 0 && said.out == "1:3 character special file\n";
        let refused = said.code == 1 && said.err.contains("/dev/null");
        assert!(masked || refused, "{said:?}");
    }
    drop(swapper);
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[test]
fn cve_2025_31133_a_null_that_is_none_is_not_kept() {
    let mut bundle = Bundle::new("true");
    symlink("/proc/sys/kernel/core_pattern", bundle.rootfs().join("dev/null")).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("make device /dev/null: file exists"), "{said:?}");
}

#[test]
fn cve_2025_31133_a_masked_path_that_is_swapped_is_masked_or_absent() {
    // The link leads to what is not to be written: the mask may lie on either, but nothing is left uncovered by error.
    let mut bundle = Bundle::new("cat /vol/secret; cat /vol/other; true");
    bundle.mount(json!({"destination": "/vol", "source": "vol", "options": ["rbind"]}));
    let volume = bundle.outside("vol");
    std::fs::create_dir(&volume).unwrap();
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "of the host\n").unwrap();
    std::fs::write(volume.join("secret"), "").unwrap();
    symlink(&victim, volume.join("other")).unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/vol/secret"]);
    let swapper = Swapper::start(volume.join("secret"), volume.join("other"));
    for _ in 0..ROUNDS {
        let said = bundle.run();
        assert!(!said.out.contains("of the host"), "{said:?}");
    }
    drop(swapper);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of the host\n");
}

#[test]
fn cve_2025_52565_a_console_that_is_swapped() {
    let mut bundle = Bundle::new("stat -c %t:%F /dev/console");
    bundle.config["process"]["terminal"] = json!(true);
    let dev = shared_dev(&mut bundle);
    bundle.mount(json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}));
    for name in ["pts", "forged"] {
        std::fs::create_dir(dev.join(name)).unwrap();
    }
    // What looks like a devpts: runc took its `0` for the terminal, and bound it over the console.
    symlink("/proc/sysrq-trigger", dev.join("forged/0")).unwrap();
    node(&dev.join("forged/ptmx"), FileType::CharacterDevice, 5, 2);
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "of the host\n").unwrap();
    std::fs::write(dev.join("console"), "").unwrap();
    symlink(&victim, dev.join("other")).unwrap();
    for (one, other) in [("console", "other"), ("pts", "forged")] {
        let _swapper = Swapper::start(dev.join(one), dev.join(other));
        for _ in 0..ROUNDS {
            let said = bundle.run();
            // 88 is 136, the major number of pseudo terminals.
            let right = said.out == "88:character special file\r\n";
            let refused = said.code == 1
                && ["open a terminal", "/dev/pts", "make device"].iter().any(|at| said.err.contains(at));
            // Names may have been swapped after the start as well, when the program looked at them.
            let looked_elsewhere =
                said.out.contains("regular empty file") || said.out.contains("symbolic link");
            assert!(right || refused || looked_elsewhere, "{one}: {said:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of the host\n");
}

#[test]
fn cve_2025_52565_a_console_or_a_terminal_that_is_another() {
    let mut bundle = Bundle::new("true");
    bundle.config["process"]["terminal"] = json!(true);
    let dev = shared_dev(&mut bundle);
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "of the host\n").unwrap();
    let refused = |bundle: &Bundle, reason: &str| {
        let said = bundle.run();
        assert!(said.code == 1 && said.err.contains("open a terminal"), "{said:?}");
        assert!(said.err.contains(reason), "{said:?}");
    };
    // A node beside a directory `pts` opens terminals of the devpts there: not the container's.
    std::fs::create_dir_all(dev.join("pts/pts")).unwrap();
    node(&dev.join("pts/ptmx"), FileType::CharacterDevice, 5, 2);
    let devpts = |target: &str| {
        json!({"destination": target, "type": "devpts", "source": "devpts",
            "options": ["newinstance", "ptmxmode=0666", "mode=0620"]})
    };
    bundle.mount(devpts("/dev/pts/pts"));
    refused(&bundle, "no such device");
    // The right one, and a console that leads to the host, or elsewhere in the root.
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.mount(devpts("/dev/pts"));
    for way in [victim.to_str().unwrap(), "/etc/hostname", "null"] {
        symlink(way, dev.join("console")).unwrap();
        refused(&bundle, "too many levels of symbolic links");
        std::fs::remove_file(dev.join("console")).unwrap();
    }
    assert_eq!(bundle.run().code, 0);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of the host\n");
}

#[test]
fn cve_2026_41579_no_device_is_made_where_a_link_leads() {
    let mut bundle = Bundle::new("true");
    let outside = bundle.outside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(&outside, bundle.rootfs().join("dev")).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("/dev"), "{said:?}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn cve_2026_41579_a_link_inside_dev_stays_in_the_root() {
    let mut bundle = Bundle::new("true");
    let outside = bundle.outside("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.rootfs().join("dev/sub")).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/sub/own", "type": "c", "major": 1, "minor": 5}]);
    let said = bundle.run();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let inside = bundle.rootfs().join(outside.strip_prefix("/").unwrap()).join("own");
    assert!(inside.exists(), "{}", inside.display());
}
