//! Archive members become files of a tree in overlay's on-disk form.
//!
//! What an archive means, where engines differ: the last entry of a name wins, whatever its type; a directory
//! entry over a directory only changes its attributes; a whiteout hides what the layers *below* have and never what
//! this layer has, in whatever order the two come (OCI `layer.md`), so a directory and its whiteout make an opaque
//! directory. The thread that runs this has an empty umask of its own.

use std::io::BufRead;
use std::os::fd::OwnedFd;

use ross_types::DiffId;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::archive::{Archive, Kind, Member};
use super::fault::{Doing, Fault, Result};
use super::ledger::{Late, Ledger};
use super::name::{self, Whiteout};
use super::tree::{self, Directory, Made, Tree};
use super::{EntryFlaw, LayerError, UnpackLimits, merged, remove, write, xattr};

/// What unpacking a layer left to know and to do.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) tree: OwnedFd,
    pub(super) ledger: Ledger,
    /// Bytes of file content.
    pub(super) size: u64,
    pub(super) entries: u64,
    /// The archive has an entry for the root itself.
    pub(super) root_entry: bool,
    /// The archive makes the root opaque: nothing below this layer is seen.
    pub(super) root_opaque: bool,
}

struct Unpacker<'l> {
    tree: Tree,
    ledger: Ledger,
    limits: &'l UnpackLimits,
    size: u64,
    entries: u64,
    root_entry: bool,
    root_opaque: bool,
    owner: (u32, u32),
}

/// Unpacks a whole archive into `root`, an empty directory.
pub(super) fn unpack(
    source: impl BufRead,
    root: OwnedFd,
    layer: &DiffId,
    limits: &UnpackLimits,
) -> std::result::Result<Unpacked, LayerError> {
    let mut archive = Archive::new(source);
    let mut unpacker = Unpacker {
        tree: Tree::new(root, limits.depth),
        ledger: Ledger::new(limits.memory),
        limits,
        size: 0,
        entries: 0,
        root_entry: false,
        root_opaque: false,
        owner: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
    };
    // Overwritten by the archive's own entry for the root, if it has one.
    unpacker.ledger.directory(b"", write::late_default()).map_err(|fault| fault.at(layer, b"", 0))?;
    while let Some(member) =
        archive.next().map_err(|flaw| Fault::from(flaw).at(layer, b"", archive.offset()))?
    {
        let shown = member.name.clone();
        unpacker.member(member, &mut archive).map_err(|fault| fault.at(layer, &shown, archive.offset()))?;
    }
    let Unpacker { tree, ledger, size, entries, root_entry, root_opaque, .. } = unpacker;
    let tree = tree.into_root().expect("only the unpacker holds its root");
    Ok(Unpacked { tree, ledger, size, entries, root_entry, root_opaque })
}

impl Unpacker<'_> {
    fn member<R: BufRead>(&mut self, member: Member, archive: &mut Archive<R>) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Fault::Limit { limit: self.limits.entries, of: "entries" });
        }
        if let Kind::Other(flag) = member.kind {
            return Err(EntryFlaw::Type(char::from(flag)).into());
        }
        let path = name::clean(&member.name)?;
        let Some((parent, file)) = name::split(&path) else { return self.root(member) };
        match name::whiteout(file)? {
            Some(Whiteout::Aufs) => return Ok(()),
            Some(Whiteout::Opaque) => return self.opaque(parent),
            Some(Whiteout::Of(hidden)) => return self.whiteout(parent, hidden),
            None => {}
        }
        let dir = self.parent(parent)?;
        let path = name::join(&dir.path, file);
        self.tree.check(&path)?;
        match member.kind {
            Kind::Directory => return self.directory(&dir, file, &path, member),
            Kind::HardLink => return self.hard_link(&dir, file, &path, &member.link),
            Kind::File => self.file(&dir, file, &path, member, archive)?,
            Kind::Symlink => self.symlink(&dir, file, &path, member)?,
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.node(&dir, file, &path, member)?,
            Kind::Other(_) => unreachable!("refused above"),
        }
        self.ledger.made(&path);
        Ok(())
    }

    fn parent(&mut self, path: &[u8]) -> Result<std::rc::Rc<Directory>> {
        let ledger = &mut self.ledger;
        self.tree.ensure(path, &mut |path, made| {
            ledger.made(path);
            match made {
                Made::Anew => ledger.made_implicitly(path),
                Made::OverWhiteout => ledger.directory(path, write::late_default()),
            }
        })
    }

    fn root(&mut self, member: Member) -> Result<()> {
        if member.kind != Kind::Directory {
            return Err(EntryFlaw::RootIsNoDirectory.into());
        }
        self.root_entry = true;
        let fd = &self.tree.root().fd;
        let owner = write::owner(&member)?;
        rustix::fs::fchown(fd, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))
            .doing("set its owner")?;
        let default_acl = xattr::set_content(fd, member.xattrs)?;
        let late = Late { mode: Some(member.mode), mtime: Some(member.mtime), default_acl };
        self.ledger.directory(b"", late)
    }

    fn opaque(&mut self, parent: &[u8]) -> Result<()> {
        let dir = self.parent(parent)?;
        if dir.path.is_empty() {
            self.root_opaque = true;
            return Ok(());
        }
        merged::mark_opaque(&dir.fd).doing("mark its directory opaque")
    }

    fn whiteout(&mut self, parent: &[u8], hidden: &[u8]) -> Result<()> {
        let dir = self.parent(parent)?;
        let path = name::join(&dir.path, hidden);
        match tree::stat(&dir.fd, hidden) {
            Err(Errno::NOENT) if self.ledger.links.contains_key(&path) => Ok(()),
            Err(Errno::NOENT) => {
                self.tree.check(&path)?;
                let device = FileType::CharacterDevice;
                rustix::fs::mknodat(&dir.fd, hidden, device, Mode::empty(), 0).doing("make a whiteout")
            }
            Err(errno) => Err(errno).doing("look at what it hides"),
            Ok(status) if tree::file_type(&status) == FileType::Directory => {
                let fd = tree::open_beneath(&dir.fd, hidden).doing("open what it hides")?;
                if self.ledger.implicit.contains_key(&path) {
                    self.ledger.directory(&path, write::late_default())?;
                }
                merged::mark_opaque(fd).doing("mark a directory opaque")
            }
            Ok(_) => Ok(()),
        }
    }

    fn directory(&mut self, dir: &Directory, file: &[u8], path: &[u8], member: Member) -> Result<()> {
        let owner = write::owner(&member)?;
        let mode = Mode::from_raw_mode(member.mode & 0o777);
        let mut chown = owner != self.owner;
        let mut opaque = false;
        while let Err(errno) = rustix::fs::mkdirat(&dir.fd, file, mode) {
            if errno != Errno::EXIST {
                return Err(errno).doing("make the directory");
            }
            let there = tree::stat(&dir.fd, file).doing("look at what it replaces")?;
            if tree::file_type(&there) == FileType::Directory {
                rustix::fs::chmodat(&dir.fd, file, mode, AtFlags::empty()).doing("set its mode")?;
                chown = true;
                break;
            }
            opaque |= merged::is_whiteout(&there);
            self.clear_way(dir, file, path)?;
        }
        if chown {
            write::set_owner_at(&dir.fd, file, owner)?;
        }
        let mut late = Late {
            mode: (member.mode > 0o777).then_some(member.mode),
            mtime: Some(member.mtime),
            default_acl: None,
        };
        if opaque || !member.xattrs.is_empty() {
            let fd = tree::open_beneath(&dir.fd, file).doing("open the directory")?;
            if opaque {
                merged::mark_opaque(&fd).doing("mark it opaque")?;
            }
            late.default_acl = xattr::set_content(&fd, member.xattrs)?;
        }
        self.ledger.made(path);
        self.ledger.directory(path, late)
    }

    fn file<R: BufRead>(
        &mut self,
        dir: &Directory,
        file: &[u8],
        path: &[u8],
        member: Member,
        archive: &mut Archive<R>,
    ) -> Result<()> {
        if member.stored > self.limits.bytes - self.size {
            return Err(Fault::Limit { limit: self.limits.bytes, of: "bytes of content" });
        }
        let owner = write::owner(&member)?;
        let mode = Mode::from_raw_mode(member.mode & 0o777);
        let fd = loop {
            match write::create(&dir.fd, file, mode) {
                Err(Errno::EXIST) => self.clear_way(dir, file, path)?,
                made => break made.doing("make the file")?,
            }
        };
        write::content(&fd, &member, archive)?;
        self.size += member.stored;
        if owner != self.owner {
            rustix::fs::fchown(&fd, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))
                .doing("set its owner")?;
        }
        if member.mode > 0o777 {
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(member.mode)).doing("set its mode")?;
        }
        for attribute in xattr::content(member.xattrs) {
            let (name, value) = attribute?;
            xattr::set(&fd, &name, &value)?;
        }
        rustix::fs::futimens(&fd, &write::times(member.mtime)).doing("set its times")
    }

    fn symlink(&mut self, dir: &Directory, file: &[u8], path: &[u8], member: Member) -> Result<()> {
        if member.link.is_empty() || member.link.len() > name::PATH_MAX || member.link.contains(&0) {
            return Err(EntryFlaw::LinkTarget.into());
        }
        let owner = write::owner(&member)?;
        while let Err(errno) = rustix::fs::symlinkat(member.link.as_slice(), &dir.fd, file) {
            if errno != Errno::EXIST {
                return Err(errno).doing("make the symbolic link");
            }
            self.clear_way(dir, file, path)?;
        }
        if owner != self.owner {
            write::set_owner_at(&dir.fd, file, owner)?;
        }
        self.attributes_at(dir, file, member.xattrs, member.mtime)
    }

    fn node(&mut self, dir: &Directory, file: &[u8], path: &[u8], member: Member) -> Result<()> {
        let owner = write::owner(&member)?;
        let (kind, device) = write::device(&member)?;
        let mode = Mode::from_raw_mode(member.mode & 0o777);
        while let Err(errno) = rustix::fs::mknodat(&dir.fd, file, kind, mode, device) {
            if errno != Errno::EXIST {
                return Err(errno).doing("make the device");
            }
            self.clear_way(dir, file, path)?;
        }
        if owner != self.owner {
            write::set_owner_at(&dir.fd, file, owner)?;
        }
        if member.mode > 0o777 {
            let mode = Mode::from_raw_mode(member.mode);
            rustix::fs::chmodat(&dir.fd, file, mode, AtFlags::empty()).doing("set its mode")?;
        }
        self.attributes_at(dir, file, member.xattrs, member.mtime)
    }

    fn attributes_at(
        &self,
        dir: &Directory,
        file: &[u8],
        xattrs: Vec<(Vec<u8>, Vec<u8>)>,
        mtime: Timespec,
    ) -> Result<()> {
        for attribute in xattr::content(xattrs) {
            let (name, value) = attribute?;
            xattr::set_at(&dir.fd, file, &name, &value)?;
        }
        let times: Timestamps = write::times(mtime);
        rustix::fs::utimensat(&dir.fd, file, &times, AtFlags::SYMLINK_NOFOLLOW).doing("set its times")
    }

    fn hard_link(&mut self, dir: &Directory, file: &[u8], path: &[u8], target: &[u8]) -> Result<()> {
        let refuse = |flaw| {
            let flaw = Box::new(flaw);
            Fault::from(EntryFlaw::HardLink { target: name::show(target), flaw })
        };
        let clean = name::clean(target).map_err(refuse)?;
        let Some((parent, target_file)) = name::split(&clean) else {
            return Err(refuse(EntryFlaw::IsDirectory));
        };
        let found = match self.tree.find(parent) {
            Err(Fault::Entry(flaw)) => return Err(refuse(flaw)),
            found => found?,
        };
        let Some(target_dir) = found else { return self.foreign_link(dir, file, path, clean) };
        let real = name::join(&target_dir.path, target_file);
        if real == path {
            return Err(refuse(EntryFlaw::IsItself));
        }
        match tree::stat(&target_dir.fd, target_file) {
            Ok(status) if merged::is_whiteout(&status) => {
                return self.foreign_link(dir, file, path, real);
            }
            Ok(status) if tree::file_type(&status) == FileType::Directory => {
                return Err(refuse(EntryFlaw::IsDirectory));
            }
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let target = self.ledger.links.get(&real).cloned().unwrap_or(real);
                return self.foreign_link(dir, file, path, target);
            }
            Err(errno) => return Err(errno).doing("look at the link's target"),
        }
        let link = || rustix::fs::linkat(&target_dir.fd, target_file, &dir.fd, file, AtFlags::empty());
        let mut made = link();
        if made == Err(Errno::EXIST) {
            self.clear_way(dir, file, path)?;
            made = link();
        }
        match made {
            Err(Errno::NOENT) => return Err(refuse(EntryFlaw::Missing)),
            made => made.doing("make the hard link")?,
        }
        self.ledger.made(path);
        Ok(())
    }

    /// The target is not in this layer: whoever completes the layer looks for it below.
    fn foreign_link(&mut self, dir: &Directory, file: &[u8], path: &[u8], target: Vec<u8>) -> Result<()> {
        if tree::stat(&dir.fd, file).is_ok() {
            self.clear_way(dir, file, path)?;
        }
        self.ledger.foreign_link(path.to_vec(), target)
    }

    /// Removes what stands where an entry goes.
    fn clear_way(&mut self, dir: &Directory, file: &[u8], path: &[u8]) -> Result<()> {
        remove::remove_tree(&dir.fd, file).doing("replace what an earlier entry made")?;
        self.tree.forget();
        self.ledger.removed(path);
        Ok(())
    }
}
