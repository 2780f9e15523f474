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

/// A file beside the root, and one of the same path in it that says something else: where a link leads, from either side
/// of the change of the root.
fn victim(bundle: &Bundle, inside: &str) -> std::path::PathBuf {
    let victim = bundle.outside("victim");
    std::fs::write(&victim, "of the host\n").unwrap();
    let same = bundle.rootfs().join(victim.strip_prefix("/").unwrap());
    std::fs::create_dir_all(same.parent().unwrap()).unwrap();
    std::fs::write(same, inside).unwrap();
    victim
}

#[test]
fn cve_2025_31133_a_masked_path_that_is_swapped_masks_what_it_was() {
    // By the other name the mask is not asked for: who can rename there moves a file away from it. But there is one, on
    // what the name was, and it moves with the file: never can both be read.
    let mut bundle = Bundle::new("cat /vol/secret /vol/other /vol/secret /vol/other");
    bundle.mount(json!({"destination": "/vol", "source": "vol", "options": ["rbind"]}));
    let volume = bundle.outside("vol");
    std::fs::create_dir(&volume).unwrap();
    let victim = victim(&bundle, "linked\n");
    std::fs::write(volume.join("secret"), "secret\n").unwrap();
    symlink(&victim, volume.join("other")).unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/vol/secret"]);
    assert_eq!(bundle.run().out, "linked\nlinked\n");
    let swapper = Swapper::start(volume.join("secret"), volume.join("other"));
    for _ in 0..ROUNDS {
        let said = bundle.run();
        let one = !(said.out.contains("secret") && said.out.contains("linked"));
        let refused = said.code == 1 && said.err.contains("mask /vol/secret");
        assert!(said.code == 0 && one || refused, "{said:?}");
        assert!(!said.out.contains("of the host"), "{said:?}");
    }
    drop(swapper);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of the host\n");
}

/// Exchanges these two of /dev while containers with a terminal are made. Their own console is what the kernel says is
/// mounted there: names may be exchanged after that as well, and a mount goes with its file.
fn console_among(one: &str, other: &str) {
    let mut bundle = Bundle::new("grep -E ' /dev/(console|other) ' /proc/self/mountinfo");
    bundle.config["process"]["terminal"] = json!(true);
    let dev = shared_dev(&mut bundle);
    bundle.mount(json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}));
    let victim = victim(&bundle, "of the root\n");
    for name in ["pts", "forged"] {
        std::fs::create_dir(dev.join(name)).unwrap();
    }
    // What looks like a devpts: runc took its `0` for the terminal, and bound it over the console.
    symlink(&victim, dev.join("forged/0")).unwrap();
    node(&dev.join("forged/ptmx"), FileType::CharacterDevice, 5, 2);
    std::fs::write(dev.join("console"), "").unwrap();
    symlink(&victim, dev.join("other")).unwrap();
    let is_right = |out: &str| out.lines().count() == 1 && out.contains(" /0 ") && out.contains(" - devpts ");
    let quiet = bundle.run();
    assert!(is_right(&quiet.out), "{quiet:?}");
    let swapper = Swapper::start(dev.join(one), dev.join(other));
    for _ in 0..ROUNDS {
        let said = bundle.run();
        let refused = said.code == 1
            && ["open a terminal", "/dev/pts", "make device"].iter().any(|at| said.err.contains(at));
        assert!(is_right(&said.out) || refused, "{said:?}");
    }
    drop(swapper);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of the host\n");
}

#[test]
fn cve_2025_52565_a_console_that_is_swapped() {
    console_among("console", "other");
}

#[test]
fn cve_2025_52565_a_terminal_that_is_swapped() {
    console_among("pts", "forged");
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
