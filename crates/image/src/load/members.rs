//! The members of an archive, in staging.
//!
//! A member's name is a key of a map and nothing else: no path is ever made from it.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ross_types::{Digest, DigestAlgorithm};

use super::ArchiveError;
use crate::content::{BlobStore, ContentError, Hasher};
use crate::error::Error;
use crate::pull::{Proportionate, unpacked};

/// More members than this are no images.
const MAX_MEMBERS: u64 = 100_000;

/// Links to links to links.
const MAX_LINKS: usize = 8;

/// A member's content, in a staging file that goes with this value.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    digest: Digest,
    size: u64,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Published, it is not there any more; otherwise staging is cleared at the next start at the latest.
        let _ = fs::remove_file(&self.path);
    }
}

/// The files and links of an archive, by name.
#[derive(Debug)]
pub(super) struct Members {
    files: HashMap<String, Staged>,
    links: HashMap<String, String>,
}

/// Counts what is read from an archive as it came.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
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
        let mut archive = tar::Archive::new(Proportionate::new(plain, count));
        let mut members = Self { files: HashMap::new(), links: HashMap::new() };
        let (mut number, mut total) = (0, 0u64);
        for entry in archive.entries().map_err(ArchiveError::Read)? {
            let mut entry = entry.map_err(ArchiveError::Read)?;
            number += 1;
            if number > MAX_MEMBERS {
                return Err(ArchiveError::Limit { limit: MAX_MEMBERS, of: "members" }.into());
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(name) = normal(&name) else { continue };
            let kind = entry.header().entry_type();
            if kind.is_file() {
                let staged = stage(blobs, &name, &mut entry, limit.saturating_sub(total), limit)?;
                total += staged.size;
                members.links.remove(&name);
                members.files.insert(name, staged);
            } else if let (true, Some(target)) =
                (kind.is_symlink() || kind.is_hard_link(), entry.link_name_bytes())
            {
                let target = String::from_utf8_lossy(&target).into_owned();
                let base = if kind.is_symlink() {
                    name.rsplit_once('/').map_or("", |(parent, _)| parent)
                } else {
                    ""
                };
                if let Some(target) = normal(&format!("{base}/{target}")) {
                    members.files.remove(&name);
                    members.links.insert(name, target);
                }
            }
        }
        Ok(members)
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

    /// A member's digest and size.
    pub(super) fn identity(&self, name: &str) -> Result<(Digest, u64), ArchiveError> {
        self.get(name).map(|staged| (staged.digest.clone(), staged.size))
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

fn stage(
    blobs: &BlobStore,
    name: &str,
    content: &mut impl Read,
    left: u64,
    limit: u64,
) -> Result<Staged, Error> {
    let algorithm =
        if name.starts_with("blobs/sha512/") { DigestAlgorithm::Sha512 } else { DigestAlgorithm::Sha256 };
    let (path, mut file) = blobs.temporary()?;
    // From here on the value takes the file with it.
    let mut staged = Staged { path, digest: Hasher::digest(algorithm, b""), size: 0 };
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = content.read(&mut buffer).map_err(ArchiveError::Read)?;
        if read == 0 {
            break;
        }
        staged.size += read as u64;
        if staged.size > left {
            return Err(ArchiveError::Limit { limit, of: "bytes" }.into());
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(ContentError::file("write", &staged.path))?;
    }
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
        let (digest, size) = members.identity("c").unwrap();
        assert_eq!((size, &digest), (7, &Hasher::digest(DigestAlgorithm::Sha256, b"content")));
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
}
