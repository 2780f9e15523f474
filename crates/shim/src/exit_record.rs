//! How a container ended, kept where a power cut does not reach it.
//!
//! The record is written (temporary name, fsync, rename, fsync of the directory) before any client of the
//! shim is told of the end, so that nobody can act on an exit that is forgotten afterwards.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::protocol::Exit;

/// The version of the format that this crate writes.
pub const EXIT_RECORD_VERSION: u32 = 1;

/// How a container ended, as JSON on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The format's version: [`EXIT_RECORD_VERSION`].
    pub version: u32,
    /// The pid of the container's first process, 0 when there never was one.
    pub pid: i32,
    /// The exit code: the program's own, 128+n when signal n ended it, 125 to 127 when it could not be
    /// started.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
    /// When it started, in nanoseconds since 1970 UTC; 0 when it did not.
    pub started_at: i64,
    /// When it ended, in nanoseconds since 1970 UTC.
    pub finished_at: i64,
    /// Why it could not be started, or what went wrong while it was supervised.
    pub error: Option<String>,
}

impl ExitRecord {
    /// Reads the record at `path`; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a record of a version this crate knows.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let record: Self = serde_json::from_slice(&bytes)?;
        if record.version == EXIT_RECORD_VERSION {
            Ok(Some(record))
        } else {
            let text = format!("version {} of the exit record is not supported", record.version);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
    }

    /// Writes the record at `path`, forcing it to the disk when `durable`.
    ///
    /// # Errors
    /// When the file cannot be written; what was at `path` is then still there.
    pub fn write(&self, path: &Path, durable: bool) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        self.write_new(&temporary, durable).and_then(|()| fs::rename(&temporary, path)).inspect_err(
            |_| {
                // The first failure is the one to tell.
                let _ = fs::remove_file(&temporary);
            },
        )?;
        if let Some(directory) = path.parent().filter(|_| durable) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

impl ExitRecord {
    fn write_new(&self, path: &Path, durable: bool) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        if durable { file.sync_all() } else { Ok(()) }
    }
}

impl From<&Exit> for ExitRecord {
    fn from(exit: &Exit) -> Self {
        Self {
            version: EXIT_RECORD_VERSION,
            pid: exit.pid,
            code: exit.code,
            signal: exit.signal,
            oom_killed: exit.oom_killed,
            started_at: exit.started_at,
            finished_at: exit.finished_at,
            error: exit.error.clone(),
        }
    }
}

impl From<ExitRecord> for Exit {
    fn from(record: ExitRecord) -> Self {
        Self {
            pid: record.pid,
            code: record.code,
            signal: record.signal,
            oom_killed: record.oom_killed,
            started_at: record.started_at,
            finished_at: record.finished_at,
            error: record.error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exit.json");
        assert_eq!(ExitRecord::read(&path).unwrap(), None);
        let record = ExitRecord {
            version: EXIT_RECORD_VERSION,
            pid: 7,
            code: 137,
            signal: Some(9),
            oom_killed: true,
            started_at: 1,
            finished_at: 2,
            error: None,
        };
        for durable in [true, false] {
            record.write(&path, durable).unwrap();
            assert_eq!(ExitRecord::read(&path).unwrap().as_ref(), Some(&record));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        record.write(&taken, true).unwrap_err();
        assert!(!dir.path().join("taken.tmp").exists(), "a record that got no place is left");
        fs::write(&path, r#"{"version":9}"#).unwrap();
        assert!(ExitRecord::read(&path).is_err());
    }
}
