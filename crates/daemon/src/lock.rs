//! One daemon for one directory: an advisory lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

const FILE_NAME: &str = "rossd.lock";

/// Held for as long as the daemon may touch the directory.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, or says who has it.
    pub fn take(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only for the sentence; an unreadable number is left out.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                bail!(
                    "{} is in use by another rossd{who}: stop it, or choose another directory",
                    directory.display()
                );
            }
            Err(errno) => return Err(errno).with_context(|| format!("lock {}", path.display())),
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
    fn second_taker_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let error = DirectoryLock::take(directory.path()).unwrap_err().to_string();
        assert!(error.contains("in use") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
