//! Mounts, in the order of the configuration, each attached to a descriptor of its target.

use std::os::fd::{AsFd, BorrowedFd};

use ross_sys::mount::MountChange;
use rustix::fs::{FileType, PROC_SUPER_MAGIC, fstat, fstatfs};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

use crate::plan::{MountPlan, MountSource};

use super::descriptor::SetupFd;
use super::path::{Leaf, open_in_root, open_or_make, open_plain};
use super::report::{At, Failure, Stage, Step};

/// Carries out all mounts. Returns the root of the container's own procfs, where that can be written.
pub(super) fn mount_all(plans: &[MountPlan], root: BorrowedFd<'_>) -> Step<Option<SetupFd>> {
    let mut proc = None;
    for (index, plan) in plans.iter().enumerate() {
        let mounted = mount(plan, root, index)?;
        if plan.is_writable_proc() {
            proc = mounted;
        }
    }
    Ok(proc)
}

fn mount(plan: &MountPlan, root: BorrowedFd<'_>, index: usize) -> Step<Option<SetupFd>> {
    let target = open_target(plan, root).at_index(Stage::MountTarget, index)?;
    // Other than the few files meant for it, nothing may cover procfs: labels and parameters written there later
    // would go astray (CVE-2019-16884, CVE-2019-19921). The descriptor tells, whatever the path said.
    let stat = fstatfs(&target).at_index(Stage::MountTarget, index)?;
    if stat.f_type == PROC_SUPER_MAGIC && !plan.over_proc {
        return Err(Failure::of_item(Stage::MountOverProc, index, Errno::PERM));
    }
    let made = match &plan.source {
        MountSource::New { kind, source, parameters, attributes } => {
            let context = fsopen(kind.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)
                .map(SetupFd::from)
                .at_index(Stage::MountNew, index)?;
            if let Some(source) = source {
                fsconfig_set_string(&context, c"source", source.as_c_str())
                    .at_index(Stage::MountParameter, index)?;
            }
            for (key, value) in parameters {
                match value {
                    Some(value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str()),
                    None => fsconfig_set_flag(&context, key.as_c_str()),
                }
                .at_index(Stage::MountParameter, index)?;
            }
            fsconfig_create(&context).at_index(Stage::MountNew, index)?;
            let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, *attributes)
                .map(SetupFd::from)
                .at_index(Stage::MountNew, index)?;
            attach(made.as_fd(), target.as_fd()).at_index(Stage::MountAttach, index)?;
            Some(made)
        }
        MountSource::Tree(tree) => {
            attach(tree.as_fd(), target.as_fd()).at_index(Stage::MountAttach, index)?;
            None
        }
        MountSource::Change { set, clear } => {
            let change = MountChange { set: *set, clear: *clear, ..MountChange::default() };
            ross_sys::mount::set(target.as_fd(), false, &change).at_index(Stage::MountChange, index)?;
            None
        }
    };
    let own = match (&plan.source, &made) {
        (MountSource::Tree(tree), _) => tree.as_fd(),
        (_, Some(made)) => made.as_fd(),
        (_, None) => target.as_fd(),
    };
    for &(propagation, recursive) in &plan.propagation {
        ross_sys::mount::set(own, recursive, &MountChange::propagation(propagation))
            .at_index(Stage::MountChange, index)?;
    }
    Ok(made)
}

fn open_target(plan: &MountPlan, root: BorrowedFd<'_>) -> Result<SetupFd> {
    let path = plan.target.as_c_str();
    let opened = if plan.is_kernel_view() { open_plain(root, path) } else { open_in_root(root, path) };
    match opened {
        Err(Errno::NOENT) => open_or_make(root, path, leaf(&plan.source)?),
        result => result,
    }
}

fn leaf(source: &MountSource) -> Result<Leaf> {
    match source {
        MountSource::New { .. } => Ok(Leaf::Directory),
        MountSource::Tree(tree) => match FileType::from_raw_mode(fstat(tree)?.st_mode) {
            FileType::Directory => Ok(Leaf::Directory),
            _ => Ok(Leaf::File),
        },
        MountSource::Change { .. } => Err(Errno::NOENT),
    }
}

/// Attaches a detached mount to a descriptor: never to a path.
pub(super) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", target, c"", flags)
}
