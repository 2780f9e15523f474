//! Mounts, in the order of the configuration, each attached to a descriptor of its target.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use ross_sys::mount::{MountChange, attr};
use rustix::fs::{FileType, PROC_SUPER_MAGIC, fstat, fstatfs};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use crate::plan::{MountPlan, MountSource, NewMount};

use super::copy_up::copy_up;
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
    let Target { fd: target, found } = open_target(plan, root).at_index(Stage::MountTarget, index)?;
    // Other than the few files meant for it, nothing may cover procfs: labels and parameters written there later
    // would go astray (CVE-2019-16884, CVE-2019-19921). The descriptor tells, whatever the path said.
    let stat = fstatfs(&target).at_index(Stage::MountTarget, index)?;
    if stat.f_type == PROC_SUPER_MAGIC && !plan.over_proc {
        return Err(Failure::of_item(Stage::MountOverProc, index, Errno::PERM));
    }
    let made = match &plan.source {
        MountSource::New(new) => {
            let made = make(new, found.then_some(target.as_fd()), index)?;
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

/// Makes a file system that is mounted nowhere yet; `covered` is the directory it is going to cover, if there was one.
fn make(new: &NewMount, covered: Option<BorrowedFd<'_>>, index: usize) -> Step<SetupFd> {
    let context = fsopen(new.kind.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)
        .map(SetupFd::from)
        .at_index(Stage::MountNew, index)?;
    if let Some(source) = &new.source {
        fsconfig_set_string(&context, c"source", source.as_c_str()).at_index(Stage::MountParameter, index)?;
    }
    for (key, value) in &new.parameters {
        match value {
            Some(value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str()),
            None => fsconfig_set_flag(&context, key.as_c_str()),
        }
        .at_index(Stage::MountParameter, index)?;
    }
    // A tmpfs looks like what it covers, and is everybody's where there was nothing.
    if let (true, Some(covered)) = (new.top.mode, covered) {
        let mode = fstat(covered).at_index(Stage::MountTarget, index)?.st_mode;
        fsconfig_set_string(&context, c"mode", octal(mode).as_c_str())
            .at_index(Stage::MountParameter, index)?;
    }
    fsconfig_create(&context).at_index(Stage::MountNew, index)?;
    // What is to be read-only has to be filled first.
    let late = if new.copy_up { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, new.attributes.difference(late))
        .map(SetupFd::from)
        .at_index(Stage::MountNew, index)?;
    if let (true, Some(covered)) = (new.copy_up, covered) {
        copy_up(covered, made.as_fd(), new.top.owner).at_index(Stage::MountCopyUp, index)?;
    }
    let mut late = MountChange::attributes(u64::from(new.attributes.intersection(late).bits()));
    if let Some(namespace) = &new.id_map {
        late = MountChange { set: late.set | attr::IDMAP, ..MountChange::id_map(namespace.as_fd()) };
    }
    if late != MountChange::default() {
        ross_sys::mount::set(made.as_fd(), false, &late).at_index(Stage::MountChange, index)?;
    }
    Ok(made)
}

/// The permission bits of a mode as text.
fn octal(mode: u32) -> Octal {
    let mut text = [0; 5];
    for (place, shift) in text.iter_mut().zip([9, 6, 3, 0]) {
        *place = b'0' + (mode >> shift & 0o7) as u8;
    }
    Octal(text)
}

struct Octal([u8; 5]);

impl Octal {
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).expect("the last byte is zero")
    }
}

/// Where a mount goes, and whether that was there before.
struct Target {
    fd: SetupFd,
    found: bool,
}

fn open_target(plan: &MountPlan, root: BorrowedFd<'_>) -> Result<Target> {
    let path = plan.target.as_c_str();
    let opened = if plan.is_kernel_view() { open_plain(root, path) } else { open_in_root(root, path) };
    match opened {
        Err(Errno::NOENT) => Ok(Target { fd: open_or_make(root, path, leaf(&plan.source)?)?, found: false }),
        result => Ok(Target { fd: result?, found: true }),
    }
}

fn leaf(source: &MountSource) -> Result<Leaf> {
    match source {
        MountSource::New(_) => Ok(Leaf::Directory),
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

#[cfg(test)]
mod tests {
    #[test]
    fn modes() {
        let check = |mode, text: &str| assert_eq!(super::octal(mode).as_c_str().to_bytes(), text.as_bytes());
        check(0o40_755, "0755");
        check(0o41_777, "1777");
        check(0, "0000");
    }
}
