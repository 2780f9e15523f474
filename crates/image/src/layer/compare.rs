//! Two trees held against each other, entry by entry: as it should be, and as it was found.
//!
//! What is compared is what an unpack sets (docs/layers.md): type, mode, owner, size, modification time, device number,
//! link target and count, attributes, content. Neither tree is written to, no link is followed, and what was found is
//! not trusted: only names that should be there are looked into.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Advice, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{name, tree, xattr};

/// Bytes compared at a time.
const PIECE: usize = 128 << 10;
/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` of limits.h.
const ATTRIBUTES_MAX: usize = 64 << 10;

/// How one entry differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its path in the layer, made printable; empty for the root.
    pub(crate) path: String,
    /// A fragment: "is missing", "has mode 0644 instead of 0755".
    pub(crate) what: String,
}

/// An entry: the directory it is in, and its name there.
#[derive(Clone, Copy)]
struct At<'a> {
    dir: &'a OwnedFd,
    file: &'a [u8],
}

/// Tells `report` of every difference between the tree `right` and the tree `found`.
///
/// # Errors
/// When `right` cannot be read. That `found` cannot is a difference.
pub(super) fn compare(
    right: &OwnedFd,
    found: &OwnedFd,
    report: &mut dyn FnMut(Difference),
) -> rustix::io::Result<()> {
    let mut tell = |path: &[u8], what: String| report(Difference { path: name::show(path), what });
    let root = |dir| At { dir, file: b"." };
    entry(root(right), root(found), &mut |what| tell(b"", what))?;
    let mut directories = vec![Vec::new()];
    while let Some(path) = directories.pop() {
        let here = tree::open_beneath(right, &path)?;
        let names = list(&here)?;
        let there = tree::open_beneath(found, &path).and_then(|dir| list(&dir).map(|names| (dir, names)));
        let (there, found_names) = match there {
            Ok(there) => there,
            Err(errno) => {
                tell(&path, unreadable(errno));
                continue;
            }
        };
        for file in found_names.difference(&names) {
            tell(&name::join(&path, file), "is not in the image".to_owned());
        }
        for file in &names {
            let path = name::join(&path, file);
            if !found_names.contains(file) {
                tell(&path, "is missing".to_owned());
                continue;
            }
            let right = At { dir: &here, file };
            if entry(right, At { dir: &there, file }, &mut |what| tell(&path, what))? {
                directories.push(path);
            }
        }
    }
    Ok(())
}

fn unreadable(errno: Errno) -> String {
    format!("cannot be read: {}", std::io::Error::from(errno))
}

fn list(dir: &OwnedFd) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(dir)? {
        let file = entry?.file_name().to_bytes().to_vec();
        if file != b"." && file != b".." {
            names.insert(file);
        }
    }
    Ok(names)
}

/// Compares one entry; says whether it is a directory in both trees.
fn entry(right: At<'_>, found: At<'_>, tell: &mut dyn FnMut(String)) -> rustix::io::Result<bool> {
    let should = tree::stat(right.dir, right.file)?;
    let is = match tree::stat(found.dir, found.file) {
        Ok(is) => is,
        Err(errno) => {
            tell(unreadable(errno));
            return Ok(false);
        }
    };
    let kind = tree::file_type(&should);
    if kind != tree::file_type(&is) {
        tell(format!("is a {} instead of a {}", word(tree::file_type(&is)), word(kind)));
        return Ok(false);
    }
    for what in status(&should, &is, kind) {
        tell(what);
    }
    attributes(right, found, tell)?;
    match kind {
        FileType::Directory => return Ok(true),
        FileType::RegularFile if should.st_size == is.st_size => {
            if let Some(what) = content(right, found)? {
                tell(what);
            }
        }
        FileType::Symlink => {
            let target = |at: At<'_>| rustix::fs::readlinkat(at.dir, at.file, Vec::new());
            let should = target(right)?;
            match target(found) {
                Ok(is) if is == should => {}
                Ok(is) => {
                    let (is, should) = (name::show(is.to_bytes()), name::show(should.to_bytes()));
                    tell(format!("leads to `{is}` instead of `{should}`"));
                }
                Err(errno) => tell(unreadable(errno)),
            }
        }
        _ => {}
    }
    Ok(false)
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::Unknown => "file of an unknown type",
    }
}

/// What stat(2) tells, where it is content of an image.
fn status(should: &Stat, is: &Stat, kind: FileType) -> Vec<String> {
    let mut differences = Vec::new();
    let (mode, right_mode) = (is.st_mode & 0o7777, should.st_mode & 0o7777);
    if mode != right_mode {
        differences.push(format!("has mode {mode:04o} instead of {right_mode:04o}"));
    }
    if (is.st_uid, is.st_gid) != (should.st_uid, should.st_gid) {
        differences.push(format!(
            "belongs to {}:{} instead of {}:{}",
            is.st_uid, is.st_gid, should.st_uid, should.st_gid
        ));
    }
    if kind == FileType::RegularFile && is.st_size != should.st_size {
        differences.push(format!("has {} bytes instead of {}", is.st_size, should.st_size));
    }
    if is.st_rdev != should.st_rdev {
        differences.push(format!("has device number {:#x} instead of {:#x}", is.st_rdev, should.st_rdev));
    }
    // The count of a directory is the file system's own business: btrfs has 1 for all.
    if kind != FileType::Directory && is.st_nlink != should.st_nlink {
        differences.push(format!("has {} links instead of {}", is.st_nlink, should.st_nlink));
    }
    if (is.st_mtime, is.st_mtime_nsec) != (should.st_mtime, should.st_mtime_nsec) {
        differences.push(format!(
            "was modified at {}.{:09} instead of {}.{:09}",
            is.st_mtime, is.st_mtime_nsec, should.st_mtime, should.st_mtime_nsec
        ));
    }
    differences
}

fn attributes(right: At<'_>, found: At<'_>, tell: &mut dyn FnMut(String)) -> rustix::io::Result<()> {
    let should = attribute_names(right)?;
    let is = match attribute_names(found) {
        Ok(is) => is,
        Err(errno) => {
            tell(unreadable(errno));
            return Ok(());
        }
    };
    for attribute in should.union(&is) {
        let shown = name::show(attribute);
        match (should.contains(attribute), is.contains(attribute)) {
            (true, false) => tell(format!("lacks the attribute {shown}")),
            (false, _) => tell(format!("has an attribute {shown} that is not in the image")),
            (true, true) => {
                let should = attribute_value(right, attribute)?;
                if attribute_value(found, attribute).as_ref() != Ok(&should) {
                    tell(format!("has another value of the attribute {shown}"));
                }
            }
        }
    }
    Ok(())
}

/// The entry's path for the calls that take no directory: /proc leads there without any name being looked up.
fn proc_path(at: At<'_>) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", at.dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(at.file);
    path
}

/// The attributes that are an image's, and overlay's marks.
fn attribute_names(at: At<'_>) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut names = vec![0_u8; ATTRIBUTES_MAX];
    let len = match rustix::fs::llistxattr(proc_path(at), names.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        listed => listed?,
    };
    let names = names[..len].split(|byte| *byte == 0);
    let counts = |name: &&[u8]| xattr::is_content(name) || name.starts_with(b"trusted.overlay.");
    Ok(names.filter(counts).map(<[u8]>::to_vec).collect())
}

fn attribute_value(at: At<'_>, attribute: &[u8]) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0_u8; ATTRIBUTES_MAX];
    let len = rustix::fs::lgetxattr(proc_path(at), attribute, value.as_mut_slice())?;
    value.truncate(len);
    Ok(value)
}

/// Compares two files of the same size.
fn content(right: At<'_>, found: At<'_>) -> rustix::io::Result<Option<String>> {
    let open = |at: At<'_>| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(at.dir, at.file, flags, Mode::empty())
    };
    let right = open(right)?;
    let found = match open(found) {
        Ok(found) => found,
        Err(errno) => return Ok(Some(unreadable(errno))),
    };
    // What memory has of it may be right where the disk is wrong. A hint: pages in use stay.
    let _ = rustix::fs::fadvise(&found, 0, None, Advice::DontNeed);
    let (mut should, mut is) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0_u64;
    loop {
        let len = fill(&right, at, &mut should)?;
        let same = match fill(&found, at, &mut is[..len.max(1)]) {
            Ok(read) => read.min(len),
            Err(errno) => return Ok(Some(unreadable(errno))),
        };
        let differs = should[..same].iter().zip(&is[..same]).position(|(should, is)| should != is);
        if let Some(offset) = differs.or((same < len).then_some(same)) {
            return Ok(Some(format!("differs from byte {} on", at + offset as u64)));
        }
        if len < PIECE {
            return Ok(None);
        }
        at += len as u64;
    }
}

/// Reads until `buffer` is full or the file ends.
fn fill(file: &OwnedFd, at: u64, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match rustix::io::pread(file, &mut buffer[len..], at + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(len)
}
