//! Files packed into archives, and what comes out of these again, compared entry by entry with the model.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::trees::{Mounted, Store, assert_tree, chain_ids};
use rootfs_fixtures::{Compression, Entry, Flavour, Layer, Model, many_layers, many_layers_entries};
use ross_image::layer::LayerKey;
use ross_image::snapshot::{MergedRoot, MountOptions, Snapshot, Snapshots};

struct Container {
    store: Store,
    layers: Vec<Layer>,
    keys: Vec<LayerKey>,
    snapshot: Snapshot,
    root: PathBuf,
}

/// A snapshot over layers of these entries.
fn container(entries: &[Vec<Entry>]) -> Container {
    let layers: Vec<Layer> = entries.iter().map(|entries| Layer::new(entries, Compression::None)).collect();
    let store = Store::new();
    let order: Vec<usize> = (0..layers.len()).collect();
    let keys = store.apply_in_order(&layers, &order);
    let (dir, root) = (store.dir.path().join("container"), store.dir.path().join("rootfs"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::create_dir(&root).unwrap();
    let snapshot = Snapshots::new(store.layers.clone()).prepare(&dir, &keys).unwrap();
    Container { store, layers, keys, snapshot, root }
}

impl Container {
    fn mount(&self) -> Mounted {
        self.snapshot.mount(&self.root, MountOptions::default()).unwrap();
        Mounted(self.root.clone())
    }

    fn changes(&self, mount_points: &[&str]) -> (Vec<u8>, u64) {
        let mount_points: Vec<PathBuf> = mount_points.iter().map(PathBuf::from).collect();
        let mut archive = Vec::new();
        let entries = self.snapshot.pack_changes(&mount_points, &mut archive).unwrap();
        (archive, entries)
    }

    /// A snapshot of the layers and one more on top, which is what `changes` packed.
    fn committed(&self, archive: &[u8]) -> Container {
        let mut layers = self.layers.clone();
        layers.push(Layer::of_tar(archive.to_vec(), Compression::None));
        let chain = chain_ids(&layers);
        let mut keys = self.keys.clone();
        keys.push(match self.store.apply(archive).unwrap() {
            ross_image::layer::Applied::Independent(layer) => layer.key,
            ross_image::layer::Applied::NeedsParents(pending) => {
                pending.finish(chain.last().unwrap(), &self.keys).unwrap().key
            }
        });
        let store = Store::new();
        let (dir, root) = (self.store.dir.path().join("again"), store.dir.path().join("rootfs"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::create_dir(&root).unwrap();
        let snapshot = Snapshots::new(self.store.layers.clone()).prepare(&dir, &keys).unwrap();
        Container { store, layers, keys, snapshot, root }
    }
}

/// The names in an archive, in order.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries.map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned()).collect()
}

/// All of a tree in one text: type, mode, owner, size, time, links, target, content, attributes of every file.
fn describe(root: &Path) -> Vec<String> {
    fn walk(root: &Path, dir: &Path, lines: &mut Vec<String>) {
        let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        for path in all {
            let status = path.symlink_metadata().unwrap();
            let kind = status.file_type();
            let content = match () {
                () if kind.is_symlink() => format!("{:?}", std::fs::read_link(&path).unwrap()),
                () if kind.is_file() => rootfs_fixtures::sha256(&std::fs::read(&path).unwrap()),
                () => String::new(),
            };
            let xattrs = if kind.is_symlink() { Vec::new() } else { crate::trees::xattrs(&path) };
            lines.push(format!(
                "{:?} {:o} {}:{} {} {}.{} {} {:x} {content} {xattrs:?}",
                path.strip_prefix(root).unwrap(),
                status.mode(),
                status.uid(),
                status.gid(),
                if kind.is_file() { status.size() } else { 0 },
                status.mtime(),
                status.mtime_nsec(),
                if kind.is_dir() { 0 } else { status.nlink() },
                status.rdev(),
            ));
            if kind.is_dir() {
                walk(root, &path, lines);
            }
        }
    }
    let mut lines = Vec::new();
    walk(root, root, &mut lines);
    lines
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (describe(one), describe(other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// The image with every kind of entry, through a mount and back: the archive of its root means the same.
#[test]
fn a_root_is_packed_whole() {
    let entries = many_layers_entries(3);
    let original = container(&entries);
    let mut archive = Vec::new();
    let at = original.store.dir.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let merged = original.snapshot.open_merged(&at).unwrap();
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "nothing stays mounted");
    merged.pack(&mut archive).unwrap();
    drop(merged);
    let mounted = original.mount();
    let mut live = Vec::new();
    MergedRoot::of_mounted(&original.root).unwrap().pack(&mut live).unwrap();
    assert!(archive == live, "the same files give the same archive");
    let empty = container(&[]);
    let imported = empty.committed(&archive);
    let again = imported.mount();
    assert_tree(&imported.root, &Model::of(entries.iter().map(Vec::as_slice)));
    assert_same(&original.root, &imported.root);
    drop((mounted, again));
}

/// Everything a container can do to its files, packed as a layer: over the same layers it gives the same root.
#[test]
fn changes_become_a_layer() {
    let original = container(&many_layers_entries(3));
    let mounted = original.mount();
    let root = &original.root;
    std::fs::write(root.join("etc/passwd"), "changed").unwrap();
    std::fs::remove_file(root.join("opt/opaque/new")).unwrap();
    // Removed and made anew: opaque.
    std::fs::remove_dir_all(root.join("usr/share")).unwrap();
    std::fs::create_dir(root.join("usr/share")).unwrap();
    std::fs::write(root.join("usr/share/only"), "one").unwrap();
    // A directory in the place of a file, and the other way round.
    std::fs::remove_file(root.join("etc/passwd")).unwrap();
    std::fs::create_dir(root.join("etc/passwd")).unwrap();
    std::fs::remove_dir_all(root.join("home")).unwrap();
    std::fs::write(root.join("home"), "a file now").unwrap();
    std::fs::create_dir_all(root.join("new/deep/er")).unwrap();
    std::fs::write(root.join("new/a"), vec![7; 100_000]).unwrap();
    std::fs::hard_link(root.join("new/a"), root.join("new/deep/b")).unwrap();
    std::fs::hard_link(root.join("new/a"), root.join("new/0")).unwrap();
    symlink("/nowhere/at/all", root.join("new/link")).unwrap();
    std::fs::set_permissions(root.join("new/a"), PermissionsExt::from_mode(0o6751)).unwrap();
    std::os::unix::fs::chown(root.join("new/deep"), Some(3_000_000), Some(4_000_000_000)).unwrap();
    let long = format!("new/{}", "n".repeat(250));
    std::fs::write(root.join(&long), "long").unwrap();
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"new/caf\xe9\n=");
    std::fs::write(root.join(odd), "odd").unwrap();
    rustix::fs::setxattr(root.join("new/a"), "user.note", b"x\0\n", rustix::fs::XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(root.join("new"), "user.dir", b"d", rustix::fs::XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(
        root.join("new/a"),
        "security.capability",
        &rootfs_fixtures::CAPABILITY,
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let device = rustix::fs::makedev(300, 70_000);
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    for (name, kind) in
        [("new/block", rustix::fs::FileType::BlockDevice), ("new/fifo", rustix::fs::FileType::Fifo)]
    {
        rustix::fs::mknodat(rustix::fs::CWD, root.join(name), kind, mode, device).unwrap();
    }
    let socket = std::os::unix::net::UnixListener::bind(root.join("new/socket")).unwrap();
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o1755)).unwrap();
    let past = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    std::fs::File::options().write(true).open(root.join("new/0")).unwrap().set_modified(past).unwrap();

    let (archive, entries) = original.changes(&[]);
    assert_eq!(original.changes(&[]), (archive.clone(), entries), "the same files give the same archive");
    assert_eq!(names(&archive).len() as u64, entries);
    drop(socket);
    std::fs::remove_file(root.join("new/socket")).unwrap();
    let modified = std::fs::File::open(root.join("new")).unwrap();
    let committed = original.committed(&archive);
    let again = committed.mount();
    // Taking the socket away has changed the time of its directory.
    let then = committed.root.join("new").metadata().unwrap().modified().unwrap();
    modified.set_modified(then).unwrap();
    assert_same(root, &committed.root);
    assert_eq!(committed.root.metadata().unwrap().mode() & 0o7777, 0o1755);
    drop((mounted, again));
}

/// The entries of simple changes, one by one.
#[test]
fn the_entries_of_changes() {
    let lower = vec![
        Entry::dir("etc"),
        Entry::file("etc/a", "a"),
        Entry::dir("opt"),
        Entry::file("opt/x", "x"),
        Entry::dir("srv"),
    ];
    let original = container(&[lower]);
    assert_eq!(original.changes(&[]).1, 0, "no change, no entry");
    let mounted = original.mount();
    let root = &original.root;
    std::fs::remove_file(root.join("etc/a")).unwrap();
    std::fs::remove_dir_all(root.join("opt")).unwrap();
    std::fs::create_dir(root.join("opt")).unwrap();
    std::fs::write(root.join("opt/y"), "y").unwrap();
    std::fs::write(root.join("gone"), "").unwrap();
    std::fs::remove_file(root.join("gone")).unwrap();
    let (archive, _) = original.changes(&[]);
    assert_eq!(names(&archive), ["etc/", "etc/.wh.a", "opt/", "opt/.wh..wh..opq", "opt/y"]);
    std::fs::write(root.join("opt/.wh.y"), "").unwrap();
    let error = original.snapshot.pack_changes(&[], &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("`/opt/.wh.y`"), "{error}");
    drop(mounted);
}

/// What was made only for something to be mounted on is no change; what somebody put there is.
#[test]
fn mount_points_are_no_changes() {
    let original = container(&[vec![Entry::dir("etc"), Entry::dir("srv")]]);
    let mounted = original.mount();
    let root = &original.root;
    for dir in ["proc", "data/volume", "srv/used", "srv/empty", "made/by/hand"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    for file in ["etc/hosts", "etc/hostname"] {
        std::fs::write(root.join(file), "").unwrap();
    }
    let points = ["/proc", "/data/volume/", "/etc/hosts", "/srv/used", "/srv/empty", "/etc/hostname"];
    assert_eq!(names(&original.changes(&points).0), ["made/", "made/by/", "made/by/hand/"]);
    std::fs::write(root.join("etc/hostname"), "mine").unwrap();
    std::fs::write(root.join("srv/used/file"), "x").unwrap();
    let found = names(&original.changes(&points).0);
    assert_eq!(
        found,
        ["etc/", "etc/hostname", "made/", "made/by/", "made/by/hand/", "srv/", "srv/used/", "srv/used/file"]
    );
    drop(mounted);
}

/// A large file of nothing takes neither the archive's nor the layer's room.
#[test]
fn holes_stay_holes() {
    let original = container(&[]);
    let mounted = original.mount();
    let path = original.root.join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"begin", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 100 << 20).unwrap();
    file.set_len(300 << 20).unwrap();
    let (archive, _) = original.changes(&[]);
    assert!(archive.len() < 1 << 20, "{} bytes", archive.len());
    let committed = original.committed(&archive);
    let again = committed.mount();
    let status = committed.root.join("sparse").metadata().unwrap();
    assert_eq!(status.size(), 300 << 20);
    assert!(status.blocks() * 512 < 1 << 20, "{} blocks", status.blocks());
    let copy = std::fs::File::open(committed.root.join("sparse")).unwrap();
    for (offset, expected) in [(0, b"begin\0"), (100 << 20, b"middle"), (50 << 20, &[0; 6])] {
        let mut read = [1; 6];
        std::os::unix::fs::FileExt::read_exact_at(&copy, &mut read, offset).unwrap();
        assert_eq!(&read, expected, "at {offset}");
    }
    drop((mounted, again));
}

/// What is packed is what is there: no link of the container leads out of it.
#[test]
fn links_lead_nowhere() {
    let original = container(&[]);
    let mounted = original.mount();
    symlink("/etc", original.root.join("etc")).unwrap();
    symlink("/proc/self/root", original.root.join("out")).unwrap();
    let (archive, entries) = original.changes(&[]);
    assert_eq!((names(&archive), entries), (vec!["etc".to_owned(), "out".to_owned()], 2));
    drop(mounted);
}

/// Directories deeper than ross follows are refused, by name, and nothing runs out.
#[test]
fn a_very_deep_tree_is_refused() {
    use rustix::fs::{CWD, Mode, OFlags};
    let original = container(&[]);
    let upper = original.store.dir.path().join("container/upper");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::openat(CWD, &upper, flags, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&dir, "d", Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, "d", flags, Mode::empty()).unwrap();
    }
    drop(dir);
    let error = original.snapshot.pack_changes(&[], &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("within each other"), "{error}");
    original.snapshot.remove().unwrap();
}

/// A layer that hides nothing, unpacked and packed from the store's own tree, is the same tree again.
#[test]
fn every_entry_of_the_fixture_survives_twice() {
    let image = many_layers(2, Flavour::Oci);
    let entries = many_layers_entries(2);
    let original = container(&entries);
    assert_eq!(image.layers.len(), entries.len());
    let mounted = original.mount();
    let mut first = Vec::new();
    MergedRoot::of_mounted(&original.root).unwrap().pack(&mut first).unwrap();
    let empty = container(&[]);
    let once = empty.committed(&first);
    let again = once.mount();
    let mut second = Vec::new();
    MergedRoot::of_mounted(&once.root).unwrap().pack(&mut second).unwrap();
    assert!(first == second, "packed twice, the archive is the same");
    drop((mounted, again));
}
