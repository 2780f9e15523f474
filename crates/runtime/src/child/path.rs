//! Paths of the container, resolved in its root whatever the container does to them meanwhile.
//!
//! openat2(RESOLVE_IN_ROOT) does the work. Only where something is missing and has to be made is the path walked
//! component by component: each is opened without following it, links are expanded here, and what is missing is made
//! beside the descriptor of its parent. So nothing is ever made outside the root (CVE-2024-45310).

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, mkdirat, mknodat, openat2, readlinkat_raw};
use rustix::io::{Errno, Result};

use super::descriptor::SetupFd;

const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;
const MAX_LINKS: u32 = 40;

/// Opens a path in the root, following links inside it.
pub(super) fn open_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<SetupFd> {
    open_path(root, path, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// Opens a path in the root that must not have a link in it.
pub(super) fn open_plain(root: BorrowedFd<'_>, path: &CStr) -> Result<SetupFd> {
    open_path(root, path, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

fn open_path(root: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> Result<SetupFd> {
    let mut tries = 16;
    loop {
        match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename elsewhere made the resolution of `..` uncertain: openat2(2).
            Err(Errno::AGAIN) if tries > 0 => tries -= 1,
            result => return result.map(SetupFd::from),
        }
    }
}

/// What is made where a path ends in nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    Directory,
    File,
}

impl Leaf {
    /// Makes the entry of a directory; one that is there already is as good.
    fn make(self, parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        let made = match self {
            Self::Directory => mkdirat(parent, name, Mode::from_raw_mode(0o755)),
            Self::File => mknodat(parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0),
        };
        match made {
            Err(Errno::EXIST) => Ok(()),
            result => result,
        }
    }
}

/// Opens a path in the root, and makes what is missing of it.
pub(super) fn open_or_make(root: BorrowedFd<'_>, path: &CStr, leaf: Leaf) -> Result<SetupFd> {
    match make_last(root, path.to_bytes(), leaf) {
        // More is missing than the last component, or that is a link: step by step.
        Err(Errno::NOENT | Errno::LOOP) => walk(root, path, leaf),
        result => result,
    }
}

/// The usual case: all but the last component is there.
fn make_last(root: BorrowedFd<'_>, path: &[u8], leaf: Leaf) -> Result<SetupFd> {
    let (above, last) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&path[..0], path),
    };
    if matches!(last, b"" | b"." | b"..") || last.len() > NAME_MAX || above.len() >= PATH_MAX {
        return Err(Errno::NOENT);
    }
    let mut name = Name { bytes: [0; NAME_MAX + 1] };
    name.bytes[..last.len()].copy_from_slice(last);
    let name = name.as_c_str();
    let mut directory = [0; PATH_MAX];
    directory[..above.len()].copy_from_slice(above);
    let opened;
    let parent = if above.is_empty() {
        root
    } else {
        let directory = CStr::from_bytes_until_nul(&directory).expect("the last byte is zero");
        opened = open_in_root(root, directory)?;
        opened.as_fd()
    };
    leaf.make(parent, name)?;
    open_entry(parent, name)
}

/// Opens one entry of a directory that is no link; `ELOOP` says that it is one.
fn open_entry(parent: BorrowedFd<'_>, name: &CStr) -> Result<SetupFd> {
    open_path(parent, name, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

fn walk(root: BorrowedFd<'_>, path: &CStr, leaf: Leaf) -> Result<SetupFd> {
    let mut rest = Rest::new(path.to_bytes())?;
    // The path walked so far, without links, to be able to go back.
    let mut walked = Walked { bytes: [0; PATH_MAX], len: 0 };
    let mut here: Option<SetupFd> = None;
    let mut links = 0;
    while let Some(name) = rest.next()? {
        let parent = here.as_ref().map_or(root, AsFd::as_fd);
        match name.as_c_str().to_bytes() {
            b"." => continue,
            b".." => {
                walked.pop();
                here = match walked.as_c_str() {
                    Some(path) => Some(open_plain(root, path)?),
                    None => None,
                };
                continue;
            }
            _ => {}
        }
        let name = name.as_c_str();
        let opened = match open_entry(parent, name) {
            Err(Errno::NOENT) => {
                let made = if rest.is_empty() { leaf } else { Leaf::Directory };
                made.make(parent, name)?;
                open_entry(parent, name)
            }
            result => result,
        };
        match opened {
            Ok(opened) => {
                walked.push(name.to_bytes())?;
                here = Some(opened);
            }
            Err(Errno::LOOP) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let mut buffer = [MaybeUninit::uninit(); PATH_MAX];
                let (target, _) = readlinkat_raw(parent, name, &mut buffer[..])?;
                let absolute = target.first() == Some(&b'/');
                rest.prepend(target)?;
                if absolute {
                    here = None;
                    walked.len = 0;
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    here.map_or_else(|| open_in_root(root, c"/"), Ok)
}

/// The part of a path still to be walked, at the end of its buffer so that links can be put before it.
struct Rest {
    bytes: [u8; PATH_MAX],
    start: usize,
}

impl Rest {
    fn new(path: &[u8]) -> Result<Self> {
        let mut rest = Self { bytes: [0; PATH_MAX], start: PATH_MAX };
        rest.prepend(path)?;
        Ok(rest)
    }

    fn prepend(&mut self, path: &[u8]) -> Result<()> {
        // One more for the slash between.
        let start = self.start.checked_sub(path.len() + 1).ok_or(Errno::NAMETOOLONG)?;
        self.bytes[start..start + path.len()].copy_from_slice(path);
        self.bytes[start + path.len()] = b'/';
        self.start = start;
        Ok(())
    }

    /// Whether no component is left.
    fn is_empty(&self) -> bool {
        self.bytes[self.start..].iter().all(|&byte| byte == b'/')
    }

    fn next(&mut self) -> Result<Option<Name>> {
        while self.bytes.get(self.start) == Some(&b'/') {
            self.start += 1;
        }
        let rest = &self.bytes[self.start..];
        if rest.is_empty() {
            return Ok(None);
        }
        let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        if len > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let mut name = Name { bytes: [0; NAME_MAX + 1] };
        name.bytes[..len].copy_from_slice(&rest[..len]);
        self.start += len;
        Ok(Some(name))
    }
}

struct Name {
    bytes: [u8; NAME_MAX + 1],
}

impl Name {
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).expect("the last byte is zero")
    }
}

struct Walked {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Walked {
    fn push(&mut self, name: &[u8]) -> Result<()> {
        let end = self.len + name.len() + 1;
        if end >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes[self.len] = b'/';
        self.bytes[self.len + 1..end].copy_from_slice(name);
        self.bytes[end] = 0;
        self.len = end;
        Ok(())
    }

    fn pop(&mut self) {
        self.len = self.bytes[..self.len].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.bytes[self.len] = 0;
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok().filter(|_| self.len > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn makes_inside_the_root_only() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        std::fs::create_dir_all(root.join("run")).unwrap();
        std::fs::create_dir_all(root.join("deep/er")).unwrap();
        symlink("/run", root.join("var")).unwrap();
        symlink("../../../../..", root.join("up")).unwrap();
        symlink("/nowhere/file", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../../run", root.join("deep/er/back")).unwrap();
        let fd = rustix::fs::open(&root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let make = |path: &str, leaf| open_or_make(fd.as_fd(), &CString::new(path).unwrap(), leaf);
        let check = |path: &str, leaf: Leaf, found: &str| {
            make(path, leaf).unwrap();
            let meta = std::fs::symlink_metadata(root.join(found)).unwrap();
            assert_eq!(meta.is_dir(), leaf == Leaf::Directory, "{path}");
        };
        check("/a/b/c", Leaf::Directory, "a/b/c");
        check("/a/b/c", Leaf::Directory, "a/b/c");
        check("/a/b/d", Leaf::File, "a/b/d");
        check("/var/x/y", Leaf::Directory, "run/x/y");
        check("/up/z", Leaf::Directory, "z");
        check("/dangling", Leaf::File, "nowhere/file");
        check("/deep/er/back/q", Leaf::File, "run/q");
        assert!(matches!(make("/loop", Leaf::File), Err(Errno::LOOP)));
        assert!(make("/a/b/d/e", Leaf::File).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
