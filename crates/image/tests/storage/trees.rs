//! Comparing directories with the model of the layers they were made of, and small tools for tests of layers.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rootfs_fixtures::{Entry, Layer, Model, sha256};
use ross_image::layer::{Applied, LayerError, LayerKey, LayerStore, UnpackLimits};
use ross_types::{ChainId, DiffId};

/// A layer store in a directory of its own.
pub struct Store {
    pub dir: tempfile::TempDir,
    pub layers: LayerStore,
}

impl Store {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "owners and devices need root");
        let dir = tempfile::tempdir().unwrap();
        Self { layers: LayerStore::open(dir.path()).unwrap(), dir }
    }

    pub fn apply(&self, tar: &[u8]) -> Result<Applied, LayerError> {
        self.layers.apply(tar, &diff_id(&sha256(tar)), &UnpackLimits::default(), &|_| {})
    }

    /// Applies all layers in this order, then completes those that need it from the lowest up.
    pub fn apply_in_order(&self, layers: &[Layer], order: &[usize]) -> Vec<LayerKey> {
        let mut applied: Vec<Option<Applied>> = layers.iter().map(|_| None).collect();
        for index in order {
            applied[*index] = Some(self.apply(&layers[*index].tar).unwrap());
        }
        self.finish(layers, applied.into_iter().map(Option::unwrap).collect())
    }

    pub fn finish(&self, layers: &[Layer], applied: Vec<Applied>) -> Vec<LayerKey> {
        let mut keys: Vec<LayerKey> = Vec::new();
        for (applied, chain) in applied.into_iter().zip(chain_ids(layers)) {
            keys.push(match applied {
                Applied::Independent(layer) => layer.key,
                Applied::NeedsParents(pending) => pending.finish(&chain, &keys).unwrap().key,
            });
        }
        keys
    }

    /// Nothing is in the staging area, and nothing but these layers in `layers/`.
    pub fn assert_clean(&self, layers: usize) {
        let root = self.dir.path().join("layers");
        assert_eq!(std::fs::read_dir(root.join(".staging")).unwrap().count(), 0, "left in staging");
        assert_eq!(self.layers.keys().unwrap().len(), layers);
        assert_eq!(std::fs::read_dir(root).unwrap().count(), layers + 1);
    }
}

pub fn diff_id(digest: &str) -> DiffId {
    DiffId(digest.parse().unwrap())
}

pub fn chain_ids(layers: &[Layer]) -> Vec<ChainId> {
    let mut chain = String::new();
    let ids = layers.iter().map(|layer| {
        chain = match chain.as_str() {
            "" => layer.diff_id.clone(),
            below => sha256(format!("{below} {}", layer.diff_id).as_bytes()),
        };
        ChainId(chain.parse().unwrap())
    });
    ids.collect()
}

/// Compares all of `root` with the model, entry by entry.
pub fn assert_tree(root: &Path, model: &Model) {
    let mut expected = BTreeSet::new();
    for (path, entry, links) in model.files() {
        let there = root.join(OsStr::from_bytes(path));
        assert_entry(&there, entry, links);
        expected.insert(path.to_vec());
    }
    let mut found = BTreeSet::new();
    list(root, root, &mut found);
    let show = |paths: Vec<&Vec<u8>>| -> Vec<String> {
        paths.iter().map(|path| path.escape_ascii().to_string()).collect()
    };
    let unexpected = show(found.difference(&expected).collect());
    assert!(unexpected.is_empty(), "not in the model: {unexpected:#?}");
    let missing = show(expected.difference(&found).collect());
    assert!(missing.is_empty(), "not in the tree: {missing:#?}");
}

fn list(root: &Path, dir: &Path, found: &mut BTreeSet<Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec());
        if path.symlink_metadata().unwrap().is_dir() {
            list(root, &path, found);
        }
    }
}

fn assert_entry(path: &Path, entry: &Entry, links: usize) {
    let shown = path.display();
    let status = path.symlink_metadata().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let kind = status.file_type();
    let expect_kind = match entry.kind {
        b'2' => kind.is_symlink(),
        b'3' => kind.is_char_device(),
        b'4' => kind.is_block_device(),
        b'5' => kind.is_dir(),
        b'6' => kind.is_fifo(),
        _ => kind.is_file(),
    };
    assert!(expect_kind, "{shown}: {kind:?} is not of type {}", char::from(entry.kind));
    if !kind.is_symlink() {
        assert_eq!(status.mode() & 0o7777, entry.mode, "{shown}: mode {:o}", status.mode());
    }
    assert_eq!((u64::from(status.uid()), u64::from(status.gid())), (entry.uid, entry.gid), "{shown}: owner");
    let (seconds, nanos) = entry.mtime;
    assert_eq!((status.mtime(), status.mtime_nsec()), (seconds, i64::from(nanos)), "{shown}: time");
    if !kind.is_dir() {
        assert_eq!(status.nlink(), links as u64, "{shown}: link count");
    }
    if kind.is_symlink() {
        let target = std::fs::read_link(path).unwrap();
        assert_eq!(target.as_os_str().as_bytes(), entry.link, "{shown}: target");
    } else if kind.is_file() {
        assert!(std::fs::read(path).unwrap() == entry.content(), "{shown}: content");
        if entry.sparse.is_some() {
            assert!(status.blocks() * 512 < status.size(), "{shown}: has no holes");
        }
    } else if kind.is_char_device() || kind.is_block_device() {
        let (major, minor) = (rustix::fs::major(status.rdev()), rustix::fs::minor(status.rdev()));
        assert_eq!((major, minor), entry.device, "{shown}: device");
    }
    let mut expect: Vec<(String, Vec<u8>)> = entry.xattrs.clone();
    expect.sort();
    assert_eq!(xattrs(path), expect, "{shown}: extended attributes");
}

/// The extended attributes of a file that are its own and not overlay's, sorted.
pub fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 64 << 10];
    let len = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut all: Vec<(String, Vec<u8>)> = names
        .filter(|name| !name.starts_with(b"trusted.overlay."))
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let len = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
            value.truncate(len);
            (String::from_utf8_lossy(name).into_owned(), value)
        })
        .collect();
    all.sort();
    all
}

/// A mount that goes when the test ends, however it ends.
pub struct Mounted(pub PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}
