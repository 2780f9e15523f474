//! Mounts beyond the plain ones: what the options of `mounts` ask for, seen from inside.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use bundle::Bundle;
use serde_json::json;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn tmpfs_holds_what_it_covers() {
    let script = "cd /seed; stat -c '%n %F %a %u:%g %Y' . * sub/*; cat sub/file; readlink link; touch x";
    let mut bundle = Bundle::new(script);
    let seed = bundle.rootfs().join("seed");
    std::fs::create_dir_all(seed.join("sub")).unwrap();
    std::fs::write(seed.join("sub/file"), "content\n").unwrap();
    chown(seed.join("sub/file"), Some(7), Some(8)).unwrap();
    mode(&seed.join("sub/file"), 0o4750);
    mode(&seed.join("sub"), 0o2711);
    symlink("/etc/shadow", seed.join("link")).unwrap();
    lchown(seed.join("link"), Some(5), Some(6)).unwrap();
    std::os::unix::net::UnixListener::bind(seed.join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        seed.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o604),
        0,
    )
    .unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = std::fs::OpenOptions::new().write(true).open(seed.join("sub/file")).unwrap();
    file.set_modified(old).unwrap();
    chown(&seed, Some(3), Some(4)).unwrap();
    mode(&seed, 0o751);
    bundle.mount(json!({"destination": "/seed", "type": "tmpfs", "source": "tmpfs",
        "options": ["rprivate", "noexec", "nosuid", "nodev", "tmpcopyup"]}));
    let said = bundle.run();
    for expected in [
        ". directory 751 3:4 ",
        "fifo fifo 604 0:0 ",
        "link symbolic link 777 5:6 ",
        "sub directory 2711 0:0 ",
        "sub/file regular file 4750 7:8 1000000000\n",
        "content\n/etc/shadow\n",
    ] {
        assert!(said.out.contains(expected), "{expected:?} in {said:?}");
    }
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.out.contains("socket"), "{said:?}");
    assert!(!seed.join("x").exists());

    // Filled before it becomes read-only; a mode that is given wins, and a directory that is not there holds nothing.
    bundle.config["process"]["args"] =
        json!(["sh", "-c", "cat /seed/sub/file; stat -c %a /seed /new/one; touch /seed/x"]);
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["options"] = json!(["ro", "mode=700", "tmpcopyup"]);
    bundle.mount(json!({"destination": "/new/one", "type": "tmpfs", "options": ["tmpcopyup"]}));
    let said = bundle.run();
    assert_eq!(said.out, "content\n700\n1777\n", "{said:?}");
    assert!(said.err.contains("Read-only file system"), "{said:?}");
}

#[test]
fn tmpcopyup_in_a_user_namespace() {
    let mut bundle = Bundle::new("cat /seed/file; stat -c %u:%g /seed/file");
    std::fs::create_dir(bundle.rootfs().join("seed")).unwrap();
    std::fs::write(bundle.rootfs().join("seed/file"), "content\n").unwrap();
    bundle.user_namespace();
    bundle.mount(json!({"destination": "/seed", "type": "tmpfs", "options": ["tmpcopyup"]}));
    assert_eq!(bundle.run().out, "content\n0:0\n");
}

#[test]
fn tmpcopyup_has_bounds() {
    // No link leads the copy out of the root, a tree without end is an error, and only a tmpfs can be filled.
    let mut bundle = Bundle::new("ls /seed");
    std::fs::write(bundle.outside("secret"), "secret\n").unwrap();
    let root = bundle.rootfs();
    symlink(format!("../../../../../../..{}", bundle.outside("").display()), root.join("seed")).unwrap();
    bundle.mount(json!({"destination": "/seed", "type": "tmpfs", "options": ["tmpcopyup"]}));
    let said = bundle.run();
    assert!(!said.out.contains("secret"), "{said:?}");
    std::fs::remove_file(root.join("seed")).unwrap();
    let mut deep = root.join("seed");
    for _ in 0..70 {
        deep.push("d");
    }
    std::fs::create_dir_all(deep).unwrap();
    let said = bundle.run();
    assert!(said.err.contains("tmpfs on /seed: copy what the target holds: file name too long"), "{said:?}");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["type"] = json!("proc");
    assert!(bundle.run().err.contains("tmpcopyup, which is for a new tmpfs alone"));
}

#[test]
fn tmpfs_has_the_mode_of_what_it_covers() {
    let mut bundle = Bundle::new("stat -c %a /a /b /c");
    for name in ["a", "b"] {
        std::fs::create_dir(bundle.rootfs().join(name)).unwrap();
        mode(&bundle.rootfs().join(name), 0o1751);
    }
    for (target, options) in [("/a", json!([])), ("/b", json!(["mode=0711"])), ("/c", json!([]))] {
        bundle.mount(json!({"destination": target, "type": "tmpfs", "options": options}));
    }
    assert_eq!(bundle.run().out, "1751\n711\n1777\n");
}

#[test]
fn new_file_systems_have_their_ids_mapped() {
    let mut bundle = Bundle::new("stat -c %u:%g /mapped /filled /filled/file");
    std::fs::create_dir(bundle.rootfs().join("filled")).unwrap();
    std::fs::write(bundle.rootfs().join("filled/file"), "").unwrap();
    chown(bundle.rootfs().join("filled/file"), Some(2), Some(3)).unwrap();
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    for (target, options) in
        [("/mapped", json!(["idmap"])), ("/filled", json!(["ridmap", "tmpcopyup", "ro"]))]
    {
        bundle.mount(json!({"destination": target, "type": "tmpfs", "options": options,
            "uidMappings": map, "gidMappings": map}));
    }
    let said = bundle.run();
    assert_eq!(said.out, "1000:1000\n1000:1000\n1002:1003\n", "{said:?}");
    // A map without the word is one as well; what cannot have one says so.
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.pop();
    mounts.last_mut().unwrap()["options"] = json!([]);
    bundle.config["process"]["args"] = json!(["stat", "-c", "%u", "/mapped"]);
    assert_eq!(bundle.run().out, "1000\n");
    bundle.config["mounts"].as_array_mut().unwrap().last_mut().unwrap()["options"] = json!(["remount"]);
    assert!(bundle.run().err.contains("maps the ids of what is mounted already"));
}

#[test]
fn ids_of_a_tree_are_mapped_with_what_is_below() {
    for (word, below) in [("idmap", "7\n"), ("ridmap", "1007\n")] {
        let mut bundle = Bundle::new("stat -c %u /tree /tree/below");
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
        bundle.mount(json!({"destination": "/tree", "source": "tree", "options": ["rbind", word],
            "uidMappings": map, "gidMappings": map}));
        std::fs::create_dir(bundle.outside("tree")).unwrap();
        let said = bundle.shell(
            "mount -t tmpfs t $D/tree; mkdir $D/tree/below; mount -t tmpfs -o uid=7 t $D/tree/below; $RUN",
        );
        assert_eq!(said.out, format!("1000\n{below}"), "{said:?}");
    }
}

#[test]
fn attributes_reach_what_is_below() {
    for (options, below_is_writable) in [
        (json!(["rbind", "ro"]), true),
        (json!(["rbind", "rro"]), false),
        (json!(["rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rnosymfollow", "rnoatime"]), false),
    ] {
        let mut bundle = Bundle::new("cat /proc/self/mountinfo; touch /tree/below/x && echo wrote");
        let all = options.as_array().unwrap().len() > 2;
        bundle.mount(json!({"destination": "/tree", "source": "tree", "options": options}));
        std::fs::create_dir(bundle.outside("tree")).unwrap();
        let said = bundle.shell(
            "mount -t tmpfs t $D/tree; mkdir $D/tree/below; mount -t tmpfs t $D/tree/below; $RUN || true",
        );
        assert_eq!(said.out.contains("wrote"), below_is_writable, "{said:?}");
        let line = said.out.lines().find(|line| line.contains(" /tree/below ")).unwrap();
        assert_eq!(line.contains("ro,nosuid,nodev,noexec,noatime,nosymfollow"), all, "{line}");
    }
}

#[test]
fn propagation_of_mounts() {
    // Only `shared` lets the host see what the container mounts.
    for (word, seen) in [("rshared", "1\n"), ("shared", "1\n"), ("rslave", "0\n"), ("rprivate", "0\n")] {
        let mut bundle = Bundle::new("mount -t tmpfs t /tree/in && grep -c /tree/in /proc/self/mountinfo");
        bundle.may_mount();
        bundle.mount(json!({"destination": "/tree", "source": "tree", "options": ["rbind", word]}));
        std::fs::create_dir(bundle.outside("tree")).unwrap();
        let said = bundle.shell(
            "mount -t tmpfs t $D/tree; mount --make-shared $D/tree; mkdir $D/tree/in; $RUN; \
             grep -c \" $D/tree/in \" /proc/self/mountinfo || true",
        );
        assert_eq!(said.out, format!("1\n{seen}"), "{word}: {said:?}");
    }
}

#[test]
fn propagation_of_the_root() {
    for (word, mark) in [
        ("", " master:"),
        ("rslave", " master:"),
        ("private", " - "),
        ("rshared", " shared:"),
        ("unbindable", " unbindable "),
    ] {
        let mut bundle =
            Bundle::new("grep ' / / ' /proc/self/mountinfo || grep '/rootfs / ' /proc/self/mountinfo");
        bundle.config["linux"]["rootfsPropagation"] = json!(word);
        let said = bundle.shell(
            "mkdir $D/top; mount -t tmpfs t $D/top; cp -a $D/rootfs/. $D/top; mount --move $D/top $D/rootfs; \
             mount --make-shared $D/rootfs; $RUN",
        );
        assert!(said.out.contains(mark), "{word}: {said:?}");
        // Nothing of it ever reaches the host.
        assert!(word != "private" || !said.out.contains("master:"), "{said:?}");
    }
}
