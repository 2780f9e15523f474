//! One engine for one directory: an advisory lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ross_types::ErrorKind;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{EngineError, Result};

const FILE_NAME: &str = "lock";

/// Held for as long as the engine may touch the directory.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, or says who has it.
    pub(crate) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| EngineError::io("open", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only for the sentence; an unreadable number is left out.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                let directory = directory.display().to_string();
                let text = format!(
                    "{directory} is in use by another rossd{who}: stop it, or give this one a --root and a --state of its own"
                );
                return Err(EngineError::new(ErrorKind::FailedPrecondition, directory, text));
            }
            Err(error) => return Err(EngineError::io("lock", &path, error)),
        }
        // The number is for people; the lock is what counts.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let error = DirectoryLock::take(directory.path()).unwrap_err().to_string();
        assert!(error.contains("in use") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
