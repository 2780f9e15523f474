//! Disk space that is kept for removals: when the disk is full, a removal is what gives space back, and it must be
//! written down first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

/// Far more than the pages of a removal's transaction, in bytes.
const BYTES: u64 = 1 << 20;

/// A file whose blocks are given up when a removal needs them.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve beside the database at `path`.
    pub(super) fn beside(path: &Path) -> Self {
        Self { path: path.with_extension("reserve") }
    }

    /// Makes the file if it is not there. Where there is no room, or the file system cannot allocate, there is none: it is
    /// tried again before the next removal.
    pub(super) fn keep(&self) {
        if self.path.exists() {
            return;
        }
        if let Err(error) = allocate(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "no disk space is kept for removals");
            // What was allocated of it is of no use to anybody.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space up; says whether there was any.
    pub(super) fn spend(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_is_allocated_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&dir.path().join("ross.db"));
        assert!(!reserve.spend());
        reserve.keep();
        reserve.keep();
        let status = fs::metadata(dir.path().join("ross.reserve")).unwrap();
        assert!(status.len() == BYTES && status.blocks() * 512 >= BYTES, "the blocks are there");
        assert!(reserve.spend());
        assert!(!reserve.spend());
    }
}
