//! Several layer trees looked at as overlay shows them: upper ones hide lower ones, whiteouts and opaque
//! directories hide what is below. Used where no mount exists yet.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{FileType, Stat, XattrFlags};
use rustix::io::Errno;

use super::name;
pub(crate) use super::tree::stat;
use super::tree::{file_type, open_beneath};

const OPAQUE: &str = "trusted.overlay.opaque";
const LINKS_MAX: usize = 40;
/// Components followed for one path, those of links included.
const STEPS_MAX: usize = 2048;

/// Overlay's form of a whiteout: a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Makes a directory hide what the layers below have in its place.
pub(crate) fn mark_opaque(dir: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())
}

/// Whether a directory hides what the layers below have in its place.
pub(crate) fn is_opaque(dir: impl AsFd) -> rustix::io::Result<bool> {
    let mut value = [0_u8; 2];
    match rustix::fs::fgetxattr(dir, OPAQUE, &mut value) {
        Ok(len) => Ok(&value[..len] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The same directory in all trees that have it and are not hidden, highest first.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// The tree's place in the stack, 0 the highest, and its directory.
    dirs: Vec<(usize, Rc<OwnedFd>)>,
}

/// What a name is in a [`Level`].
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// A directory, with the attributes of the highest tree that has it.
    Directory(Level, Stat),
    /// Anything else, in this directory of the highest tree that has it.
    Other(Rc<OwnedFd>, Stat),
}

/// Where following a path led.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The directory's path without links; its last components may not exist.
    Path(Vec<u8>),
    /// Something that is not a directory is in the way.
    Blocked(Vec<u8>),
    /// A link climbs above the root.
    Escapes(Vec<u8>),
    /// Links without end, or as good as.
    TooManyLinks,
}

impl Level {
    /// The roots of a stack of trees, highest first.
    pub(crate) fn of_roots(roots: impl IntoIterator<Item = OwnedFd>) -> Self {
        Self { dirs: roots.into_iter().map(Rc::new).enumerate().collect() }
    }

    /// The same without the highest tree of the stack.
    pub(crate) fn below_top(&self) -> Self {
        Self { dirs: self.dirs.iter().filter(|(place, _)| *place > 0).cloned().collect() }
    }

    /// This directory in the highest tree that has it.
    pub(crate) fn highest(&self) -> Option<&OwnedFd> {
        self.dirs.first().map(|(_, dir)| &**dir)
    }

    /// This directory in all trees that have it, highest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &OwnedFd> {
        self.dirs.iter().map(|(_, dir)| &**dir)
    }

    /// What `name` is here.
    pub(crate) fn step(&self, name: &[u8]) -> rustix::io::Result<Found> {
        let mut found: Option<(Level, Stat)> = None;
        for (place, dir) in &self.dirs {
            let status = match stat(dir, name) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            if file_type(&status) != FileType::Directory {
                if found.is_none() && !is_whiteout(&status) {
                    return Ok(Found::Other(Rc::clone(dir), status));
                }
                break;
            }
            let opened = Rc::new(open_beneath(dir, name)?);
            let opaque = is_opaque(&*opened)?;
            found.get_or_insert_with(|| (Level { dirs: Vec::new() }, status)).0.dirs.push((*place, opened));
            if opaque {
                break;
            }
        }
        Ok(found.map_or(Found::Nothing, |(level, status)| Found::Directory(level, status)))
    }

    /// The directory at `path`, no link followed.
    pub(crate) fn descend(&self, path: &[u8]) -> rustix::io::Result<Option<Level>> {
        let mut level = self.clone();
        for component in name::components(path) {
            match level.step(component)? {
                Found::Directory(next, _) => level = next,
                Found::Nothing | Found::Other(..) => return Ok(None),
            }
        }
        Ok(Some(level))
    }

    /// Follows `path` from `start` (a directory without links) through all links.
    pub(crate) fn resolve(&self, start: &[u8], path: &[u8]) -> rustix::io::Result<Resolved> {
        let mut here = if path.starts_with(b"/") { Vec::new() } else { start.to_vec() };
        let mut todo: VecDeque<Vec<u8>> = name::components(path).map(<[u8]>::to_vec).collect();
        let (mut links, mut steps) = (0, 0);
        while let Some(component) = todo.pop_front() {
            steps += 1;
            if steps > STEPS_MAX {
                return Ok(Resolved::TooManyLinks);
            }
            match component.as_slice() {
                b"." => continue,
                b".." => match name::split(&here) {
                    Some((parent, _)) => here.truncate(parent.len()),
                    None => return Ok(Resolved::Escapes(path.to_vec())),
                },
                _ => {
                    let next = name::join(&here, &component);
                    let found = match self.descend(&here)? {
                        Some(level) => level.step(&component)?,
                        None => Found::Nothing,
                    };
                    let Found::Other(dir, status) = found else {
                        here = next;
                        continue;
                    };
                    if file_type(&status) != FileType::Symlink {
                        return Ok(Resolved::Blocked(next));
                    }
                    links += 1;
                    if links > LINKS_MAX {
                        return Ok(Resolved::TooManyLinks);
                    }
                    let target = rustix::fs::readlinkat(&*dir, component.as_slice(), Vec::new())?;
                    let target = target.to_bytes();
                    if target.starts_with(b"/") {
                        here.clear();
                    }
                    for part in name::components(target).rev() {
                        todo.push_front(part.to_vec());
                    }
                }
            }
        }
        Ok(Resolved::Path(here))
    }
}
