//! Bringing a blob in: append, hash, compare, publish.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use ross_types::Digest;

use super::store::remove_file;
use super::{BlobStore, ContentError, Hasher};

/// A blob on its way in. Dropped, it stays in staging and the next [`BlobStore::ingest`] goes on from there.
#[derive(Debug)]
pub(crate) struct Ingest<'a> {
    store: &'a BlobStore,
    digest: Digest,
    size: u64,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    /// Bytes that were staged before; they have to be [replayed](Self::replay) before anything is appended.
    staged: u64,
    /// Bytes hashed.
    done: u64,
}

impl<'a> Ingest<'a> {
    pub(super) fn open(store: &'a BlobStore, digest: &Digest, size: u64) -> Result<Self, ContentError> {
        let path = store.partial_path(digest);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(ContentError::file("open", &path))?;
        let mut staged = file.metadata().map_err(ContentError::file("read", &path))?.len();
        if staged > size {
            file.set_len(0).map_err(ContentError::file("empty", &path))?;
            staged = 0;
        }
        file.seek(SeekFrom::Start(0)).map_err(ContentError::file("read", &path))?;
        let hasher = Hasher::new(digest.algorithm());
        Ok(Self { store, digest: digest.clone(), size, path, file, hasher, staged, done: 0 })
    }

    /// How many bytes an earlier attempt left.
    pub(crate) fn staged(&self) -> u64 {
        self.staged
    }

    /// Reads what an earlier attempt left, piece by piece: 0 when all of it was read. It is hashed on the way.
    pub(crate) fn replay(&mut self, buffer: &mut [u8]) -> Result<usize, ContentError> {
        let rest = usize::try_from(self.staged - self.done).unwrap_or(usize::MAX).min(buffer.len());
        if rest == 0 {
            return Ok(0);
        }
        let read = self.file.read(&mut buffer[..rest]).map_err(ContentError::file("read", &self.path))?;
        if read == 0 {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(ContentError::File { action: "read", path: self.path.clone(), source });
        }
        self.hasher.update(&buffer[..read]);
        self.done += read as u64;
        Ok(read)
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        debug_assert!(self.done >= self.staged, "what was staged is replayed first");
        let done = self.done + bytes.len() as u64;
        if done > self.size {
            return Err(self.wrong_size(done));
        }
        self.file.write_all(bytes).map_err(ContentError::file("write", &self.path))?;
        self.hasher.update(bytes);
        self.done = done;
        Ok(())
    }

    /// Compares size and digest. A blob that fails is removed from staging.
    pub(crate) fn verify(self) -> Result<Verified<'a>, ContentError> {
        let Self { store, digest, size, path, file, hasher, done, .. } = self;
        let problem = if done == size {
            let actual = hasher.finish();
            if actual == digest {
                return Ok(Verified { store, digest, path, file });
            }
            ContentError::Digest { expected: digest, actual }
        } else {
            ContentError::Size { digest, expected: size, actual: done }
        };
        remove_file(&path)?;
        Err(problem)
    }

    fn wrong_size(&self, actual: u64) -> ContentError {
        ContentError::Size { digest: self.digest.clone(), expected: self.size, actual }
    }
}

/// A staged blob whose bytes are right.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    store: &'a BlobStore,
    digest: Digest,
    path: PathBuf,
    file: File,
}

impl Verified<'_> {
    /// Makes the blob durable, then visible.
    pub(crate) fn publish(self) -> Result<(), ContentError> {
        self.store.publish(&self.file, &self.path, &self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ross_types::DigestAlgorithm;

    fn open() -> (tempfile::TempDir, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        (dir, store)
    }

    fn hello() -> Digest {
        Hasher::digest(DigestAlgorithm::Sha256, b"hello world")
    }

    #[test]
    fn resumes_and_publishes() {
        let (_dir, store) = open();
        let mut first = store.ingest(&hello(), 11).unwrap();
        first.append(b"hello ").unwrap();
        drop(first);
        assert!(!store.has(&hello(), 11));

        let mut second = store.ingest(&hello(), 11).unwrap();
        assert_eq!(second.staged(), 6);
        let mut buffer = [0; 4];
        let mut seen = Vec::new();
        loop {
            let read = second.replay(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            seen.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(seen, b"hello ");
        second.append(b"world").unwrap();
        let verified = second.verify().unwrap();
        assert!(!store.has(&hello(), 11), "not visible before it is published");
        verified.publish().unwrap();
        assert_eq!(store.read(&hello(), 100).unwrap(), b"hello world");
        assert!(!store.partial_path(&hello()).exists());
    }

    #[test]
    fn a_demoted_blob_is_resumed_if_it_is_worth_it() {
        let (_dir, store) = open();
        let check = |bytes: &[u8], kept: u64| {
            let digest = Hasher::digest(DigestAlgorithm::Sha256, bytes);
            store.put(&digest, bytes).unwrap();
            store.demote(&digest).unwrap();
            assert!(!store.has(&digest, bytes.len() as u64));
            assert_eq!(store.ingest(&digest, bytes.len() as u64).unwrap().staged(), kept);
        };
        check(b"hello world", 0);
        check(&[7; 100_000], 100_000);
    }

    #[test]
    fn refuses_what_is_wrong() {
        let (_dir, store) = open();
        let mut long = store.ingest(&hello(), 11).unwrap();
        assert!(matches!(long.append(b"hello world!"), Err(ContentError::Size { actual: 12, .. })));
        drop(long);

        let mut short = store.ingest(&hello(), 11).unwrap();
        short.append(b"hello").unwrap();
        assert!(matches!(short.verify(), Err(ContentError::Size { actual: 5, .. })));

        let mut other = store.ingest(&hello(), 11).unwrap();
        assert_eq!(other.staged(), 0);
        other.append(b"hello_world").unwrap();
        assert!(matches!(other.verify(), Err(ContentError::Digest { .. })));
        assert!(!store.partial_path(&hello()).exists() && !store.path(&hello()).exists());

        let mut grown = store.ingest(&hello(), 11).unwrap();
        grown.append(b"hello").unwrap();
        drop(grown);
        assert_eq!(
            store.ingest(&hello(), 3).unwrap().staged(),
            0,
            "a partial longer than the blob is no start"
        );
    }
}
