//! `layers/.staging/`: where layers are before they are whole, and when they are being removed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, IFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::sync::SyncGroup;
use super::{LayerError, LayerKey, remove};
use crate::durable::Step;

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

/// Asks the file system to put what is made in `dir` far apart (ext4's `T` attribute, chattr(1)): layers have nothing to
/// do with each other. It is also what a pull soon after a removal lives on: without it ext4 puts the new layer where
/// the old one was, and for a minute or more looks through all inodes that were freed there for each file it makes
/// (`recently_deleted` in fs/ext4/ialloc.c, without a journal): 30,000 files took 16 to 36 seconds instead of 2.
///
/// A hint: a file system that does not know it does without.
fn spread(dir: &OwnedFd) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(dir) {
        let _ = rustix::fs::ioctl_setflags(dir, flags | IFlags::TOPDIR);
    }
}

/// Where the numbering of staging folders begins: ext4 chooses a place by the name, and the same names after each start
/// would lead to the same places.
fn first_number() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(1)
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
        spread(&staging);
        Ok(Self { path, layers, staging, next: AtomicU64::new(first_number()), syncs: SyncGroup::default() })
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

    /// Takes a layer out of sight; none if there is no such layer.
    pub(super) fn take_out(self: &Arc<Self>, key: &LayerKey) -> Result<Option<Staging>, LayerError> {
        let gone = Staging { folder: Arc::clone(self), name: self.free_name() };
        let name = gone.name.as_str();
        let taken =
            Step::LayerTakeOut.run(|| rustix::fs::renameat(&self.layers, key.as_str(), &self.staging, name));
        match taken {
            Ok(()) => Ok(Some(gone)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failure("remove", &self.path.join(key.as_str()), errno)),
        }
    }

    /// Makes the names of all layers durable.
    pub(super) fn sync_names(&self) -> Result<(), LayerError> {
        Step::LayerNames
            .run(|| rustix::fs::fsync(&self.layers))
            .map_err(|errno| failure("sync", &self.path, errno))
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

    /// Removes it with all that is in it.
    pub(super) fn remove(self) -> Result<(), LayerError> {
        Step::LayerDelete
            .run(|| remove::remove_tree(&self.folder.staging, self.name.as_bytes()))
            .map_err(|errno| failure("remove", &self.path(), errno))
    }

    /// Makes everything in it durable, then visible as `key`. The name is durable after [`Folder::sync_names`].
    /// Someone else may have been faster: that is as good.
    pub(super) fn commit(self, key: &LayerKey) -> Result<(), LayerError> {
        let path = self.folder.path.join(key.as_str());
        self.sync(key)?;
        match self.rename(Step::LayerRename, key, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(failure("put in place", &path, errno)),
        }
    }

    /// Makes it visible as `key` when it is durable already, in the place of a layer that may be there; answers what is in
    /// staging now, which is that one. Its name is durable after [`Folder::sync_names`].
    pub(super) fn replace(self, key: &LayerKey) -> Result<Self, LayerError> {
        let path = self.folder.path.join(key.as_str());
        let exchanged = match self.rename(Step::LayerExchange, key, RenameFlags::EXCHANGE) {
            Err(Errno::NOENT) => self.rename(Step::LayerRename, key, RenameFlags::NOREPLACE),
            done => done,
        };
        exchanged.map_err(|errno| failure("put in place", &path, errno))?;
        Ok(self)
    }

    /// Makes everything in it durable; it is to become `key`.
    pub(super) fn sync(&self, key: &LayerKey) -> Result<(), LayerError> {
        Step::LayerSync
            .run(|| self.folder.syncs.sync(&self.folder.layers))
            .map_err(|errno| failure("sync", &self.folder.path.join(key.as_str()), errno))
    }

    fn rename(&self, step: Step, key: &LayerKey, flags: RenameFlags) -> rustix::io::Result<()> {
        let (from, to) = (&self.folder.staging, &self.folder.layers);
        step.run(|| rustix::fs::renameat_with(from, &self.name, to, key.as_str(), flags))
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
