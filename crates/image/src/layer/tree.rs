//! Finding directories in a tree that is being unpacked, without ever leaving it.
//!
//! Every path is opened below the root's descriptor with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`. Where a
//! parent on the way is a symbolic link (of this layer: others are not here yet), the link is followed by hand, one
//! component at a time, with the layer's root as `/`, which is what containerd does and what the entry would mean
//! inside the container. A link that climbs above the root is refused rather than clamped: no honest archive writes
//! through one. Nobody else writes to the tree meanwhile; it lies in a folder only root may enter.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::fault::{Doing, Fault, Result};
use super::{EntryFlaw, merged, name};

/// Open directories kept; archives list a directory's entries together, so few are in use at a time.
const CACHED: usize = 64;
const LINKS_MAX: usize = 40;
/// Components walked for one path, those of links included: forty links of two thousand `a/..` each would else cost
/// eighty thousand opens for each entry.
const STEPS_MAX: usize = 2048;

/// An open directory of the tree and its path there, free of links.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: Vec<u8>,
}

/// A directory that had to be made because the archive uses it without an entry of its own before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// Nothing was there: the layers below may have it.
    Anew,
    /// A whiteout was there: whatever the layers below have is gone.
    OverWhiteout,
}

/// Is told of each directory that had to be made, by its path.
pub(super) type OnMade<'a> = dyn FnMut(&[u8], Made) -> Result<()> + 'a;

/// The tree, and the directories of it used last.
#[derive(Debug)]
pub(super) struct Tree {
    root: Rc<Directory>,
    cache: HashMap<Vec<u8>, (Rc<Directory>, u64)>,
    tick: u64,
    depth: usize,
}

pub(super) fn open_beneath(fd: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(fd, path, flags, Mode::empty(), resolve)
}

pub(crate) fn stat(fd: &OwnedFd, name: &[u8]) -> rustix::io::Result<Stat> {
    rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

impl Tree {
    pub(super) fn new(root: OwnedFd, depth: usize) -> Self {
        let root = Rc::new(Directory { fd: root, path: Vec::new() });
        Self { root, cache: HashMap::new(), tick: 0, depth }
    }

    pub(super) fn root(&self) -> &Directory {
        &self.root
    }

    pub(super) fn into_root(self) -> Option<OwnedFd> {
        drop(self.cache);
        Rc::into_inner(self.root).map(|root| root.fd)
    }

    /// Forgets what paths lead to; for when a directory or link was replaced.
    pub(super) fn forget(&mut self) {
        self.cache.clear();
    }

    /// The directory at `path`, if it is there.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<Option<Rc<Directory>>> {
        self.walk(path, None)
    }

    /// The directory at `path`; what is missing of it is made with mode 0755, and `made` is told.
    pub(super) fn ensure(&mut self, path: &[u8], made: &mut OnMade<'_>) -> Result<Rc<Directory>> {
        let found = self.walk(path, Some(made))?;
        Ok(found.expect("a walk that makes what is missing finds it"))
    }

    /// Refuses a path that is too deep or too long to be reached by name again.
    pub(super) fn check(&self, path: &[u8]) -> Result<()> {
        if path.len() > name::PATH_MAX {
            return Err(EntryFlaw::NameTooLong.into());
        }
        if name::components(path).count() > self.depth {
            return Err(Fault::Limit { limit: self.depth as u64, of: "path components" });
        }
        Ok(())
    }

    fn walk(&mut self, path: &[u8], mut made: Option<&mut OnMade<'_>>) -> Result<Option<Rc<Directory>>> {
        let (mut dir, rest) = self.nearest(path);
        if rest.is_empty() {
            return Ok(Some(dir));
        }
        if let Ok(fd) = open_beneath(&dir.fd, rest) {
            let path_there = name::join(&dir.path, rest);
            return Ok(Some(self.remember(path, Rc::new(Directory { fd, path: path_there }))));
        }
        let mut todo: Vec<Vec<u8>> = name::components(rest).rev().map(<[u8]>::to_vec).collect();
        let (mut links, mut steps) = (0, 0);
        let mut last_link = Vec::new();
        while let Some(component) = todo.pop() {
            steps += 1;
            if steps > STEPS_MAX {
                return Err(EntryFlaw::TooManyLinks.into());
            }
            if component == b".." {
                let Some((parent, _)) = name::split(&dir.path) else {
                    return Err(EntryFlaw::LinkEscapes(name::show(&last_link)).into());
                };
                let fd = open_beneath(&self.root.fd, parent).doing("open its parent directory")?;
                dir = Rc::new(Directory { fd, path: parent.to_vec() });
                continue;
            }
            let here = name::join(&dir.path, &component);
            let errno = match open_beneath(&dir.fd, &component) {
                Ok(fd) => {
                    dir = Rc::new(Directory { fd, path: here });
                    continue;
                }
                Err(errno) => errno,
            };
            let status = match errno {
                Errno::NOENT => None,
                Errno::LOOP | Errno::NOTDIR => {
                    Some(stat(&dir.fd, &component).doing("look at its parent directory")?)
                }
                _ => return Err(errno).doing("open its parent directory"),
            };
            match (status, &mut made) {
                (Some(status), _) if file_type(&status) == FileType::Symlink => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(EntryFlaw::TooManyLinks.into());
                    }
                    let target = rustix::fs::readlinkat(&dir.fd, component.as_slice(), Vec::new())
                        .doing("read a link")?;
                    let target = target.to_bytes();
                    if target.starts_with(b"/") {
                        dir = Rc::clone(&self.root);
                    }
                    todo.extend(
                        name::components(target).rev().filter(|part| *part != b".").map(<[u8]>::to_vec),
                    );
                    last_link = here;
                }
                (Some(status), Some(made)) if merged::is_whiteout(&status) => {
                    rustix::fs::unlinkat(&dir.fd, component.as_slice(), AtFlags::empty())
                        .doing("replace a whiteout")?;
                    dir = self.make(&dir, &component, here, Made::OverWhiteout, *made)?;
                }
                (Some(status), None) if merged::is_whiteout(&status) => return Ok(None),
                (Some(_), _) => return Err(EntryFlaw::ParentIsNoDirectory(name::show(&here)).into()),
                (None, Some(made)) => dir = self.make(&dir, &component, here, Made::Anew, *made)?,
                (None, None) => return Ok(None),
            }
        }
        Ok(Some(self.remember(path, dir)))
    }

    fn make(
        &self,
        parent: &Directory,
        component: &[u8],
        path: Vec<u8>,
        how: Made,
        made: &mut OnMade<'_>,
    ) -> Result<Rc<Directory>> {
        self.check(&path)?;
        rustix::fs::mkdirat(&parent.fd, component, Mode::from_raw_mode(0o755))
            .doing("make its parent directory")?;
        let fd = open_beneath(&parent.fd, component).doing("open its parent directory")?;
        if how == Made::OverWhiteout {
            merged::mark_opaque(&fd).doing("mark its parent directory opaque")?;
        }
        made(&path, how)?;
        Ok(Rc::new(Directory { fd, path }))
    }

    /// The cached directory nearest to `path` and what remains of the path from there.
    fn nearest<'p>(&mut self, path: &'p [u8]) -> (Rc<Directory>, &'p [u8]) {
        self.tick += 1;
        let mut end = path.len();
        while end > 0 {
            if let Some((dir, used)) = self.cache.get_mut(&path[..end]) {
                *used = self.tick;
                return (Rc::clone(dir), path[end..].strip_prefix(b"/").unwrap_or_default());
            }
            end = path[..end].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        }
        (Rc::clone(&self.root), path)
    }

    fn remember(&mut self, path: &[u8], dir: Rc<Directory>) -> Rc<Directory> {
        if self.cache.len() >= CACHED {
            let oldest = self.cache.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                self.cache.remove(&oldest);
            }
        }
        self.cache.insert(path.to_vec(), (Rc::clone(&dir), self.tick));
        dir
    }
}
