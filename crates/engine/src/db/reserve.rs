//! Room that is kept for the time when there is none: a file beside the database that is given back so that a
//! removal can be written on a disk that is full to the last block.

use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate};
use rustix::io::Errno;

/// Bytes: a removal writes a few pages of 4 KiB into the write-ahead log, an opening its index besides.
const SIZE: u64 = 1 << 20;

/// What a removal took of the reserve is missing when it is taken again on a disk that is full but for it: then it is
/// smaller by steps of so many bytes.
const STEP: u64 = 64 << 10;

/// The file.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Bytes that are kept.
    kept: AtomicU64,
}

impl Reserve {
    /// The reserve of the database at `database`; kept if there is room.
    pub(super) fn new(database: &Path) -> Self {
        let reserve = Self { path: database.with_file_name("reserve"), kept: AtomicU64::new(0) };
        reserve.keep();
        reserve
    }

    /// Takes the room again after it was given back, or as much of it as there is. A disk without it is no failure: the
    /// next write tries again.
    pub(super) fn keep(&self) {
        let kept = self.kept.load(Ordering::Relaxed);
        if kept == SIZE {
            return;
        }
        match self.grow(kept) {
            Ok(size) => self.kept.store(size, Ordering::Relaxed),
            // A file system that cannot promise room: asking again for each write would be for nothing.
            Err(Errno::OPNOTSUPP) => self.kept.store(SIZE, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Makes the file as large as there is room for; says how large it is.
    fn grow(&self, kept: u64) -> rustix::io::Result<u64> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::open(&self.path, flags, Mode::from_raw_mode(0o600))?;
        let mut size = SIZE;
        while size > kept {
            match fallocate(&file, FallocateFlags::empty(), 0, size) {
                Err(Errno::NOSPC) => size -= STEP,
                done => return done.map(|()| size),
            }
        }
        Ok(kept)
    }

    /// Gives the room back; says whether there was any.
    pub(super) fn give_back(&self) -> bool {
        self.kept.store(0, Ordering::Relaxed);
        match std::fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != IoKind::NotFound {
                    tracing::warn!(path = %self.path.display(), %error, "the reserve cannot be given back");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("ross.db");
        let reserve = Reserve::new(&database);
        let size = || std::fs::metadata(dir.path().join("reserve")).map(|meta| meta.len()).ok();
        assert_eq!(size(), Some(SIZE));
        assert!(reserve.give_back());
        assert_eq!(size(), None);
        assert!(!reserve.give_back());
        reserve.keep();
        assert_eq!(size(), Some(SIZE));
    }
}
