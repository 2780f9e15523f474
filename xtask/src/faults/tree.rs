//! The image on an engine's disk against what it was made from, without asking the engine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rootfs_fixtures::small_files;

use super::{FILES_OF_LAYER, LAYERS};
use crate::bench::engines::Kind;

/// The type flag of a directory in an archive.
const DIRECTORY: u8 = b'5';

/// Where the engine has the layers' files, below its data folder: a folder of folders, and the tree in each.
fn places(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Ross => ("root/layers", "tree"),
        Kind::Podman => ("root/overlay", "diff"),
        Kind::Docker => ("root/overlay2", "diff"),
        Kind::Containerd => ("containerd/io.containerd.snapshotter.v1.overlayfs/snapshots", "fs"),
    }
}

/// How many of the image's files and directories are missing or differ.
pub fn wrong(kind: Kind, data: &Path) -> usize {
    let (folder, tree) = places(kind);
    let entries = fs::read_dir(data.join(folder)).into_iter().flatten().flatten();
    let roots: Vec<PathBuf> =
        entries.map(|entry| entry.path().join(tree)).filter(|tree| tree.is_dir()).collect();
    (0..LAYERS).map(|layer| wrong_in_layer(&format!("layer{layer}"), &roots)).sum()
}

fn wrong_in_layer(prefix: &str, roots: &[PathBuf]) -> usize {
    // The names of one layer are in no other. What a first pull left in a folder of its own does not count against an
    // engine whose second pull made another.
    let is_right = |entry: &rootfs_fixtures::Entry| {
        let (name, content) = (Path::new(OsStr::from_bytes(&entry.name)), entry.content());
        roots.iter().map(|root| root.join(name)).any(|path| match entry.kind {
            DIRECTORY => path.is_dir(),
            _ => fs::read(path).is_ok_and(|found| found == content),
        })
    };
    small_files(prefix, FILES_OF_LAYER).iter().filter(|entry| !is_right(entry)).count()
}
