//! `layers/.staging/`: where layers are before they are whole, and when they are being removed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::sync::SyncGroup;
use super::{LayerError, LayerKey, remove};

/// The open folder `layers/` with its staging area.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    layers: OwnedFd,
    staging: OwnedFd,
    next: AtomicU64,
    syncs: SyncGroup,
}

/// A folder in the staging area; dropped, it is removed.
#[derive(Debug)]
pub(super) struct Staging {
    folder: Arc<Folder>,
    name: String,
}

const STAGING: &str = ".staging";

fn open(path: &Path) -> Result<OwnedFd, LayerError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failure("open", path, errno))
}

fn make(path: &Path) -> Result<(), LayerError> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(failure("make", path, errno)),
    }
}

fn failure(action: &'static str, path: &Path, errno: Errno) -> LayerError {
    LayerError::Store { action, path: path.to_owned(), source: errno.into() }
}

impl Folder {
    /// Opens `path`, making it for root alone, and empties its staging area.
    pub(super) fn open(path: PathBuf) -> Result<Self, LayerError> {
        make(&path)?;
        let layers = open(&path)?;
        remove::remove_tree(&layers, STAGING.as_bytes())
            .map_err(|errno| failure("empty", &path.join(STAGING), errno))?;
        make(&path.join(STAGING))?;
        let staging = open(&path.join(STAGING))?;
        Ok(Self { path, layers, staging, next: AtomicU64::new(1), syncs: SyncGroup::default() })
    }

    /// Makes a folder in the staging area with an empty `tree/` in it, owned by root, mode 0755.
    pub(super) fn stage(self: &Arc<Self>) -> Result<(Staging, OwnedFd), LayerError> {
        let name = self.free_name();
        let staging = Staging { folder: Arc::clone(self), name };
        let path = staging.path();
        make(&path)?;
        let tree = path.join("tree");
        make(&tree)?;
        let fd = open(&tree)?;
        // A default ACL of the folder above would be inherited by every file of every image.
        let _ = rustix::fs::fremovexattr(&fd, "system.posix_acl_default");
        rustix::fs::fchown(&fd, Some(rustix::process::geteuid()), Some(rustix::process::getegid()))
            .and_then(|()| rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755)))
            .map_err(|errno| failure("set the owner of", &tree, errno))?;
        Ok((staging, fd))
    }

    /// Takes a layer out of sight at once, then removes it.
    pub(super) fn remove(self: &Arc<Self>, key: &LayerKey) -> Result<(), LayerError> {
        let gone = Staging { folder: Arc::clone(self), name: self.free_name() };
        let path = self.path.join(key.as_str());
        match rustix::fs::renameat(&self.layers, key.as_str(), &self.staging, gone.name.as_str()) {
            Err(Errno::NOENT) => return Ok(()),
            moved => moved.map_err(|errno| failure("remove", &path, errno))?,
        }
        remove::remove_tree(&self.staging, gone.name.as_bytes())
            .map_err(|errno| failure("remove", &gone.path(), errno))
    }

    /// The names in `layers/` that are keys.
    pub(super) fn keys(&self) -> Result<Vec<LayerKey>, LayerError> {
        let failure =
            |source: io::Error| LayerError::Store { action: "list", path: self.path.clone(), source };
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failure)? {
            let name = entry.map_err(failure)?.file_name();
            keys.extend(name.to_str().and_then(|name| name.parse::<LayerKey>().ok()));
        }
        keys.sort();
        Ok(keys)
    }

    fn free_name(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }
}

impl Staging {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path.join(STAGING).join(&self.name)
    }

    /// Makes everything in it durable, then visible as `key`. Someone else may have been faster: that is as good.
    pub(super) fn commit(self, key: &LayerKey) -> Result<(), LayerError> {
        let path = self.folder.path.join(key.as_str());
        let folder = &*self.folder;
        folder.syncs.sync(&folder.layers).map_err(|errno| failure("sync", &path, errno))?;
        let noreplace = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&folder.staging, &self.name, &folder.layers, key.as_str(), noreplace)
        {
            Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(failure("put in place", &path, errno)),
        }
        rustix::fs::fsync(&folder.layers).map_err(|errno| failure("sync", &folder.path, errno))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit there is nothing left under this name.
        if rustix::fs::accessat(
            &self.folder.staging,
            &self.name,
            rustix::fs::Access::EXISTS,
            AtFlags::empty(),
        )
        .is_err()
        {
            return;
        }
        if let Err(errno) = remove::remove_tree(&self.folder.staging, self.name.as_bytes()) {
            tracing::warn!(path = %self.path().display(), %errno, "staging folder left for the next start");
        }
    }
}
