//! Nodes and links of /dev, made beside a descriptor of a /dev that is no link (CVE-2026-41579).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, mknodat, statat, symlinkat, unlinkat};
use rustix::io::{Errno, Result};

use crate::plan::{DevicePlan, HowDevice, NodePlan};

use super::descriptor::SetupFd;
use super::mounts::attach;
use super::path::{Leaf, open_or_make, open_plain};
use super::report::{At, Stage, Step};

/// Makes everything; returns /dev.
pub(super) fn make(plan: &DevicePlan, root: BorrowedFd<'_>) -> Step<SetupFd> {
    let dev = match open_plain(root, c"/dev") {
        Err(Errno::NOENT) => open_or_make(root, c"/dev", Leaf::Directory),
        result => result,
    }
    .at(Stage::DeviceDirectory)?;
    for (index, node) in plan.nodes.iter().enumerate() {
        make_node(node, dev.as_fd(), root).at_index(Stage::Device, index)?;
    }
    for (index, (name, target)) in plan.links.iter().enumerate() {
        make_link(dev.as_fd(), name, target).at_index(Stage::DeviceLink, index)?;
    }
    Ok(dev)
}

fn make_node(node: &NodePlan, dev: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<()> {
    let elsewhere;
    let dir = match &node.dir {
        None => dev,
        Some(path) => {
            elsewhere = open_or_make(root, path, Leaf::Directory)?;
            elsewhere.as_fd()
        }
    };
    let name = node.name.as_c_str();
    match &node.how {
        HowDevice::Make { kind, mode, number, owner } => {
            match mknodat(dir, name, *kind, *mode, *number) {
                // A root file system may bring its own, if it is the same.
                Err(Errno::EXIST) if is_node(dir, name, *kind, *number)? => {}
                result => result?,
            }
            owner.map_or(Ok(()), |(uid, gid)| {
                let (uid, gid) = (Uid::from_raw_unchecked(uid), Gid::from_raw_unchecked(gid));
                chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            })
        }
        HowDevice::Bind(tree) => {
            let place = place(dir, name)?;
            attach(tree.as_fd(), place.as_fd())
        }
    }
}

fn is_node(dir: BorrowedFd<'_>, name: &CStr, kind: FileType, number: rustix::fs::Dev) -> Result<bool> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == kind && (kind == FileType::Fifo || stat.st_rdev == number))
}

/// An empty file to attach something to, opened without following a link.
pub(super) fn place(dir: BorrowedFd<'_>, name: &CStr) -> Result<SetupFd> {
    match mknodat(dir, name, FileType::RegularFile, Mode::from_raw_mode(0o666), 0) {
        Ok(()) | Err(Errno::EXIST) => open_plain(dir, name),
        Err(errno) => Err(errno),
    }
}

fn make_link(dev: BorrowedFd<'_>, name: &CStr, target: &CStr) -> Result<()> {
    match symlinkat(target, dev, name) {
        // ptmx must be that of the container's own devpts; of the others what is there may stay.
        Err(Errno::EXIST) if name == c"ptmx" => {
            unlinkat(dev, name, AtFlags::empty())?;
            symlinkat(target, dev, name)
        }
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
