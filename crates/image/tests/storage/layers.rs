//! Layers unpacked to disk, compared entry by entry with the model of what they mean.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::thread;

use crate::trees::{Store, assert_tree, chain_ids, diff_id};
use rootfs_fixtures::{
    Compression, Entry, Flavour, Layer, Model, archive, bomb, endless_entries, hostile, many_layers,
    many_layers_entries, sha256, small_files, wrong_diff_id,
};
use ross_image::layer::{Applied, LayerError, LayerStore, UnpackLimits};

fn plain(entries: &[Entry]) -> Layer {
    Layer::new(entries, Compression::None)
}

fn independent(applied: Applied) -> ross_image::layer::Layer {
    match applied {
        Applied::Independent(layer) => layer,
        Applied::NeedsParents(_) => panic!("expected an independent layer"),
    }
}

/// Each layer that hides nothing, alone: the tree on disk is the model.
#[test]
fn a_layer_is_what_its_archive_says() {
    let all = many_layers_entries(0);
    for entries in [&all[0], &all[2]] {
        let store = Store::new();
        let mut entries = entries.clone();
        entries.insert(0, Entry::dir("usr/share"));
        entries.insert(0, Entry::dir("usr"));
        let layer = independent(store.apply(&plain(&entries).tar).unwrap());
        assert_tree(&store.layers.tree(&layer.key), &Model::of([entries.as_slice()]));
        store.assert_clean(1);
    }
    let store = Store::new();
    let dirs = ["dev", "home", "usr", "usr/share"].map(Entry::dir);
    let entries = [&dirs[..], &all[1]].concat();
    let layer = independent(store.apply(&plain(&entries).tar).unwrap());
    assert_tree(&store.layers.tree(&layer.key), &Model::of([entries.as_slice()]));
    assert_eq!((layer.entries, layer.dependent), (entries.len() as u64, false));
}

/// Some writers leave out the end of an archive, and the padding of its last entry.
#[test]
fn a_layer_may_end_with_its_last_content() {
    let entries = [Entry::dir("d"), Entry::file("d/f", vec![b'x'; 5000])];
    let content = 512 + 512 + 5000;
    for end in [content, content + 1, content + 119, content + 120] {
        let store = Store::new();
        let layer = independent(store.apply(&archive(&entries)[..end]).unwrap());
        assert_tree(&store.layers.tree(&layer.key), &Model::of([entries.as_slice()]));
        store.assert_clean(1);
    }
}

#[test]
fn root_attributes_come_from_the_archive() {
    let store = Store::new();
    let entries = [Entry::dir("./").mode(0o2750).owner(5, 6).mtime(77, 8).xattr("user.root", "r")];
    let layer = independent(store.apply(&plain(&entries).tar).unwrap());
    let tree = store.layers.tree(&layer.key);
    let status = tree.metadata().unwrap();
    assert_eq!((status.mode() & 0o7777, status.uid(), status.gid()), (0o2750, 5, 6));
    assert_eq!((status.mtime(), status.mtime_nsec()), (77, 8));
    assert_eq!(crate::trees::xattrs(&tree), [("user.root".to_owned(), b"r".to_vec())]);
}

/// Attributes that are the host's, or overlay's, stay out.
#[test]
fn attributes_that_are_not_content_are_dropped() {
    let store = Store::new();
    let entry = Entry::file("f", "x")
        .xattr("trusted.overlay.opaque", "y")
        .xattr("trusted.overlay.redirect", "/etc")
        .xattr("user.overlay.opaque", "y")
        .xattr("security.selinux", "u:r:t")
        .xattr("security.ima", "x")
        .xattr("user.kept", "k");
    let layer = independent(store.apply(&plain(&[entry]).tar).unwrap());
    let path = store.layers.tree(&layer.key).join("f");
    assert_eq!(crate::trees::xattrs(&path), [("user.kept".to_owned(), b"k".to_vec())]);
    let mut names = [0; 512];
    let len = rustix::fs::llistxattr(&path, &mut names).unwrap();
    assert_eq!(&names[..len], b"user.kept\0");
}

/// POSIX ACLs hold, and a directory's default ACL does not leak onto what the layer makes in it.
#[test]
fn access_control_lists() {
    // Version 2; user::rwx, group::r-x, mask::r-x, other::---, as acl(5)'s on-disk entries.
    let acl = |entries: &[(u16, u16)]| -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, perm) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(perm.to_le_bytes());
            bytes.extend(u32::MAX.to_le_bytes());
        }
        bytes
    };
    let tight = acl(&[(1, 7), (4, 5), (32, 0)]);
    let store = Store::new();
    let entries = [
        Entry::dir("d").xattr("system.posix_acl_default", tight.clone()),
        Entry::file("d/open", "x").mode(0o666),
        Entry::dir("d/sub").mode(0o777),
    ];
    let layer = independent(store.apply(&plain(&entries).tar).unwrap());
    assert_tree(&store.layers.tree(&layer.key), &Model::of([&entries[..]]));
}

#[test]
fn applying_twice_is_no_error_and_removing_removes() {
    let store = Store::new();
    let layer = plain(&small_files("a", 50));
    let first = independent(store.apply(&layer.tar).unwrap());
    let second = independent(store.apply(&layer.tar).unwrap());
    assert_eq!(first, second);
    store.assert_clean(1);
    assert!(store.layers.has(&first.key));
    let chain = &chain_ids(std::slice::from_ref(&layer))[0];
    assert_eq!(store.layers.find(&diff_id(&layer.diff_id), chain).unwrap(), Some(first.clone()));
    store.layers.remove(&first.key).unwrap();
    store.layers.remove(&first.key).unwrap();
    assert_eq!(store.layers.get(&first.key).unwrap(), None);
    store.assert_clean(0);
}

/// Whatever order the layers are unpacked in, at once or one by one, the result is the same.
#[test]
fn order_does_not_matter() {
    let image = many_layers(2, Flavour::Oci);
    let count = image.layers.len();
    let forward: Vec<usize> = (0..count).collect();
    let backward: Vec<usize> = (0..count).rev().collect();
    let mut keys = Vec::new();
    let mut trees = Vec::new();
    for order in [&forward, &backward] {
        let store = Store::new();
        keys.push(store.apply_in_order(&image.layers, order));
        store.assert_clean(count);
        trees.push(store);
    }
    let store = Store::new();
    let applied = thread::scope(|scope| {
        let running: Vec<_> =
            image.layers.iter().map(|layer| scope.spawn(|| store.apply(&layer.tar).unwrap())).collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    });
    keys.push(store.finish(&image.layers, applied));
    store.assert_clean(count);
    trees.push(store);
    assert!(keys.iter().all(|other| *other == keys[0]), "{keys:#?}");
    for key in &keys[0] {
        let shown: Vec<String> = trees.iter().map(|store| describe(&store.layers.tree(key))).collect();
        assert_eq!(shown[1], shown[0], "{key}");
        assert_eq!(shown[2], shown[0], "{key}");
    }
    let dependent = |key| trees[0].layers.get(key).unwrap().unwrap().dependent;
    let dependents: Vec<usize> = (0..count).filter(|index| dependent(&keys[0][*index])).collect();
    assert_eq!(dependents, [1, 2, 5, 6], "layers with implicit parents or links into lower layers");
}

/// All of a tree in one text, as ls -lR would show it.
fn describe(root: &std::path::Path) -> String {
    let listed = std::process::Command::new("find")
        .arg(root)
        // The times of whiteouts mean nothing and are not set.
        .args(["-type", "c", "-printf", "%P %y %m\n", "-o", "-printf", "%P %y %m %U %G %s %T@ %n %l\n"])
        .output()
        .unwrap();
    let mut lines: Vec<_> = listed.stdout.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n').escape_ascii().to_string()
}

/// The same layer over other layers is another layer when it depends on them.
#[test]
fn dependent_layers_are_kept_by_chain() {
    let store = Store::new();
    let upper = plain(&[Entry::file("d/f", "x")]);
    let mut modes = Vec::new();
    for mode in [0o700, 0o750] {
        let lower = plain(&[Entry::dir("d").mode(mode).owner(7, 7)]);
        let stack = [lower, upper.clone()];
        let keys = store.apply_in_order(&stack, &[1, 0]);
        modes.push(store.layers.tree(&keys[1]).join("d").metadata().unwrap().mode() & 0o7777);
        let found = store.layers.find(&diff_id(&upper.diff_id), &chain_ids(&stack)[1]).unwrap();
        assert_eq!(found.unwrap().key, keys[1]);
    }
    assert_eq!(modes, [0o700, 0o750]);
    // Alone, at the bottom, its key is its diff id; and still nobody else may use it.
    let keys = store.apply_in_order(std::slice::from_ref(&upper), &[0]);
    assert_eq!(keys[0].as_str(), upper.diff_id.trim_start_matches("sha256:"));
    let other = plain(&[Entry::dir("d").mode(0o711)]);
    let chain = &chain_ids(&[other, upper.clone()])[1];
    assert_eq!(store.layers.find(&diff_id(&upper.diff_id), chain).unwrap(), None);
}

#[test]
fn a_link_to_nothing_below_is_refused() {
    let store = Store::new();
    let layers = [plain(&[Entry::dir("a")]), plain(&[Entry::hard_link("l", "a/none")])];
    let Applied::NeedsParents(pending) = store.apply(&layers[1].tar).unwrap() else { panic!() };
    let parents = store.apply_in_order(&layers[..1], &[0]);
    let error = pending.finish(&chain_ids(&layers)[1], &parents).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`l`") && text.contains("`a/none`"), "{text}");
    store.assert_clean(1);
}

/// A few links would copy all of the layers below: what is copied counts as the layer's content.
#[test]
fn copies_for_links_are_bounded() {
    let store = Store::new();
    let layers = [plain(&[Entry::file("big", vec![7; 600_000])]), plain(&[Entry::hard_link("l", "big")])];
    let parents = store.apply_in_order(&layers[..1], &[0]);
    let chain = &chain_ids(&layers)[1];
    let finish = |bytes| {
        let limits = UnpackLimits { bytes, ..UnpackLimits::default() };
        let tar = &layers[1].tar;
        let applied = store.layers.apply(tar.as_slice(), &diff_id(&sha256(tar)), &limits, &|_| {}).unwrap();
        let Applied::NeedsParents(pending) = applied else { panic!() };
        pending.finish(chain, &parents)
    };
    let error = finish(500_000).unwrap_err();
    assert!(matches!(error, LayerError::Limit { limit: 500_000, .. }), "{error}");
    store.assert_clean(1);
    assert_eq!(finish(600_000).unwrap().size, 600_000);
}

/// Links that lead to and fro are given up on long before their number is reached.
#[test]
fn winding_links_are_refused() {
    let winding = [Entry::dir("a"), Entry::symlink("l", "a/../".repeat(800)), Entry::file("l/a/f", "")];
    let two = [Entry::symlink("m", "l/".to_owned() + &"a/../".repeat(800)), Entry::file("m/f", "")];
    let store = Store::new();
    independent(store.apply(&archive(&winding)).unwrap());
    let error = store.apply(&archive(winding.iter().chain(&two))).unwrap_err();
    assert!(error.to_string().contains("links"), "{error}");
    store.assert_clean(1);
}

/// Every hostile archive: a clear error naming the layer, nothing outside, nothing left.
#[test]
fn hostile_archives_are_refused() {
    let outside = ["/ross-was-here", "/tmp/ross-was-here", "/etc/ross-was-here"];
    for case in hostile() {
        let store = Store::new();
        let image = case.image();
        let result = store.apply(&case.tar);
        let Err(error) = result else { panic!("{}: was accepted", case.name) };
        let text = error.to_string();
        assert!(text.contains(case.says), "{}: {text}", case.name);
        assert!(text.contains(&image.layers[0].diff_id), "{}: {text}", case.name);
        store.assert_clean(0);
        assert_eq!(std::fs::read_dir(store.dir.path()).unwrap().count(), 1, "{}", case.name);
        for path in outside.iter().map(std::path::Path::new) {
            assert!(!path.exists(), "{}: {}", case.name, path.display());
        }
    }
}

/// An absolute name means the layer's root, as it does to Docker.
#[test]
fn absolute_names_stay_inside() {
    let store = Store::new();
    let entries = [
        Entry::dir("/etc"),
        Entry::file("/etc/ross-was-here", "x"),
        Entry::symlink("abs", "/etc"),
        Entry::file("abs/through", "y"),
        Entry::hard_link("linked", "/etc/ross-was-here"),
    ];
    let layer = independent(store.apply(&plain(&entries).tar).unwrap());
    let tree = store.layers.tree(&layer.key);
    assert_tree(&tree, &Model::of([&entries[..]]));
    assert!(tree.join("etc/through").exists() && !std::path::Path::new("/etc/ross-was-here").exists());
}

#[test]
fn limits_hold() {
    let limits = UnpackLimits { bytes: 1 << 20, entries: 1000, depth: 10, memory: 1 << 20 };
    let check = |tar: &mut dyn Read, what: &str| {
        let store = Store::new();
        let error = store.layers.apply(tar, &diff_id(&sha256(b"")), &limits, &|_| {}).unwrap_err();
        assert!(matches!(error, LayerError::Limit { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        store.assert_clean(0);
    };
    check(&mut bomb(2).tar.as_slice(), "bytes of content");
    check(&mut endless_entries(10_000_000), "entries");
    check(&mut archive(&[Entry::dir("d/".repeat(11))]).as_slice(), "path components");
    let many: Vec<Entry> =
        (0..900).map(|index| Entry::dir("x".repeat(200) + &format!("{index}/{}", "y".repeat(200)))).collect();
    let tight = UnpackLimits { memory: 100 << 10, ..limits };
    let store = Store::new();
    let tar = archive(&many);
    let error = store.layers.apply(tar.as_slice(), &diff_id(&sha256(&tar)), &tight, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
}

#[test]
fn a_wrong_diff_id_leaves_nothing() {
    let store = Store::new();
    let layer = &wrong_diff_id().layers[0];
    let expect = diff_id(&layer.diff_id);
    let error =
        store.layers.apply(layer.tar.as_slice(), &expect, &UnpackLimits::default(), &|_| {}).unwrap_err();
    assert!(matches!(error, LayerError::DiffId { .. }), "{error}");
    store.assert_clean(0);
    // Zeros after the end marker are part of the stream, too.
    let honest = sha256(&layer.tar);
    let padded = [layer.tar.clone(), vec![0; 10_240]].concat();
    let limits = UnpackLimits::default();
    assert!(store.layers.apply(padded.as_slice(), &diff_id(&honest), &limits, &|_| {}).is_err());
    assert!(store.apply(&padded).is_ok());
}

/// A reader that fails ends the unpack with its own error, from any place in the stream.
#[test]
fn a_stream_that_breaks_leaves_nothing() {
    struct Broken<'t>(&'t [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the peer went away")),
                len => Ok(len),
            }
        }
    }
    let store = Store::new();
    let tar = archive(&small_files("f", 40));
    let expect = diff_id(&sha256(&tar));
    for end in [0, 1, 512, 700, tar.len() / 2, tar.len() - 1024, tar.len() - 1, tar.len()] {
        let result = store.layers.apply(Broken(&tar[..end]), &expect, &UnpackLimits::default(), &|_| {});
        assert!(matches!(result, Err(LayerError::Read { .. })), "{end}: {result:?}");
        store.assert_clean(0);
    }
}

/// What a crash leaves in the staging area goes when the store is opened again; layers stay.
#[test]
fn opening_clears_what_a_crash_left() {
    let store = Store::new();
    let layer = independent(store.apply(&plain(&small_files("a", 3)).tar).unwrap());
    let left = store.dir.path().join("layers/.staging/99/tree/deep/er");
    std::fs::create_dir_all(&left).unwrap();
    std::os::unix::fs::symlink("/etc", left.join("link")).unwrap();
    let again = LayerStore::open(store.dir.path()).unwrap();
    assert!(again.has(&layer.key));
    store.assert_clean(1);
    assert!(std::path::Path::new("/etc/passwd").exists());
}

/// CVE-2021-41091: a set-user-id file of an image is not to be had by users of the host, while it is made nor after.
#[test]
fn nobody_but_root_reaches_a_layers_files() {
    use std::os::unix::fs::MetadataExt;
    let store = Store::new();
    let layer = independent(store.apply(&plain(&[Entry::file("su", "x").mode(0o4755)]).tar).unwrap());
    let layers = store.dir.path().join("layers");
    for dir in [layers.clone(), layers.join(".staging"), layers.join(layer.key.as_str())] {
        let status = dir.metadata().unwrap();
        assert_eq!((status.mode() & 0o7777, status.uid()), (0o700, 0), "{}", dir.display());
    }
    let su = layers.join(layer.key.as_str()).join("tree/su");
    assert_eq!(su.metadata().unwrap().mode() & 0o7777, 0o4755);
}

#[test]
fn progress_counts_every_byte() {
    let store = Store::new();
    let tar = archive(&small_files("p", 400));
    let seen = std::cell::Cell::new(0);
    let limits = UnpackLimits::default();
    store.layers.apply(tar.as_slice(), &diff_id(&sha256(&tar)), &limits, &|done| seen.set(done)).unwrap();
    assert_eq!(seen.get(), tar.len() as u64);
}
