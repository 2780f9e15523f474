//! Targets of mounts that lead out of the root, or are made to while a container starts.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::json;

use crate::bundle::Bundle;
use crate::swap::{ROUNDS, Swapper};

/// A bundle with a volume that somebody else has too, and a directory of the host that must stay empty.
fn with_volume(script: &str) -> (Bundle, PathBuf, PathBuf) {
    let mut bundle = Bundle::new(script);
    let (volume, outside) = (bundle.outside("vol"), bundle.outside("outside"));
    std::fs::create_dir(&volume).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(bundle.outside("file"), "content\n").unwrap();
    bundle.mount(json!({"destination": "/vol", "source": "vol", "options": ["rbind"]}));
    (bundle, volume, outside)
}

/// The ways from a volume at /vol to a directory of the host.
fn ways_out(outside: &std::path::Path) -> [String; 2] {
    [outside.display().to_string(), format!("../../../../../../../..{}", outside.display())]
}

#[test]
fn cve_2021_30465_a_target_swapped_for_a_link() {
    let script = "grep -c ' /vol/.*/below \\| /.*outside/below ' /proc/self/mountinfo; true";
    let (mut bundle, volume, outside) = with_volume(script);
    bundle.mount(json!({"destination": "/vol/real/below", "type": "tmpfs", "source": "own"}));
    std::fs::create_dir_all(volume.join("real/below")).unwrap();
    for (number, way) in ways_out(&outside).iter().enumerate() {
        let link = volume.join(format!("link{number}"));
        symlink(way, &link).unwrap();
        let swapper = Swapper::start(volume.join("real"), link);
        for _ in 0..ROUNDS {
            let said = bundle.run();
            // The mount is somewhere in the root, or there is no container.
            let inside = said.code == 0 && said.out == "1\n";
            let refused = said.code == 1 && said.err.contains("/vol/real/below");
            assert!(inside || refused, "{said:?}");
            assert_eq!(outside.read_dir().unwrap().count(), 0, "made on the host");
        }
        drop(swapper);
        // An odd number of swaps leaves the names exchanged.
        if volume.join("real").is_symlink() {
            std::fs::rename(volume.join("real"), volume.join("spent")).unwrap();
            std::fs::rename(volume.join(format!("link{number}")), volume.join("real")).unwrap();
            std::fs::remove_file(volume.join("spent")).unwrap();
        }
    }
}

#[test]
fn cve_2021_30465_a_source_swapped_for_a_link() {
    // Sources are the host's own, and are opened once: what is shown is one of the two, and what was opened is what is
    // mounted, whatever has its name by then.
    let mut bundle = Bundle::new("cat /shown/name; touch /shown/x; cat /proc/self/mountinfo");
    for name in ["first", "second"] {
        std::fs::create_dir(bundle.outside(name)).unwrap();
        std::fs::write(bundle.outside(name).join("name"), format!("{name}\n")).unwrap();
    }
    bundle.mount(json!({"destination": "/shown", "source": "first", "options": ["bind", "ro"]}));
    let swapper = Swapper::start(bundle.outside("first"), bundle.outside("second"));
    for _ in 0..ROUNDS {
        let said = bundle.run();
        assert!(said.out.starts_with("first\n") || said.out.starts_with("second\n"), "{said:?}");
        assert!(said.err.contains("Read-only file system"), "{said:?}");
        assert_eq!(said.out.lines().filter(|line| line.contains(" /shown ")).count(), 1, "{said:?}");
    }
    drop(swapper);
    assert!(!bundle.outside("first/x").exists() && !bundle.outside("second/x").exists());
}

#[test]
fn cve_2024_45310_a_missing_target_is_not_made_on_the_host() {
    let (mut bundle, volume, outside) = with_volume("true");
    bundle.mount(json!({"destination": "/vol/real/new/dir", "type": "tmpfs", "source": "own"}));
    bundle.mount(json!({"destination": "/vol/real/new/file", "source": "file", "options": ["bind"]}));
    std::fs::create_dir(volume.join("real")).unwrap();
    let [absolute, climbing] = ways_out(&outside);
    symlink(absolute, volume.join("absolute")).unwrap();
    symlink(climbing, volume.join("climbing")).unwrap();
    for link in ["absolute", "climbing"] {
        let swapper = Swapper::start(volume.join("real"), volume.join(link));
        for _ in 0..ROUNDS {
            let said = bundle.run();
            assert!(said.code == 0 || said.err.contains("/vol/real/new"), "{said:?}");
            assert_eq!(outside.read_dir().unwrap().count(), 0, "made on the host");
            // For the next round to make them once more.
            for made in ["real", "absolute", "climbing"] {
                let _ = std::fs::remove_dir_all(volume.join(made).join("new"));
            }
        }
        drop(swapper);
    }
}

#[test]
fn cve_2024_45310_targets_behind_links_are_made_in_the_root() {
    let mut bundle = Bundle::new("cat /up/made/file");
    let outside = bundle.outside("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(format!("../../../../../../../..{}", outside.display()), bundle.rootfs().join("up")).unwrap();
    std::fs::write(bundle.outside("file"), "content\n").unwrap();
    bundle.mount(json!({"destination": "/up/made/file", "source": "file", "options": ["bind"]}));
    let said = bundle.run();
    assert_eq!(said.out, "content\n", "{said:?}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn cve_2019_18837_and_2025_24965_whatever_is_made_below_the_root_stays_there() {
    let mut bundle = Bundle::new("pwd; cat /etc/own; test -c /link/node && echo node; ls /link");
    let outside = bundle.outside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(bundle.outside("file"), "content\n").unwrap();
    std::fs::write(bundle.outside("victim"), "of the host\n").unwrap();
    symlink(&outside, bundle.rootfs().join("link")).unwrap();
    symlink(bundle.outside("victim"), bundle.rootfs().join("etc/own")).unwrap();
    // A file, a directory, a device and a working directory, each behind a link to the host.
    bundle.mount(json!({"destination": "/etc/own", "source": "file", "options": ["bind"]}));
    bundle.mount(json!({"destination": "/link/tmp", "type": "tmpfs", "source": "own"}));
    bundle.config["linux"]["devices"] = json!([{"path": "/link/node", "type": "c", "major": 1, "minor": 5}]);
    bundle.config["process"]["cwd"] = json!("/link/made/here");
    let said = bundle.run();
    assert!(said.out.ends_with("content\nnode\nmade\nnode\ntmp\n"), "{said:?}");
    assert_eq!(outside.read_dir().unwrap().count(), 0);
    assert_eq!(std::fs::read_to_string(bundle.outside("victim")).unwrap(), "of the host\n");
    // The root itself may be reached by a link: it is the host's word.
    let root = bundle.outside("alias");
    symlink(bundle.rootfs(), &root).unwrap();
    bundle.config["root"]["path"] = json!(root);
    assert_eq!(bundle.run().code, 0);
    std::fs::remove_file(root).unwrap();
}
