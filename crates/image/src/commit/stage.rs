//! A layer on its way in: packed, and hashed before and after, in one pass. Nothing of it is held in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use ross_types::{DiffId, Digest, DigestAlgorithm};

use crate::content::{ContentError, Counted, Hasher};
use crate::durable::Step;
use crate::error::Error;
use crate::load::ArchiveError;
use crate::pull::{Proportionate, unpacked};
use crate::store::Inner;

/// Bytes that are written at once.
const PIECE: usize = 128 << 10;

/// A layer in staging, which goes with this value.
#[derive(Debug)]
pub struct StagedLayer {
    path: PathBuf,
    blob: Digest,
    size: u64,
    diff_id: DiffId,
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        // Published, it is not there any more; otherwise staging is cleared at the next start at the latest.
        let _ = Step::BlobRemove.run(|| std::fs::remove_file(&self.path));
    }
}

/// Counts and hashes what goes into a file.
struct Blob {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Write for Blob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The archive on its way into the blob. A stream beyond `limit` bytes is refused.
struct Archive {
    packed: GzEncoder<Blob>,
    hasher: Hasher,
    size: u64,
    limit: u64,
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("more than {} bytes", self.limit),
            ));
        }
        self.packed.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StagedLayer {
    /// Stages what `write` writes. Blocks.
    pub(crate) fn of<T>(
        inner: &Inner,
        write: impl FnOnce(&mut dyn Write) -> Result<T, Error>,
    ) -> Result<(Self, T), Error> {
        let (path, file) = inner.blobs.temporary()?;
        let sha256 = || Hasher::new(DigestAlgorithm::Sha256);
        // From here on the value takes the file with it.
        let mut staged = Self {
            path,
            blob: Hasher::digest(DigestAlgorithm::Sha256, b""),
            size: 0,
            diff_id: DiffId(Hasher::digest(DigestAlgorithm::Sha256, b"")),
        };
        let blob = Blob { file, hasher: sha256(), size: 0 };
        let archive = Archive {
            // The fastest: whoever waits for a commit has a disk, and a registry is asked for later, if ever.
            packed: GzEncoder::new(blob, Compression::fast()),
            hasher: sha256(),
            size: 0,
            limit: inner.limits.bytes,
        };
        let mut archive = BufWriter::with_capacity(PIECE, archive);
        let value = write(&mut archive)?;
        let failed = |error: io::Error| ContentError::file("write", &staged.path)(error);
        let archive = archive.into_inner().map_err(|error| failed(error.into_error()))?;
        let blob = archive.packed.finish().map_err(failed)?;
        staged.diff_id = DiffId(archive.hasher.finish());
        staged.blob = blob.hasher.finish();
        staged.size = blob.size;
        Ok((staged, value))
    }

    /// Stages an archive, plain or packed by gzip or zstd. Blocks for as long as `source` does.
    pub(crate) fn of_archive(inner: &Inner, source: impl Read + Send) -> Result<Self, Error> {
        let count = Arc::new(AtomicU64::new(0));
        let source = BufReader::with_capacity(PIECE, Counted { inner: source, count: count.clone() });
        let (_, plain) = unpacked(source).map_err(ArchiveError::Read)?;
        let mut plain = Proportionate::new(plain, count.clone());
        let ingest = inner.config.root.join("ingest");
        let (staged, ()) = Self::of(inner, |out| {
            let mut buffer = vec![0; PIECE];
            loop {
                let read = match plain.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Error::from(ArchiveError::Read(error))),
                };
                out.write_all(&buffer[..read])
                    .map_err(|error| ContentError::file("write", &ingest)(error))?;
            }
        })?;
        if count.load(Ordering::Relaxed) == 0 {
            let nothing = io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty");
            return Err(ArchiveError::Read(nothing).into());
        }
        Ok(staged)
    }

    /// The digest of the uncompressed archive.
    #[must_use]
    pub fn diff_id(&self) -> &DiffId {
        &self.diff_id
    }

    /// The digest and size of the blob.
    pub(super) fn blob(&self) -> (&Digest, u64) {
        (&self.blob, self.size)
    }

    /// Makes the blob visible, in the place of one that may be damaged. Its digest has to be leased.
    pub(super) fn publish(&self, inner: &Inner) -> Result<(), ContentError> {
        inner.blobs.adopt(&self.path, &self.blob)
    }
}
