//! `blobs/<algorithm>/<hex>` and `ingest/`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ross_types::{Digest, DigestAlgorithm};

use super::{ContentError, Hasher, Ingest};
use crate::durable::Step;

/// A partial download that nobody came back for is given up after this time.
const PARTIAL_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A smaller blob is fetched again rather than kept in staging, in bytes.
const WORTH_KEEPING: u64 = 64 * 1024;

/// The blobs of this host. All calls block on the disk.
#[derive(Debug)]
pub(crate) struct BlobStore {
    blobs: PathBuf,
    ingest: PathBuf,
    temporary: AtomicU64,
}

impl BlobStore {
    /// Opens the store under `root`, making it when it is missing, and clears staging of all but what a download
    /// can go on from. One process at a time may have a root open.
    pub(crate) fn open(root: &Path) -> Result<Self, ContentError> {
        let (blobs, ingest) = (root.join("blobs"), root.join("ingest"));
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let path = blobs.join(algorithm.as_str());
            fs::create_dir_all(&path).map_err(ContentError::file("make", &path))?;
        }
        fs::create_dir_all(&ingest).map_err(ContentError::file("make", &ingest))?;
        let store = Self { blobs, ingest, temporary: AtomicU64::new(0) };
        store.clear_staging()?;
        Ok(store)
    }

    fn clear_staging(&self) -> Result<(), ContentError> {
        let read = || ContentError::file("read", &self.ingest);
        for entry in fs::read_dir(&self.ingest).map_err(read())? {
            let entry = entry.map_err(read())?;
            let path = entry.path();
            let age = |meta: fs::Metadata| {
                SystemTime::now().duration_since(meta.modified()?).map_err(io::Error::other)
            };
            let resumable = path.extension().is_some_and(|extension| extension == "partial")
                && entry.metadata().and_then(age).is_ok_and(|age| age < PARTIAL_LIFETIME);
            if !resumable {
                remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Where a blob is, or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// Where the beginning of a blob is staged.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.ingest.join(format!("{}.partial", digest.hex()))
    }

    /// Whether a blob of this size is here.
    pub(crate) fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|meta| meta.is_file() && meta.len() == size)
    }

    /// Opens a blob for reading, with its size. The bytes are to be checked by whoever reads them.
    pub(crate) fn reader(&self, digest: &Digest) -> Result<(File, u64), ContentError> {
        let path = self.path(digest);
        let opened = File::open(&path).and_then(|file| file.metadata().map(|meta| (file, meta.len())));
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ContentError::Missing(digest.clone()),
            _ => ContentError::File { action: "open", path, source },
        })
    }

    /// A small blob's bytes, checked against its digest.
    pub(crate) fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, ContentError> {
        let (file, size) = self.reader(digest)?;
        if size > limit {
            return Err(ContentError::TooLarge { digest: digest.clone(), limit });
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(ContentError::file("read", &self.path(digest)))?;
        let actual = Hasher::digest(digest.algorithm(), &bytes);
        if actual == *digest {
            Ok(bytes)
        } else {
            Err(ContentError::Digest { expected: digest.clone(), actual })
        }
    }

    /// Stores a small blob whose digest the caller has computed or compared.
    pub(crate) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ContentError> {
        if self.read(digest, bytes.len() as u64).is_ok() {
            return Ok(());
        }
        let (path, mut file) = self.temporary()?;
        let written = file
            .write_all(bytes)
            .map_err(ContentError::file("write", &path))
            .and_then(|()| self.publish(&file, &path, digest));
        if written.is_err() {
            // What matters is why it could not be written; staging is cleared at the next start anyway.
            let _ = remove_file(&path);
        }
        written
    }

    /// A new staging file that is not resumable, open for writing and reading.
    pub(crate) fn temporary(&self) -> Result<(PathBuf, File), ContentError> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.ingest.join(format!("{}-{number}.tmp", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        file.map_err(ContentError::file("make", &path)).map(|file| (path, file))
    }

    /// Takes up a blob where an earlier attempt left it, or begins. The caller has the blob's gate.
    pub(crate) fn ingest(&self, digest: &Digest, size: u64) -> Result<Ingest<'_>, ContentError> {
        Ingest::open(self, digest, size)
    }

    /// Makes the staged file `path` durable, then visible as the blob `digest`. Its name is durable after
    /// [`sync_names`](Self::sync_names).
    pub(super) fn publish(&self, file: &File, path: &Path, digest: &Digest) -> Result<(), ContentError> {
        Step::BlobSync.run(|| file.sync_all()).map_err(ContentError::file("sync", path))?;
        let target = self.path(digest);
        Step::BlobRename.run(|| fs::rename(path, &target)).map_err(ContentError::file("make", &target))
    }

    /// Makes the names of all blobs durable: once for an image, before its record is written.
    pub(crate) fn sync_names(&self) -> Result<(), ContentError> {
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let path = self.blobs.join(algorithm.as_str());
            Step::BlobNames
                .run(|| File::open(&path).and_then(|dir| dir.sync_all()))
                .map_err(ContentError::file("sync", &path))?;
        }
        Ok(())
    }

    /// Makes the staging file `path`, whose digest the caller has computed, durable and visible as a blob.
    pub(crate) fn adopt(&self, path: &Path, digest: &Digest) -> Result<(), ContentError> {
        let file = File::open(path).map_err(ContentError::file("open", path))?;
        self.publish(&file, path, digest)
    }

    /// Removes a blob; one that is not here is no error.
    fn remove(&self, digest: &Digest) -> Result<(), ContentError> {
        remove_file(&self.path(digest))
    }

    /// Takes a blob out of sight; none if it is not here. Its bytes go when what is returned is dropped, which takes as
    /// long as there are many.
    pub(crate) fn take_out(&self, digest: &Digest) -> Result<Option<File>, ContentError> {
        let path = self.path(digest);
        match File::open(&path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let file = opened.map_err(ContentError::file("open", &path))?;
                remove_file(&path).map(|()| Some(file))
            }
        }
    }

    /// Removes a blob and what is staged of it, because its bytes are wrong.
    pub(crate) fn forget(&self, digest: &Digest) -> Result<(), ContentError> {
        self.remove(digest)?;
        remove_file(&self.partial_path(digest))
    }

    /// Removes what is staged of a blob, so that it is fetched from its beginning.
    pub(crate) fn restart(&self, digest: &Digest) -> Result<(), ContentError> {
        remove_file(&self.partial_path(digest))
    }

    /// Beginnings of blobs that are staged: the hexadecimal digits of each digest, and its bytes.
    pub(crate) fn beginnings(&self) -> Result<Vec<(String, u64)>, ContentError> {
        let read = || ContentError::file("read", &self.ingest);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.ingest).map_err(read())? {
            let entry = entry.map_err(read())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(hex) = name.strip_suffix(".partial")
                && let Ok(meta) = entry.metadata()
            {
                found.push((hex.to_owned(), meta.len()));
            }
        }
        Ok(found)
    }

    /// Takes one of [`Self::beginnings`] out of sight; its bytes go with the file that is answered. None when it is gone.
    pub(crate) fn give_up(&self, hex: &str) -> Result<Option<File>, ContentError> {
        let path = self.ingest.join(format!("{hex}.partial"));
        let file = File::open(&path).ok();
        remove_file(&path)?;
        Ok(file)
    }

    /// Takes a blob that no image came to use back to staging, where the next pull of it finds it.
    pub(crate) fn demote(&self, digest: &Digest) -> Result<(), ContentError> {
        let path = self.path(digest);
        if fs::metadata(&path).is_ok_and(|meta| meta.len() < WORTH_KEEPING) {
            return self.remove(digest);
        }
        match Step::BlobDemote.run(|| fs::rename(&path, self.partial_path(digest))) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ContentError::File { action: "move to staging", path, source })
            }
            _ => Ok(()),
        }
    }

    /// The digests of all blobs here.
    pub(crate) fn digests(&self) -> Result<Vec<Digest>, ContentError> {
        let mut digests = Vec::new();
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let path = self.blobs.join(algorithm.as_str());
            for entry in fs::read_dir(&path).map_err(ContentError::file("read", &path))? {
                let name = entry.map_err(ContentError::file("read", &path))?.file_name();
                let digest =
                    name.to_str().and_then(|hex| format!("{}:{hex}", algorithm.as_str()).parse().ok());
                digests.extend(digest);
            }
        }
        Ok(digests)
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), ContentError> {
    match Step::BlobRemove.run(|| fs::remove_file(path)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ContentError::File { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(bytes: &[u8]) -> Digest {
        Hasher::digest(DigestAlgorithm::Sha256, bytes)
    }

    #[test]
    fn put_read_remove() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let digest = digest_of(b"abc");
        assert!(matches!(store.read(&digest, 10), Err(ContentError::Missing(_))));
        store.put(&digest, b"abc").unwrap();
        assert!(store.has(&digest, 3) && !store.has(&digest, 4));
        assert_eq!(store.read(&digest, 10).unwrap(), b"abc");
        assert!(matches!(store.read(&digest, 2), Err(ContentError::TooLarge { .. })));
        assert_eq!(store.digests().unwrap(), vec![digest.clone()]);
        fs::write(store.path(&digest), b"abd").unwrap();
        assert!(matches!(store.read(&digest, 10), Err(ContentError::Digest { .. })));
        store.put(&digest, b"abc").unwrap();
        assert_eq!(store.read(&digest, 10).unwrap(), b"abc", "a damaged blob is replaced");
        store.remove(&digest).unwrap();
        store.remove(&digest).unwrap();
        assert!(!store.has(&digest, 3));
        assert_eq!(fs::read_dir(dir.path().join("ingest")).unwrap().count(), 0);
    }

    #[test]
    fn opening_keeps_only_what_can_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let ingest = dir.path().join("ingest");
        fs::create_dir(&ingest).unwrap();
        let old = SystemTime::now() - PARTIAL_LIFETIME - Duration::from_secs(1);
        for name in ["a.partial", "b.tmp", "c", "old.partial"] {
            File::create(ingest.join(name)).unwrap();
        }
        File::options().write(true).open(ingest.join("old.partial")).unwrap().set_modified(old).unwrap();
        BlobStore::open(dir.path()).unwrap();
        let left: Vec<_> = fs::read_dir(&ingest).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["a.partial"]);
    }
}
