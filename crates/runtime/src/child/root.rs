//! The root: put in place, covered where it must not be seen or written, and made the root of the process.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::mount::{MountChange, Propagation, attr};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{chroot, fchdir, pivot_root};

use crate::plan::RootPlan;

use super::descriptor::SetupFd;
use super::mounts::attach as attach_mount;
use super::null::is_null;
use super::path::open_in_root;
use super::report::{At, Failure, Stage, Step};

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Cuts this mount namespace off from its original, and opens the place of the root in it.
pub(super) fn open_place(plan: &RootPlan) -> Step<OwnedFd> {
    // Nothing mounted here is to appear on the host; what the host mounts later may appear here.
    let slave = MountChange::propagation(Propagation::Slave);
    ross_sys::mount::set_at(CWD, c"/", true, &slave).at(Stage::Propagation)?;
    open(plan.path.as_c_str(), DIRECTORY, Mode::empty()).at(Stage::RootPlace)
}

/// Puts the root over its own path: pivot_root wants a mount, and hooks find it by its path.
pub(super) fn attach(plan: &RootPlan, place: OwnedFd) -> Step<()> {
    attach_mount(plan.tree.as_fd(), place.as_fd()).at(Stage::RootAttach)
}

/// Covers paths so that they can be neither read nor written: files by /dev/null, directories by an empty tmpfs.
pub(super) fn hide(paths: &[CString], root: BorrowedFd<'_>) -> Step<()> {
    let mut null: Option<SetupFd> = None;
    let mut empty: Option<SetupFd> = None;
    for (index, path) in paths.iter().enumerate() {
        let target = match open_in_root(root, path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            result => result.at_index(Stage::MaskedPath, index)?,
        };
        cover(&target, &mut null, &mut empty).at_index(Stage::MaskedPath, index)?;
    }
    Ok(())
}

fn cover(target: &SetupFd, null: &mut Option<SetupFd>, empty: &mut Option<SetupFd>) -> Result<()> {
    if FileType::from_raw_mode(fstat(target)?.st_mode) != FileType::Directory {
        if null.is_none() {
            *null = Some(host_null()?);
        }
        let source = null.as_ref().expect("it was opened above");
        return attach_mount(copy(source.as_fd(), false)?.as_fd(), target.as_fd());
    }
    if let Some(first) = empty {
        return attach_mount(copy(first.as_fd(), false)?.as_fd(), target.as_fd());
    }
    // Attached before it is copied: kernels before 6.15 do not copy what is not in a mount namespace.
    let made = empty_directory()?;
    attach_mount(made.as_fd(), target.as_fd())?;
    *empty = Some(made);
    Ok(())
}

/// The host's /dev/null, seen to be it: the container's could be anything (CVE-2025-31133).
fn host_null() -> Result<SetupFd> {
    let null = open(c"/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if is_null(null.as_fd())? { Ok(null.into()) } else { Err(Errno::NODEV) }
}

fn empty_directory() -> Result<SetupFd> {
    let context = SetupFd::from(fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?);
    fsconfig_set_string(&context, c"nr_inodes", c"2")?;
    fsconfig_set_string(&context, c"mode", c"0755")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(SetupFd::from)
}

/// A detached copy of the mount a descriptor is in.
pub(super) fn copy(source: BorrowedFd<'_>, recursive: bool) -> Result<SetupFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(source, c"", flags).map(SetupFd::from)
}

/// Makes paths read-only, with all below them.
pub(super) fn protect(paths: &[CString], root: BorrowedFd<'_>) -> Step<()> {
    for (index, path) in paths.iter().enumerate() {
        let target = match open_in_root(root, path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            result => result.at_index(Stage::ReadonlyPath, index)?,
        };
        let protected = copy(target.as_fd(), true).and_then(|copy| {
            ross_sys::mount::set(copy.as_fd(), true, &MountChange::attributes(attr::RDONLY))?;
            attach_mount(copy.as_fd(), target.as_fd())
        });
        protected.at_index(Stage::ReadonlyPath, index)?;
    }
    Ok(())
}

/// Makes the root that of this process and drops the old one.
pub(super) fn pivot(plan: &RootPlan) -> Step<()> {
    fchdir(&plan.tree).at(Stage::Pivot)?;
    if plan.no_pivot {
        // For a host that runs from an initramfs, which cannot be pivoted away.
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&plan.tree, c"", CWD, c"/", flags).at(Stage::Pivot)?;
        chroot(c".").at(Stage::Pivot)?;
    } else {
        // Both at the same place: the old root lies on the new one and is taken off; pivot_root(2), "pivot_root(., .)".
        pivot_root(c".", c".").at(Stage::Pivot)?;
        unmount(c".", UnmountFlags::DETACH).at(Stage::Pivot)?;
    }
    // What is at `.` is at `/` as well now, either way.
    Ok(())
}

/// The last changes of the root mount.
pub(super) fn seal(plan: &RootPlan) -> Step<()> {
    if plan.readonly {
        let change = MountChange::attributes(attr::RDONLY);
        ross_sys::mount::set(plan.tree.as_fd(), false, &change).at(Stage::RootReadonly)?;
    }
    match plan.propagation {
        // All mounts are slaves or private already.
        None | Some((Propagation::Slave, _)) => Ok(()),
        Some((propagation, recursive)) => {
            let change = MountChange::propagation(propagation);
            ross_sys::mount::set(plan.tree.as_fd(), recursive, &change)
                .map_err(|errno| Failure::of(Stage::RootPropagation, errno))
        }
    }
}
