//! A container's root from outside: every path in it belongs to the container, and is resolved in it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};
use rustix::io::Errno;

use crate::error::{EngineError, Result};

/// More of a file is not read: it is a list of users, or made to hurt.
const MAX_FILE: u64 = 4 << 20;

/// An open root directory.
#[derive(Debug)]
pub(crate) struct RootFd {
    fd: OwnedFd,
}

impl RootFd {
    /// Opens the directory `path`, which belongs to ross.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            openat(CWD, path, flags, Mode::empty()).map_err(|error| EngineError::io("open", path, error))?;
        Ok(Self { fd })
    }

    /// Opens what `path` leads to, links resolved inside the root.
    pub(crate) fn open_at(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            // EAGAIN: something was renamed meanwhile, and the kernel is not sure (openat2(2)).
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// The text of a regular file; empty when there is none.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        // Looked at before it is opened to be read: opening a device can do something to the host, and opening a FIFO
        // waits.
        let found = match self.open_at(Path::new(path), OFlags::PATH) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
            Err(error) => return Err(EngineError::io("open in the container", Path::new(path), error)),
        };
        let failed = |error: std::io::Error| EngineError::io("read in the container", Path::new(path), error);
        let stat = fstat(&found).map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(String::new());
        }
        let name = format!("/proc/self/fd/{}", found.as_raw_fd());
        // A lease that the container holds on the file must not hold ross up: fcntl(2), F_SETLEASE.
        let fd = openat(CWD, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| failed(error.into()))?;
        let mut bytes = Vec::new();
        File::from(fd).take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes the directory `path` and its parents, root's and 0755, where they are missing; returns it open.
    pub(crate) fn create_dir_all(&self, path: &Path) -> Result<OwnedFd> {
        let failed = |error: Errno| EngineError::io("make directory in the container", path, error);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut so_far = std::path::PathBuf::from(".");
        let mut dir = self.open_at(&so_far, flags).map_err(failed)?;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            so_far.push(name);
            // From the root each time: a link on the way may lead anywhere in it.
            dir = match self.open_at(&so_far, flags) {
                Err(Errno::NOENT) => {
                    match mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(failed(error)),
                    }
                    self.open_at(&so_far, flags).map_err(failed)?
                }
                other => other.map_err(failed)?,
            };
        }
        Ok(dir)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("inside"), "inside").unwrap();
        symlink("../../secret", root.join("etc/up")).unwrap();
        symlink("/inside", root.join("etc/absolute")).unwrap();
        symlink("/etc", root.join("link")).unwrap();
        rustix::fs::mkfifoat(CWD, root.join("etc/fifo"), Mode::from_raw_mode(0o600)).unwrap();
        let fd = RootFd::open(&root).unwrap();
        assert_eq!(fd.read("etc/up").unwrap(), "");
        assert_eq!(fd.read("etc/absolute").unwrap(), "inside");
        assert_eq!(fd.read("etc/fifo").unwrap(), "");
        assert_eq!(fd.read("etc/none").unwrap(), "");
        fd.create_dir_all(Path::new("/link/a/b")).unwrap();
        assert!(root.join("etc/a/b").is_dir());
        assert!(fd.create_dir_all(Path::new("/inside/x")).is_err());
        symlink("/dangling", root.join("broken")).unwrap();
        assert!(fd.create_dir_all(Path::new("/broken/x")).is_err());
        assert!(!dir.path().join("dangling").exists());
    }
}
