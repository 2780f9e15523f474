//! The cgroup2 mount, and its directories and files through descriptors.
//!
//! Every name is resolved below a descriptor, without links and without leaving the file system, so that neither a
//! container with a writable cgroup tree nor a mount on top of it can send ross elsewhere.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{CgroupError, Controller};

/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The root of the cgroup v2 tree.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) root: Directory,
}

impl Hierarchy {
    /// Finds the mount: the one of a pure v2 host, or the v2 part of a hybrid one.
    pub(super) fn open() -> Result<Self, CgroupError> {
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let Ok(fd) = rustix::fs::open(mount, DIRECTORY, Mode::empty()) else { continue };
            if rustix::fs::fstatfs(&fd).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(CGROUP2_MAGIC)) {
                return Ok(Self { root: Directory(fd) });
            }
        }
        Err(CgroupError::NoHierarchy)
    }
}

/// The directory of one cgroup.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Directory {
    /// Opens a directory below this one; an empty path is this one again.
    pub(super) fn open(&self, path: &str) -> Result<Self, Errno> {
        self.open_file(if path.is_empty() { "." } else { path }, DIRECTORY).map(Self)
    }

    /// Opens the directory above. The caller knows that it is below the mount.
    pub(super) fn parent(&self) -> Result<Self, Errno> {
        rustix::fs::openat(&self.0, "..", DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map(Self)
    }

    pub(super) fn make(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Opens a file below this directory.
    pub(super) fn open_file(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        loop {
            // EAGAIN says that a rename went on at the same time somewhere on the host (openat2(2)).
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Writes a value: one write, as the kernel takes one value with each.
    pub(super) fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        let fd = self.open_file(file, OFlags::WRONLY)?;
        rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes())).map(drop)
    }

    /// Reads a whole file.
    pub(super) fn read(&self, file: &str) -> Result<String, Errno> {
        let fd = self.open_file(file, OFlags::RDONLY)?;
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut chunk))? {
                0 => return String::from_utf8(text).map_err(|_| Errno::ILSEQ),
                count => text.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// The names of the cgroups directly below this one.
    pub(super) fn children(&self) -> Result<Vec<String>, Errno> {
        self.names(FileType::Directory)
    }

    /// The names of its files.
    pub(super) fn files(&self) -> Result<Vec<String>, Errno> {
        self.names(FileType::RegularFile)
    }

    fn names(&self, kind: FileType) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == kind && name != b"." && name != b".." {
                names.push(String::from_utf8(name.to_vec()).map_err(|_| Errno::ILSEQ)?);
            }
        }
        Ok(names)
    }

    /// The controllers a file of the directory lists.
    pub(super) fn controllers(&self, file: &str) -> Result<Controllers, Errno> {
        // The longest list of eight names fits, in one read and without an allocation.
        let fd = self.open_file(file, OFlags::RDONLY)?;
        let mut text = [0; 256];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut text))?;
        Ok(Controllers::parse(&text[..count]))
    }
}

/// A set of controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Controllers(u8);

impl Controllers {
    fn parse(text: &[u8]) -> Self {
        let names = text.split(u8::is_ascii_whitespace).filter_map(|name| std::str::from_utf8(name).ok());
        names.filter_map(Controller::from_name).collect()
    }

    pub(super) fn contains(self, controller: Controller) -> bool {
        self.0 & 1 << controller as u8 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |&controller| self.contains(controller))
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(controllers: I) -> Self {
        Self(controllers.into_iter().fold(0, |bits, controller| bits | 1 << controller as u8))
    }
}

/// As `cgroup.subtree_control` takes them: `+cpu +memory`.
impl fmt::Display for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, controller) in self.iter().enumerate() {
            write!(f, "{}+{controller}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_controllers() {
        let set = Controllers::parse(b"cpuset cpu io memory unknown\n");
        assert_eq!(set.to_string(), "+cpu +cpuset +io +memory");
        let few: Controllers = [Controller::Cpu, Controller::Pids].into_iter().collect();
        assert_eq!(set.intersection(few).to_string(), "+cpu");
        assert_eq!(few.without(set).to_string(), "+pids");
        assert!(few.without(few).is_empty());
        assert_eq!(set.union(few).iter().count(), 5);
    }
}
