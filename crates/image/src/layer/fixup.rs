//! Completing a layer from the layers below it: DESIGN.md's two traps, and a third.
//!
//! 1. A directory the archive uses without describing it takes owner, mode, time and attributes from below.
//! 2. A hard link to a file of a lower layer: that file is copied up, as overlay would on link(2), and linked.
//! 3. A directory used without being described that is a *symbolic link* below (`lib/x` over `/lib -> usr/lib`):
//!    what the archive has in it belongs where the link leads, or the layer would hide the link.
//!
//! Directories go first, since the others are looked up through them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, SeekFrom, Stat, Timespec, Uid};
use rustix::io::Errno;

use super::fault::{Doing, Fault, Result};
use super::ledger::{Late, Ledger};
use super::merged::{self, Found, Level, Resolved};
use super::{EntryFlaw, name, remove, tree, write, xattr};

const LOOKING: &str = "look for the link's target in the layers below";

/// Completes the tree whose root is `root`, and is also the highest of `stack`. Says how many bytes of content it copied
/// from below: no more than `limit`, or a layer of a few links could copy all of the layers below again, and five
/// hundred layers of them five hundred times.
///
/// An error comes with the path it is about.
pub(super) fn complete(
    root: &OwnedFd,
    stack: &Level,
    ledger: &mut Ledger,
    limit: u64,
) -> std::result::Result<u64, (Vec<u8>, Fault)> {
    describe_directories(root, stack, ledger)?;
    let mut targets: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for (link, target) in std::mem::take(&mut ledger.links) {
        match resolve_target(stack, &target) {
            Ok(path) => targets.entry(path).or_default().push(link),
            Err(fault) => return Err((link, fault)),
        }
    }
    let mut budget = Budget { limit, spent: 0 };
    for (target, links) in targets {
        let first = links.first().cloned().unwrap_or_default();
        copy_up_and_link(root, stack, ledger, &mut budget, &target, &links)
            .map_err(|fault| (first, fault))?;
    }
    describe_directories(root, stack, ledger)?;
    Ok(budget.spent)
}

/// Bytes of content that may be copied, and were.
struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<()> {
        self.spent = self.spent.saturating_add(bytes);
        let over = self.spent > self.limit;
        if over {
            Err(Fault::Limit { limit: self.limit, of: "bytes of content copied for hard links" })
        } else {
            Ok(())
        }
    }
}

fn describe_directories(
    root: &OwnedFd,
    stack: &Level,
    ledger: &mut Ledger,
) -> std::result::Result<(), (Vec<u8>, Fault)> {
    while let Some((path, ())) = ledger.implicit.pop_first() {
        describe(root, stack, ledger, &path).map_err(|fault| (path, fault))?;
    }
    Ok(())
}

fn describe(root: &OwnedFd, stack: &Level, ledger: &mut Ledger, path: &[u8]) -> Result<()> {
    let action = "look for it in the layers below";
    let (parent, file) = name::split(path).expect("the root is never implicit");
    let level = stack.descend(parent).doing(action)?.map(|level| level.below_top());
    let found = level.map_or(Ok(Found::Nothing), |level| level.step(file)).doing(action)?;
    match found {
        Found::Directory(level, status) => {
            let here = tree::open_beneath(root, path).doing("open the directory")?;
            let there = level.highest().expect("a directory found has a tree that has it");
            rustix::fs::fchown(&here, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))
                .doing("set its owner")?;
            let default_acl = xattr::copy(there, &here)?;
            let late = Late { mode: Some(mode_of(&status)), mtime: Some(mtime_of(&status)), default_acl };
            ledger.directory(path, late)
        }
        Found::Other(_, status) if tree::file_type(&status) == FileType::Symlink => {
            let below = stack.below_top();
            let target = match below.resolve(b"", path).doing(action)? {
                Resolved::Path(target) => target,
                Resolved::Blocked(by) => {
                    return Err(EntryFlaw::ParentIsNoDirectory(name::show(&by)).into());
                }
                Resolved::Escapes(link) => return Err(EntryFlaw::LinkEscapes(name::show(&link)).into()),
                Resolved::TooManyLinks => return Err(EntryFlaw::TooManyLinks.into()),
            };
            relocate(root, ledger, path, &target)
        }
        // Nothing below, or a file that this directory hides.
        Found::Nothing | Found::Other(..) => ledger.directory(path, write::late_default()),
    }
}

/// Moves what is in `from` to `to`, and `from` away.
fn relocate(root: &OwnedFd, ledger: &mut Ledger, from: &[u8], to: &[u8]) -> Result<()> {
    if to == from || name::is_below(to, from) {
        return ledger.directory(from, write::late_default());
    }
    ensure(root, ledger, to)?;
    ledger.moved(from, to);
    merge(root, from, to)?;
    let (parent, file) = name::split(from).expect("the root is never implicit");
    let parent = tree::open_beneath(root, parent).doing("open its parent directory")?;
    remove::remove_tree(&parent, file).doing("remove the directory")
}

fn merge(root: &OwnedFd, from: &[u8], to: &[u8]) -> Result<()> {
    let source = tree::open_beneath(root, from).doing("open the directory")?;
    let target = tree::open_beneath(root, to).doing("open the directory")?;
    if merged::is_opaque(&source).doing("read the directory")? {
        merged::mark_opaque(&target).doing("mark it opaque")?;
    }
    let mut names = Vec::new();
    for entry in Dir::read_from(&source).doing("read the directory")? {
        let file = entry.doing("read the directory")?.file_name().to_bytes().to_vec();
        if file != b"." && file != b".." {
            names.push(file);
        }
    }
    for file in names {
        let file = file.as_slice();
        match rustix::fs::renameat_with(&source, file, &target, file, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {
                let is_directory = |dir| {
                    let status = tree::stat(dir, file).doing("look at what is there")?;
                    Ok::<_, Fault>(tree::file_type(&status) == FileType::Directory)
                };
                if is_directory(&source)? && is_directory(&target)? {
                    merge(root, &name::join(from, file), &name::join(to, file))?;
                } else {
                    remove::remove_tree(&target, file).doing("replace what is there")?;
                    rustix::fs::renameat(&source, file, &target, file).doing("move it")?;
                }
            }
            moved => moved.doing("move it")?,
        }
    }
    Ok(())
}

/// Makes the directory `path` and what is missing above it, to be described later.
fn ensure(root: &OwnedFd, ledger: &mut Ledger, path: &[u8]) -> Result<()> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
    for end in ends.chain([path.len()]).filter(|end| *end > 0) {
        let (parent, file) = name::split(&path[..end]).expect("not the root");
        let parent = tree::open_beneath(root, parent).doing("open its parent directory")?;
        match rustix::fs::mkdirat(&parent, file, Mode::from_raw_mode(0o755)) {
            Ok(()) => ledger.made_implicitly(&path[..end])?,
            Err(Errno::EXIST) => {
                let there = tree::stat(&parent, file).doing("look at its parent directory")?;
                if merged::is_whiteout(&there) {
                    replace_whiteout(&parent, file)?;
                    ledger.directory(&path[..end], write::late_default())?;
                } else if tree::file_type(&there) != FileType::Directory {
                    return Err(EntryFlaw::ParentIsNoDirectory(name::show(&path[..end])).into());
                }
            }
            Err(errno) => return Err(errno).doing("make its parent directory"),
        }
    }
    Ok(())
}

fn replace_whiteout(parent: &OwnedFd, file: &[u8]) -> Result<()> {
    rustix::fs::unlinkat(parent, file, AtFlags::empty()).doing("replace a whiteout")?;
    rustix::fs::mkdirat(parent, file, Mode::from_raw_mode(0o755)).doing("make its parent directory")?;
    let dir = tree::open_beneath(parent, file).doing("open its parent directory")?;
    merged::mark_opaque(dir).doing("mark its parent directory opaque")
}

fn refuse(target: &[u8], flaw: EntryFlaw) -> Fault {
    EntryFlaw::HardLink { target: name::show(target), flaw: Box::new(flaw) }.into()
}

/// The target's path with the links on its way followed, in this layer and those below.
fn resolve_target(stack: &Level, target: &[u8]) -> Result<Vec<u8>> {
    let (parent, file) = name::split(target).ok_or_else(|| refuse(target, EntryFlaw::IsDirectory))?;
    let flaw = match stack.resolve(b"", parent).doing(LOOKING)? {
        Resolved::Path(parent) => return Ok(name::join(&parent, file)),
        Resolved::Blocked(by) => EntryFlaw::ParentIsNoDirectory(name::show(&by)),
        Resolved::Escapes(link) => EntryFlaw::LinkEscapes(name::show(&link)),
        Resolved::TooManyLinks => EntryFlaw::TooManyLinks,
    };
    Err(refuse(target, flaw))
}

/// Makes `links` links to the file at `target`, a path without links.
fn copy_up_and_link(
    root: &OwnedFd,
    stack: &Level,
    ledger: &mut Ledger,
    budget: &mut Budget,
    target: &[u8],
    links: &[Vec<u8>],
) -> Result<()> {
    let refuse = |flaw| refuse(target, flaw);
    let (parent, file) = name::split(target).ok_or_else(|| refuse(EntryFlaw::IsDirectory))?;
    let level = stack.descend(parent).doing(LOOKING)?.ok_or_else(|| refuse(EntryFlaw::Missing))?;
    let (own, found) = match level.below_top().step(file).doing(LOOKING)? {
        Found::Nothing => (true, level.step(file).doing(LOOKING)?),
        found => (false, found),
    };
    let (from, status) = match found {
        Found::Nothing => return Err(refuse(EntryFlaw::Missing)),
        Found::Directory(..) => return Err(refuse(EntryFlaw::IsDirectory)),
        Found::Other(from, status) => (from, status),
    };
    let mut first = own.then(|| (Rc::clone(&from), file.to_vec()));
    for path in links {
        let (dir, link) = name::split(path).expect("a link has a name");
        let dir = tree::open_beneath(root, dir).doing("open its parent directory")?;
        if let Some((first, name)) = &first {
            rustix::fs::linkat(&**first, name, &dir, link, AtFlags::empty()).doing("make the hard link")?;
        } else {
            budget.spend(allocated(&status))?;
            copy_inode(&from, file, &status, &dir, link)?;
            first = Some((Rc::new(dir), link.to_vec()));
        }
    }
    // Overlay would have the target itself in this layer too now, unless the layer hides or replaces it.
    if let (false, Some((first, link))) = (own, first) {
        ensure(root, ledger, parent)?;
        let dir = tree::open_beneath(root, parent).doing("open its parent directory")?;
        match rustix::fs::linkat(&*first, link, &dir, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).doing("copy up the link's target"),
        }
    }
    Ok(())
}

/// Copies `file` of `from` to `link` in `to`, whatever it is, with its attributes.
fn copy_inode(from: &OwnedFd, file: &[u8], status: &Stat, to: &OwnedFd, link: &[u8]) -> Result<()> {
    let owner = (status.st_uid, status.st_gid);
    let mode = Mode::from_raw_mode(mode_of(status));
    match tree::file_type(status) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source =
                rustix::fs::openat(from, file, flags, Mode::empty()).doing("open the link's target")?;
            let copy = write::create(to, link, Mode::from_raw_mode(0o600)).doing("copy the link's target")?;
            copy_content(&source, &copy, status.st_size.cast_unsigned()).doing("copy the link's target")?;
            write::set_owner_at(to, link, owner)?;
            rustix::fs::fchmod(&copy, mode).doing("set its mode")?;
            xattr::copy(&source, &copy)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, file, Vec::new()).doing("read the link's target")?;
            rustix::fs::symlinkat(target, to, link).doing("copy the link's target")?;
            write::set_owner_at(to, link, owner)?;
        }
        kind => {
            rustix::fs::mknodat(to, link, kind, mode, status.st_rdev).doing("copy the link's target")?;
            write::set_owner_at(to, link, owner)?;
            rustix::fs::chmodat(to, link, mode, AtFlags::empty()).doing("set its mode")?;
        }
    }
    let times = write::times(mtime_of(status));
    rustix::fs::utimensat(to, link, &times, AtFlags::SYMLINK_NOFOLLOW).doing("set its times")
}

/// Copies data and keeps holes.
fn copy_content(from: &OwnedFd, to: &OwnedFd, size: u64) -> rustix::io::Result<()> {
    let mut at = 0;
    while at < size {
        let mut start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        at = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        let mut out = start;
        while start < at {
            let len = usize::try_from(at - start).unwrap_or(usize::MAX).min(1 << 30);
            if rustix::fs::copy_file_range(from, Some(&mut start), to, Some(&mut out), len)? == 0 {
                break;
            }
        }
    }
    rustix::fs::ftruncate(to, size)
}

/// Bytes of content a file has on disk: its size, or less where it has holes.
fn allocated(status: &Stat) -> u64 {
    status.st_size.cast_unsigned().min(status.st_blocks.cast_unsigned().saturating_mul(512))
}

fn mode_of(status: &Stat) -> u32 {
    status.st_mode & 0o7777
}

fn mtime_of(status: &Stat) -> Timespec {
    let nanos = i64::try_from(status.st_mtime_nsec).unwrap_or_default();
    Timespec { tv_sec: status.st_mtime, tv_nsec: nanos }
}
