//! A directory tree as it is on disk, to compare with another: everything that an archive says of a file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result};
use rootfs_fixtures::sha256;

/// Overlay's own attributes say nothing of the file.
const OVERLAYS_OWN: &[u8] = b"trusted.overlay.";

/// The entries of a tree by their path below its root, which is not among them.
#[derive(Debug)]
pub struct Tree(BTreeMap<Vec<u8>, Node>);

/// What is known of one entry.
#[derive(Debug)]
struct Node {
    /// By name, as text that can be compared and shown.
    facts: Vec<(&'static str, String)>,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    is_directory: bool,
}

impl Tree {
    pub fn read(root: &Path) -> Result<Self> {
        let (mut nodes, mut inodes) = (BTreeMap::new(), BTreeMap::new());
        read_below(root, b"", &mut inodes, &mut nodes)?;
        // The first path of each inode, by the order of paths, so that two trees name the same one.
        let mut first = BTreeMap::new();
        for (path, inode) in &inodes {
            let linked: &mut Vec<u8> = first.entry(*inode).or_insert_with(|| path.clone());
            if let Some(node) = nodes.get_mut(path) {
                let node: &mut Node = node;
                node.facts.push(("same file as", linked.escape_ascii().to_string()));
            }
        }
        Ok(Self(nodes))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A line for each thing that is not so in the tree of `peer`. A time that it left as it came, later than `since`
    /// in seconds of 1970, is none of the image's: unpackers forget directories that a layer does not describe.
    pub fn differences(&self, other: &Self, peer: &str, since: i64) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, node) in &self.0 {
            let shown = path.escape_ascii();
            let Some(theirs) = other.0.get(path) else {
                lines.push(format!("{shown}: {peer} has none"));
                continue;
            };
            for ((fact, own), (_, their)) in node.facts.iter().zip(&theirs.facts) {
                if own != their {
                    lines.push(format!("{shown}: {fact}: {own}; with {peer} {their}"));
                }
            }
            let forgotten = theirs.is_directory && theirs.modified.0 >= since;
            if node.modified != theirs.modified && !forgotten {
                lines.push(format!("{shown}: time: {:?}; with {peer} {:?}", node.modified, theirs.modified));
            }
        }
        for path in other.0.keys().filter(|path| !self.0.contains_key(*path)) {
            lines.push(format!("{}: only {peer} has it", path.escape_ascii()));
        }
        lines
    }
}

fn read_below(
    dir: &Path,
    prefix: &[u8],
    inodes: &mut BTreeMap<Vec<u8>, u64>,
    nodes: &mut BTreeMap<Vec<u8>, Node>,
) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let (name, there) = (entry.file_name(), entry.path());
        let path = [prefix, name.as_bytes()].concat();
        let metadata = there.symlink_metadata().with_context(|| there.display().to_string())?;
        let node = Node::read(&there, &metadata).with_context(|| there.display().to_string())?;
        if metadata.is_dir() {
            read_below(&there, &[&path, &b"/"[..]].concat(), inodes, nodes)?;
        } else {
            inodes.insert(path.clone(), metadata.ino());
        }
        nodes.insert(path, node);
    }
    Ok(())
}

impl Node {
    fn read(path: &Path, metadata: &Metadata) -> Result<Self> {
        let kind = metadata.file_type();
        let rdev = metadata.rdev();
        let device = || format!("{}:{}", rustix::fs::major(rdev), rustix::fs::minor(rdev));
        let (name, content) = if kind.is_dir() {
            ("directory", String::new())
        } else if kind.is_symlink() {
            ("link", fs::read_link(path)?.as_os_str().as_bytes().escape_ascii().to_string())
        } else if kind.is_file() {
            ("file", format!("{} {}", metadata.size(), sha256(&fs::read(path)?)))
        } else if kind.is_char_device() {
            ("char device", device())
        } else if kind.is_block_device() {
            ("block device", device())
        } else {
            (if kind.is_fifo() { "fifo" } else { "socket" }, String::new())
        };
        let facts = vec![
            ("type", name.to_owned()),
            ("mode", format!("{:o}", metadata.mode() & 0o7777)),
            ("owner", format!("{}:{}", metadata.uid(), metadata.gid())),
            ("content", content),
            ("attributes", format!("{:?}", xattrs(path)?)),
        ];
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { facts, modified, is_directory: kind.is_dir() })
    }
}

/// Source: llistxattr(2), lgetxattr(2).
fn xattrs(path: &Path) -> Result<Vec<(String, String)>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice())?;
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut all = Vec::new();
    for name in names.filter(|name| !name.starts_with(OVERLAYS_OWN)) {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice())?;
        value.truncate(length);
        all.push((name.escape_ascii().to_string(), value.escape_ascii().to_string()));
    }
    all.sort();
    Ok(all)
}
