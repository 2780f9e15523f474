//! The members of an archive, in staging.
//!
//! A member's name is a key of a map and nothing else: no path is ever made from it. The archive is read by the parser
//! of layers: two that disagree are how archives smuggle, and the tar crate's takes a name of any length into memory.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use ross_types::{Digest, DigestAlgorithm};

use super::ArchiveError;
use crate::content::{BlobStore, ContentError, Counted, Hasher};
use crate::durable::Step;
use crate::error::Error;
use crate::layer::{Archive, ArchiveFlaw, Kind, Member};
use crate::pull::{Packing, Proportionate, unpacked};

/// More members than this are no images.
const MAX_MEMBERS: u64 = 100_000;

/// Bytes of all names and link targets, which are kept in memory.
const MAX_NAMES: usize = 32 << 20;

/// So many first bytes of a member tell how it is packed.
const HEAD: usize = 4;

/// Links to links to links.
const MAX_LINKS: usize = 8;

/// A member's content, in a staging file that goes with this value.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    digest: Digest,
    size: u64,
    packing: Packing,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Published, it is not there any more; otherwise staging is cleared at the next start at the latest.
        let _ = Step::BlobRemove.run(|| fs::remove_file(&self.path));
    }
}

/// The files and links of an archive, by name.
#[derive(Debug)]
pub(super) struct Members {
    files: HashMap<String, Staged>,
    links: HashMap<String, String>,
}

/// Keeps the error that a stream ended with, of which the archive's parser knows only that it ended.
struct Remembering<R> {
    inner: R,
    failed: Arc<OnceLock<io::Error>>,
}

impl<R: Read> Read for Remembering<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    // The first is the one that ended it.
                    let _ = self.failed.set(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}

/// The form in which names are compared: `./a//b/` is `a/b`. A name that climbs out has none.
fn normal(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Members {
    /// Reads the whole archive into staging, no more than `limit` bytes of it.
    pub(super) fn read(blobs: &BlobStore, archive: impl Read + Send, limit: u64) -> Result<Self, Error> {
        let count = Arc::new(AtomicU64::new(0));
        let source = BufReader::with_capacity(128 * 1024, Counted { inner: archive, count: count.clone() });
        let (_, plain) = unpacked(source).map_err(ArchiveError::Read)?;
        let failed = Arc::new(OnceLock::new());
        let plain = Remembering { inner: Proportionate::new(plain, count), failed: failed.clone() };
        let mut archive = Archive::new(BufReader::with_capacity(128 * 1024, plain));
        let mut members = Self { files: HashMap::new(), links: HashMap::new() };
        let read = members.read_all(blobs, &mut archive, limit);
        // A stream that failed is why the archive ended early.
        drop(archive);
        match Arc::into_inner(failed).and_then(OnceLock::into_inner) {
            Some(error) => Err(ArchiveError::Read(error).into()),
            None => read.map(|()| members),
        }
    }

    fn read_all<R: BufRead>(
        &mut self,
        blobs: &BlobStore,
        archive: &mut Archive<R>,
        limit: u64,
    ) -> Result<(), Error> {
        let (mut number, mut total, mut names) = (0, 0u64, 0);
        while let Some(member) = archive.next().map_err(flawed)? {
            number += 1;
            names += member.name.len() + member.link.len();
            if number > MAX_MEMBERS {
                return Err(ArchiveError::Limit { limit: MAX_MEMBERS, of: "members" }.into());
            }
            if names > MAX_NAMES {
                return Err(ArchiveError::Limit { limit: MAX_NAMES as u64, of: "bytes of names" }.into());
            }
            let Some(name) = normal(&String::from_utf8_lossy(&member.name)) else { continue };
            match member.kind {
                // A layout has no sparse files, and what is stored of one is not its content.
                Kind::File if member.sparse.is_some() => {}
                Kind::File => {
                    let staged = stage(blobs, &name, archive, limit.saturating_sub(total), limit)?;
                    total += staged.size;
                    self.links.remove(&name);
                    self.files.insert(name, staged);
                }
                Kind::Symlink | Kind::HardLink => self.link(name, &member),
                _ => {}
            }
        }
        Ok(())
    }

    fn link(&mut self, name: String, member: &Member) {
        let base = match member.kind {
            Kind::Symlink => name.rsplit_once('/').map_or("", |(parent, _)| parent),
            _ => "",
        };
        if let Some(target) = normal(&format!("{base}/{}", String::from_utf8_lossy(&member.link))) {
            self.files.remove(&name);
            self.links.insert(name, target);
        }
    }

    fn find(&self, name: &str) -> Option<&Staged> {
        let mut name = normal(name)?;
        for _ in 0..MAX_LINKS {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => return self.files.get(&name),
            }
        }
        None
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn get(&self, name: &str) -> Result<&Staged, ArchiveError> {
        self.find(name).ok_or_else(|| ArchiveError::Missing(name.to_owned()))
    }

    /// The digests of all members.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.files.values().map(|staged| staged.digest.clone()).collect()
    }

    /// A small member's content.
    pub(super) fn content(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let staged = self.get(name)?;
        if staged.size > limit {
            return Err(ArchiveError::TooLarge { member: name.to_owned(), limit }.into());
        }
        Ok(fs::read(&staged.path).map_err(ContentError::file("read", &staged.path))?)
    }

    /// A member's digest, its size, and how it is packed.
    pub(super) fn identity(&self, name: &str) -> Result<(Digest, u64, Packing), ArchiveError> {
        self.get(name).map(|staged| (staged.digest.clone(), staged.size, staged.packing))
    }

    /// Makes a member's content a blob, whose digest has to be `digest`.
    pub(super) fn publish(&self, blobs: &BlobStore, name: &str, digest: &Digest) -> Result<(), Error> {
        let staged = self.get(name)?;
        if staged.digest != *digest {
            let (expected, actual) = (digest.clone(), staged.digest.clone());
            return Err(ContentError::Digest { expected, actual }.into());
        }
        if !blobs.has(digest, staged.size) {
            blobs.adopt(&staged.path, digest)?;
        }
        Ok(())
    }
}

fn flawed(flaw: ArchiveFlaw) -> ArchiveError {
    ArchiveError::Read(io::Error::new(io::ErrorKind::InvalidData, flaw))
}

fn stage<R: BufRead>(
    blobs: &BlobStore,
    name: &str,
    archive: &mut Archive<R>,
    left: u64,
    limit: u64,
) -> Result<Staged, Error> {
    let algorithm =
        if name.starts_with("blobs/sha512/") { DigestAlgorithm::Sha512 } else { DigestAlgorithm::Sha256 };
    let (path, mut file) = blobs.temporary()?;
    // From here on the value takes the file with it.
    let mut staged =
        Staged { path, digest: Hasher::digest(algorithm, b""), size: 0, packing: Packing::Plain };
    let mut hasher = Hasher::new(algorithm);
    let mut head: Vec<u8> = Vec::new();
    loop {
        let data = archive.data().map_err(flawed)?;
        if data.is_empty() {
            break;
        }
        staged.size += data.len() as u64;
        if staged.size > left {
            return Err(ArchiveError::Limit { limit, of: "bytes" }.into());
        }
        head.extend(data.iter().take(HEAD - head.len()));
        hasher.update(data);
        file.write_all(data).map_err(ContentError::file("write", &staged.path))?;
        let read = data.len();
        archive.consume(read);
    }
    staged.packing = Packing::of(&head);
    staged.digest = hasher.finish();
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(normal(name).as_deref(), expected, "{name}");
        check("./a//b/", Some("a/b"));
        check("a/../b", Some("b"));
        check("/etc/passwd", Some("etc/passwd"));
        check("../a", None);
        check("a/../../b", None);
    }

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if kind.is_file() {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            } else {
                header.set_size(0);
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn reads_and_leaves_nothing() {
        use tar::EntryType::{Link, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path()).unwrap();
        let bytes = archive(&[
            ("./a/layer.tar", Regular, "first"),
            ("a/layer.tar", Regular, "content"),
            ("b/layer.tar", Symlink, "../a/layer.tar"),
            ("c", Link, "b/layer.tar"),
            ("loop", Symlink, "loop"),
            ("out", Symlink, "../../etc/passwd"),
            ("../../escape", Regular, "x"),
            ("/abs", Regular, "y"),
        ]);
        let members = Members::read(&blobs, &bytes[..], 1000).unwrap();
        for name in ["a/layer.tar", "./b/layer.tar", "c"] {
            assert_eq!(members.content(name, 100).unwrap(), b"content", "{name}");
        }
        assert_eq!(members.content("abs", 100).unwrap(), b"y");
        for name in ["loop", "out", "escape", "../../escape", "none"] {
            assert!(!members.has(name), "{name}");
        }
        assert!(members.content("c", 3).is_err());
        let (digest, size, packing) = members.identity("c").unwrap();
        assert_eq!(
            (size, packing, &digest),
            (7, Packing::Plain, &Hasher::digest(DigestAlgorithm::Sha256, b"content"))
        );
        members.publish(&blobs, "c", &digest).unwrap();
        assert!(members.publish(&blobs, "abs", &digest).is_err());
        drop(members);
        assert_eq!(blobs.read(&digest, 100).unwrap(), b"content");
        assert_eq!(fs::read_dir(dir.path().join("ingest")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing outside blobs and ingest");

        let error = Members::read(&blobs, &bytes[..], 10).unwrap_err();
        assert!(matches!(error, Error::Archive(ArchiveError::Limit { .. })), "{error}");
        assert!(Members::read(&blobs, &b"no archive at all, and longer than nothing"[..], 1000).is_err());
        assert_eq!(fs::read_dir(dir.path().join("ingest")).unwrap().count(), 0);
    }

    /// The names are kept, so they are bounded: one by one and together.
    #[test]
    fn names_have_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path()).unwrap();
        let read = |archive: Vec<u8>| {
            Members::read(&blobs, &archive[..], 1 << 30).map(drop).map_err(|error| match error {
                Error::Archive(ArchiveError::Read(source)) => source.to_string(),
                error => error.to_string(),
            })
        };
        let file = rootfs_fixtures::Entry::file("f", "").bytes();
        let named = |len: usize| [rootfs_fixtures::special(b'L', &vec![b'x'; len]), file.clone()].concat();
        assert_eq!(read(named(4000)), Ok(()));
        assert_eq!(
            read(named(2 << 20)).unwrap_err(),
            "a long name header of 2097152 bytes is larger than 1 MiB"
        );
        assert_eq!(read(named(1_000_000).repeat(40)).unwrap_err(), "more than 33554432 bytes of names");
    }
}
