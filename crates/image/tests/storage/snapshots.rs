//! Snapshots mounted over unpacked layers, compared with the model of the whole stack.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use crate::trees::{Mounted, Store, assert_tree};
use rootfs_fixtures::{Compression, Entry, Flavour, Layer, Model, many_layers, many_layers_entries};
use ross_image::layer::LayerKey;
use ross_image::snapshot::{ChangeKind, MountOptions, Snapshot, SnapshotError, Snapshots};

struct Fixture {
    store: Store,
    snapshot: Snapshot,
    root: PathBuf,
}

fn prepare(layers: &[Layer]) -> Fixture {
    let store = Store::new();
    let order: Vec<usize> = (0..layers.len()).rev().collect();
    let keys = store.apply_in_order(layers, &order);
    let (dir, root) = (store.dir.path().join("container"), store.dir.path().join("rootfs"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::create_dir(&root).unwrap();
    let snapshot = Snapshots::new(store.layers.clone()).prepare(&dir, &keys).unwrap();
    Fixture { store, snapshot, root }
}

impl Fixture {
    fn mount(&self, options: MountOptions) -> Mounted {
        self.snapshot.mount(&self.root, options).unwrap();
        Mounted(self.root.clone())
    }
}

fn layers_of(entries: &[Vec<Entry>]) -> Vec<Layer> {
    entries.iter().map(|entries| Layer::new(entries, Compression::None)).collect()
}

/// The whole of the many-layer image, through overlay: whiteouts, opaque directories, type changes, the traps.
#[test]
fn a_mounted_stack_is_the_model() {
    let entries = many_layers_entries(5);
    let fixture = prepare(&many_layers(5, Flavour::Oci).layers);
    let _mounted = fixture.mount(MountOptions::default());
    assert_tree(&fixture.root, &Model::of(entries.iter().map(Vec::as_slice)));
    assert_eq!(fixture.root.metadata().unwrap().mode() & 0o7777, 0o555);
    assert!(!fixture.root.join("opt/opaque/a").exists());
    let link = |name: &str| fixture.root.join(name).metadata().unwrap().ino();
    assert_eq!(link("usr/libc-link"), link("usr/lib/libc.so"));
}

/// 127 layers, with paths far longer than one page of mount options takes.
#[test]
fn a_hundred_and_twenty_seven_layers() {
    let entries = many_layers_entries(119);
    assert_eq!(entries.len(), 127);
    let fixture = prepare(&layers_of(&entries));
    let _mounted = fixture.mount(MountOptions::default());
    assert_tree(&fixture.root, &Model::of(entries.iter().map(Vec::as_slice)));
    assert_eq!(std::fs::read_to_string(fixture.root.join("layers/top")).unwrap(), "118");
}

#[test]
fn writes_stay_in_the_snapshot() {
    let fixture = prepare(&layers_of(&many_layers_entries(0)));
    let before = fixture.snapshot.usage().unwrap();
    let mounted = fixture.mount(MountOptions { volatile: true, ..MountOptions::default() });
    let root = &fixture.root;
    std::fs::write(root.join("etc/passwd"), "changed").unwrap();
    std::fs::write(root.join("etc/new"), vec![1; 100_000]).unwrap();
    std::fs::remove_file(root.join("opt/opaque/new")).unwrap();
    std::fs::remove_dir_all(root.join("home")).unwrap();
    std::fs::create_dir(root.join("home")).unwrap();
    std::fs::write(root.join("home/only"), "").unwrap();
    std::fs::set_permissions(root.join("bin"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let usage = fixture.snapshot.usage().unwrap();
    assert!(usage.bytes >= before.bytes + 100_000 && usage.inodes > before.inodes, "{usage:?}");
    fixture.snapshot.unmount(root).unwrap();
    drop(mounted);
    let changes = fixture.snapshot.changes().unwrap();
    let shown: Vec<String> =
        changes.iter().map(|change| format!("{} {}", letter(change.kind), change.path.display())).collect();
    assert_eq!(
        shown,
        [
            "C /bin",
            "C /etc",
            "A /etc/new",
            "C /etc/passwd",
            "C /home",
            "A /home/only",
            "D /home/user",
            "C /opt",
            "C /opt/opaque",
            "D /opt/opaque/new",
        ]
    );
    // The kernel marks what was mounted so, and refuses it the second time unless the mark is taken away.
    let again = fixture.mount(MountOptions { volatile: true, ..MountOptions::default() });
    assert_eq!(std::fs::read_to_string(root.join("etc/passwd")).unwrap(), "changed");
    fixture.snapshot.unmount(root).unwrap();
    drop(again);
    fixture.snapshot.remove().unwrap();
    fixture.snapshot.remove().unwrap();
    let dir = fixture.store.dir.path().join("container");
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'C',
        ChangeKind::Deleted => 'D',
    }
}

#[test]
fn read_only_mounts() {
    for count in [0, 1, 3] {
        let entries: Vec<Vec<Entry>> =
            (0..count).map(|index| vec![Entry::file(format!("f{index}"), "x")]).collect();
        let fixture = prepare(&layers_of(&entries));
        let _mounted = fixture.mount(MountOptions { read_only: true, ..MountOptions::default() });
        assert_tree(&fixture.root, &Model::of(entries.iter().map(Vec::as_slice)));
        let error = std::fs::write(fixture.root.join("new"), "").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
}

/// An image without any layer still has a root to write to.
#[test]
fn no_layers_at_all() {
    let fixture = prepare(&[]);
    let _mounted = fixture.mount(MountOptions::default());
    std::fs::write(fixture.root.join("file"), "x").unwrap();
    assert_eq!(fixture.root.metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fixture.snapshot.changes().unwrap().len(), 1);
}

/// A layer whose root is opaque hides all below it.
#[test]
fn an_opaque_root() {
    let entries = [
        vec![Entry::file("below", "x")],
        vec![Entry::file(".wh..wh..opq", ""), Entry::file("here", "y")],
        vec![Entry::file("above", "z")],
    ];
    let fixture = prepare(&layers_of(&entries));
    let _mounted = fixture.mount(MountOptions::default());
    assert_tree(&fixture.root, &Model::of(entries.iter().map(Vec::as_slice)));
    assert!(!fixture.root.join("below").exists());
}

#[test]
fn a_missing_layer_is_named() {
    let store = Store::new();
    let key: LayerKey = "0a".repeat(32).parse().unwrap();
    let error = Snapshots::new(store.layers.clone())
        .prepare(store.dir.path(), std::slice::from_ref(&key))
        .unwrap_err();
    assert!(matches!(&error, SnapshotError::MissingLayer(missing) if *missing == key), "{error}");
    assert!(!store.dir.path().join("upper").exists());
}

/// Unmounting waits for nobody, and what is not mounted is no error.
#[test]
fn unmount_while_in_use() {
    let fixture = prepare(&layers_of(&[vec![Entry::file("f", "still readable")]]));
    let _mounted = fixture.mount(MountOptions::default());
    let open = std::fs::File::open(fixture.root.join("f")).unwrap();
    fixture.snapshot.unmount(&fixture.root).unwrap();
    assert_eq!(std::io::read_to_string(open).unwrap(), "still readable");
    assert_eq!(std::fs::read_dir(&fixture.root).unwrap().count(), 0);
    fixture.snapshot.unmount(&fixture.root).unwrap();
    fixture.snapshot.unmount(&fixture.root.join("never")).unwrap();
}

/// Containers can make trees deeper than any path can name; nothing that looks at them runs out of stack or
/// descriptors.
#[test]
fn a_very_deep_tree() {
    use rustix::fs::{CWD, Mode, OFlags};
    let fixture = prepare(&[]);
    let upper = fixture.store.dir.path().join("container/upper");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::openat(CWD, &upper, flags, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&dir, "deeper", Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, "deeper", flags, Mode::empty()).unwrap();
    }
    drop(dir);
    assert!((200..3000).contains(&fixture.snapshot.usage().unwrap().inodes));
    assert!(fixture.snapshot.changes().unwrap_err().to_string().contains("compare"));
    fixture.snapshot.remove().unwrap();
    assert!(!upper.exists());
}
