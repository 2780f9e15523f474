//! From a directory to the entries of an archive, in the order of their names.
//!
//! In the form of changes the directory is an upper one of overlay: a device 0:0 becomes a whiteout, an opaque
//! directory gets its mark, and what only stands there for something to be mounted on is left out. In the plain form
//! it is the root of a whole file system, and all of it goes in. Sockets do neither: no archive has them.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec};
use rustix::io::Errno;

use super::PackError;
use super::content::Content;
use super::header::Header;
use super::links::Links;
use crate::layer::archive::SPECIAL_MAX;
use crate::layer::merged::{self, Found, Level};
use crate::layer::{UnpackLimits, name, xattr};

const BLOCK: usize = 512;
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an upper directory lies over.
#[derive(Debug)]
pub(crate) struct Below<'a> {
    /// The layers.
    pub(crate) level: Level,
    /// Whose attributes the root began with; a directory of root's with mode 0755 if there is none.
    pub(crate) root: Option<OwnedFd>,
    /// Paths without a leading slash on which something is mounted while the container runs.
    pub(crate) mount_points: &'a BTreeSet<Vec<u8>>,
}

/// Writes what `upper` changes in the layers below it; says how many entries that is.
pub(crate) fn pack_changes(
    upper: &OwnedFd,
    below: &Below<'_>,
    out: &mut dyn Write,
) -> Result<u64, PackError> {
    let mut packer = Packer::new(out, Some(below.mount_points));
    packer.root(upper, below.root.as_ref())?;
    packer.walk(upper, Some(below.level.clone()))?;
    packer.finish()
}

/// Writes all that is below `root`; says how many entries that is.
pub(crate) fn pack_root(root: &OwnedFd, out: &mut dyn Write) -> Result<u64, PackError> {
    let mut packer = Packer::new(out, None);
    packer.walk(root, None)?;
    packer.finish()
}

struct Packer<'a> {
    out: &'a mut dyn Write,
    /// Set in the form of changes.
    mount_points: Option<&'a BTreeSet<Vec<u8>>>,
    /// Headers of the directories on the way whose entry may turn out not to be needed.
    pending: Vec<Vec<u8>>,
    links: Links,
    entries: u64,
    limits: UnpackLimits,
    buffer: Vec<u8>,
}

/// A directory on the way.
struct Visit {
    dir: OwnedFd,
    path: Vec<u8>,
    below: Option<Level>,
    /// What is still to be looked at.
    names: std::vec::IntoIter<Vec<u8>>,
    /// The place of its header among those that are pending.
    mark: usize,
    /// Whether it is as one that was made only for mount points would be.
    as_made_for_mounts: bool,
    /// Something in it was left out because it is there to be mounted on.
    mounted_on: bool,
}

/// What became of something in a directory.
enum Child {
    /// It was packed, or is nothing to be packed.
    Done,
    /// It is only there to be mounted on.
    LeftOut,
    /// It is to be gone into.
    Directory(Visit),
}

type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// An object, and what is known of it.
struct Object<'p> {
    /// Opened as a path: whatever becomes of the name, this stays what it is.
    fd: OwnedFd,
    stat: Stat,
    path: &'p [u8],
}

impl<'a> Packer<'a> {
    fn new(out: &'a mut dyn Write, mount_points: Option<&'a BTreeSet<Vec<u8>>>) -> Self {
        Self {
            out,
            mount_points,
            pending: Vec::new(),
            links: Links::default(),
            entries: 0,
            limits: UnpackLimits::default(),
            buffer: Vec::new(),
        }
    }

    /// Two blocks of zeros end an archive.
    fn finish(self) -> Result<u64, PackError> {
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(PackError::Write)?;
        Ok(self.entries)
    }

    /// The root's own entry, when its attributes are not those it began with.
    fn root(&mut self, upper: &OwnedFd, began: Option<&OwnedFd>) -> Result<(), PackError> {
        let read = |errno| PackError::read("look at", b"", errno);
        let stat = rustix::fs::fstat(upper).map_err(read)?;
        let began = match began {
            Some(began) => Attributes::of(&rustix::fs::fstat(began).map_err(read)?),
            None => Attributes::of_nobody(),
        };
        if Attributes::of(&stat) == began {
            return Ok(());
        }
        let xattrs = content_xattrs(upper, b"")?;
        let header = with_stat(Header::new(b'5', b"./"), &stat, &xattrs);
        self.entry(&header, b"")
    }

    /// Packs all that is in `root`. No recursion: whoever made the directories decides how deep they go.
    fn walk(&mut self, root: &OwnedFd, below: Option<Level>) -> Result<(), PackError> {
        let dir = root.try_clone().map_err(|error| PackError::read("open", b"", error))?;
        let names = self.names(&dir, b"")?;
        let (mark, path) = (usize::MAX, Vec::new());
        let root = Visit { dir, path, below, names, mark, as_made_for_mounts: false, mounted_on: false };
        let mut way = vec![root];
        while let Some(visit) = way.last_mut() {
            let child = match visit.names.next() {
                Some(file) => self.child(visit, &file)?,
                None => {
                    let left_out = match way.pop() {
                        Some(visit) => self.leave(&visit)?,
                        None => false,
                    };
                    if left_out { Child::LeftOut } else { Child::Done }
                }
            };
            match child {
                Child::Done => {}
                Child::LeftOut => {
                    if let Some(parent) = way.last_mut() {
                        parent.mounted_on = true;
                    }
                }
                Child::Directory(visit) if way.len() > self.limits.depth => {
                    let limit = self.limits.depth as u64;
                    return Err(PackError::limit(&visit.path, limit, "directories within each other"));
                }
                Child::Directory(visit) => way.push(visit),
            }
        }
        Ok(())
    }

    fn child(&mut self, visit: &Visit, file: &[u8]) -> Result<Child, PackError> {
        let path = name::join(&visit.path, file);
        let Some(object) = open(&visit.dir, file, &path)? else { return Ok(Child::Done) };
        let below = match &visit.below {
            Some(level) => level.step(file).map_err(|errno| PackError::read("look below", &path, errno))?,
            None => Found::Nothing,
        };
        if let Some(mount_points) = self.mount_points {
            let anew = matches!(below, Found::Nothing);
            if merged::is_whiteout(&object.stat) {
                if !anew {
                    self.marker(&name::join(&visit.path, &[b".wh.", file].concat()))?;
                }
                return Ok(Child::Done);
            }
            if file.starts_with(b".wh.") {
                return Err(PackError::Reserved(super::error::shown(&path)));
            }
            if anew && mount_points.contains(&path) && is_empty(&object)? {
                return Ok(Child::LeftOut);
            }
        }
        match FileType::from_raw_mode(object.stat.st_mode) {
            FileType::Directory => return self.enter(visit, file, &path, below),
            FileType::RegularFile => self.file(&object)?,
            FileType::Symlink => self.symlink(&object)?,
            FileType::CharacterDevice => self.node(&object, b'3')?,
            FileType::BlockDevice => self.node(&object, b'4')?,
            FileType::Fifo => self.node(&object, b'6')?,
            // Sockets, which only the process that made them could use.
            _ => {}
        }
        Ok(Child::Done)
    }

    fn enter(&mut self, parent: &Visit, file: &[u8], path: &[u8], below: Found) -> Result<Child, PackError> {
        let Some(dir) = open_directory(&parent.dir, file, path)? else { return Ok(Child::Done) };
        let look = |errno| PackError::read("look at", path, errno);
        let stat = rustix::fs::fstat(&dir).map_err(look)?;
        let xattrs = content_xattrs(&dir, path)?;
        let entry = [path, b"/"].concat();
        let header = with_stat(Header::new(b'5', &entry), &stat, &xattrs);
        let mark = self.pending.len();
        let blocks = self.blocks(&header, path)?;
        self.pending.push(blocks);
        let opaque = self.mount_points.is_some() && merged::is_opaque(&dir).map_err(look)?;
        let began = match &below {
            Found::Directory(_, stat) => Some(Attributes::of(stat)),
            Found::Nothing => Some(Attributes::of_nobody()),
            Found::Other(..) => None,
        };
        let below = match below {
            Found::Directory(..) if opaque => {
                self.marker(&name::join(path, OPAQUE))?;
                None
            }
            Found::Directory(level, _) => Some(level),
            Found::Nothing | Found::Other(..) => None,
        };
        let names = self.names(&dir, path)?;
        let as_made_for_mounts = xattrs.is_empty() && began == Some(Attributes::of(&stat));
        let path = path.to_vec();
        Ok(Child::Directory(Visit { dir, path, below, names, mark, as_made_for_mounts, mounted_on: false }))
    }

    /// Says whether the directory was left out because only mount points are in it.
    fn leave(&mut self, visit: &Visit) -> Result<bool, PackError> {
        if self.pending.len() <= visit.mark {
            return Ok(false);
        }
        if visit.mounted_on && visit.as_made_for_mounts {
            self.pending.truncate(visit.mark);
            return Ok(true);
        }
        self.flush()?;
        Ok(false)
    }

    fn symlink(&mut self, object: &Object<'_>) -> Result<(), PackError> {
        let Object { fd, stat, path } = object;
        if self.linked(object)? {
            return Ok(());
        }
        let target = rustix::fs::readlinkat(fd, b"".as_slice(), Vec::new());
        let target = target.map_err(|errno| PackError::read("read the link", path, errno))?;
        let header = Header { link: target.to_bytes(), ..Header::new(b'2', path) };
        self.entry(&with_stat(header, stat, &[]), path)
    }

    fn node(&mut self, object: &Object<'_>, flag: u8) -> Result<(), PackError> {
        let Object { fd, stat, path } = object;
        if self.linked(object)? {
            return Ok(());
        }
        let xattrs = content_xattrs(fd, path)?;
        let mut header = with_stat(Header::new(flag, path), stat, &xattrs);
        if flag != b'6' {
            header.device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        }
        self.entry(&header, path)
    }

    fn file(&mut self, object: &Object<'_>) -> Result<(), PackError> {
        let path = object.path;
        if self.linked(object)? {
            return Ok(());
        }
        // By its descriptor, so that it is the file that was looked at. A lease on it must not hold ross up.
        let name = format!("/proc/self/fd/{}", object.fd.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, name, flags, Mode::empty())
            .map_err(|errno| PackError::read("open", path, errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| PackError::read("look at", path, errno))?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK as u64);
        let content = Content::of(&fd, size, allocated);
        let xattrs = content_xattrs(&fd, path)?;
        let mut header = with_stat(Header::new(b'0', path), &stat, &xattrs);
        header.size = content.stored();
        header.real_size = content.is_sparse().then_some(size);
        self.entry(&header, path)?;
        content.write(&fd, path, &mut self.buffer, self.out)
    }

    /// Writes an object that has a name in the archive already as a link to it; says whether it did.
    fn linked(&mut self, object: &Object<'_>) -> Result<bool, PackError> {
        let Object { stat, path, .. } = object;
        #[expect(clippy::useless_conversion, reason = "its width differs between architectures")]
        let names = u64::from(stat.st_nlink);
        let Some(first) = self.links.seen((stat.st_dev, stat.st_ino), names, path)? else { return Ok(false) };
        let header = Header { link: &first, ..Header::new(b'1', path) };
        self.entry(&with_stat(header, stat, &[]), path)?;
        Ok(true)
    }

    /// An empty file whose name says something.
    fn marker(&mut self, path: &[u8]) -> Result<(), PackError> {
        self.entry(&Header { mode: 0o600, ..Header::new(b'0', path) }, path)
    }

    fn entry(&mut self, header: &Header<'_>, path: &[u8]) -> Result<(), PackError> {
        let blocks = self.blocks(header, path)?;
        self.flush()?;
        self.write(&blocks)
    }

    fn blocks(&self, header: &Header<'_>, path: &[u8]) -> Result<Vec<u8>, PackError> {
        let blocks = header.blocks(SPECIAL_MAX);
        blocks.ok_or_else(|| PackError::limit(path, SPECIAL_MAX, "bytes of names and attributes"))
    }

    /// Writes the directories that turned out to be needed.
    fn flush(&mut self) -> Result<(), PackError> {
        for blocks in std::mem::take(&mut self.pending) {
            self.write(&blocks)?;
        }
        Ok(())
    }

    fn write(&mut self, blocks: &[u8]) -> Result<(), PackError> {
        self.entries += 1;
        self.out.write_all(blocks).map_err(PackError::Write)
    }

    /// The names in a directory, sorted.
    fn names(&self, dir: &OwnedFd, path: &[u8]) -> Result<std::vec::IntoIter<Vec<u8>>, PackError> {
        let read = |errno| PackError::read("list", path, errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
            if names.len() as u64 + self.entries > self.limits.entries {
                return Err(PackError::limit(path, self.limits.entries, "files"));
            }
        }
        names.sort_unstable();
        Ok(names.into_iter())
    }
}

/// What a directory that was made for a mount has to be like to be left out.
#[derive(Debug, PartialEq, Eq)]
struct Attributes {
    mode: u32,
    owner: (u32, u32),
}

impl Attributes {
    fn of(stat: &Stat) -> Self {
        Self { mode: stat.st_mode & 0o7777, owner: (stat.st_uid, stat.st_gid) }
    }

    /// Of a directory that nobody describes.
    fn of_nobody() -> Self {
        Self { mode: 0o755, owner: (0, 0) }
    }
}

/// Opens `file` as a path, whatever it is; none if it is gone or is of another mount.
fn open<'p>(dir: &OwnedFd, file: &[u8], path: &'p [u8]) -> Result<Option<Object<'p>>, PackError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some(fd) = open_in(dir, file, flags, path)? else { return Ok(None) };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| PackError::read("look at", path, errno))?;
    Ok(Some(Object { fd, stat, path }))
}

fn open_directory(dir: &OwnedFd, file: &[u8], path: &[u8]) -> Result<Option<OwnedFd>, PackError> {
    open_in(dir, file, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, path)
}

fn open_in(dir: &OwnedFd, file: &[u8], flags: OFlags, path: &[u8]) -> Result<Option<OwnedFd>, PackError> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    loop {
        match rustix::fs::openat2(dir, file, flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(Some(fd)),
            // Something was renamed meanwhile, and the kernel is not sure (openat2(2)).
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            Err(errno) => return Err(PackError::read("open", path, errno)),
        }
    }
}

/// Whether it is a directory or a regular file with nothing in it.
fn is_empty(object: &Object<'_>) -> Result<bool, PackError> {
    match FileType::from_raw_mode(object.stat.st_mode) {
        FileType::RegularFile => Ok(object.stat.st_size == 0),
        FileType::Directory => {
            let Some(dir) = open_directory(&object.fd, b".", object.path)? else { return Ok(false) };
            let read = |errno| PackError::read("list", object.path, errno);
            for entry in Dir::read_from(&dir).map_err(read)? {
                if !matches!(entry.map_err(read)?.file_name().to_bytes(), b"." | b"..") {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn with_stat<'h>(header: Header<'h>, stat: &Stat, xattrs: &'h [(Vec<u8>, Vec<u8>)]) -> Header<'h> {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Header {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos },
        xattrs,
        ..header
    }
}

/// The extended attributes that are content, sorted. `fd` may be open as a path.
fn content_xattrs(fd: &OwnedFd, path: &[u8]) -> Result<Xattrs, PackError> {
    xattr::of(fd).map_err(|errno| PackError::read("read the extended attributes of", path, errno))
}
