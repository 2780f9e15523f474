//! Writing to procfs, and only to a real one: the host's before the root changes, or one mounted here.
//!
//! What lies on /proc in the container may be anything (CVE-2019-16884, CVE-2025-52881), so its path is never used.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};
use rustix::io::{Errno, Result, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::path::DecInt;
use rustix::thread::{CapabilitySet, capabilities};

use crate::plan::SysctlPlan;

use super::report::{At, Failure, Stage, Step};

/// Sets how readily this process is killed when memory runs out.
pub(super) fn set_oom_score(text: &[u8]) -> Step<()> {
    let file = open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::OomScore)?;
    if fstatfs(&file).at(Stage::OomScore)?.f_type != rustix::fs::PROC_SUPER_MAGIC {
        return Err(Failure::of(Stage::OomScore, Errno::NODEV));
    }
    match write(&file, text) {
        // Less than it was takes CAP_SYS_RESOURCE; a runtime that has not got it does what it can.
        Err(Errno::ACCESS)
            if capabilities(None).is_ok_and(|sets| !sets.effective.contains(CapabilitySet::SYS_RESOURCE)) =>
        {
            Ok(())
        }
        result => result.map(drop).at(Stage::OomScore),
    }
}

/// Sets kernel parameters of the container's namespaces.
pub(super) fn set_sysctls(proc: Option<BorrowedFd<'_>>, plans: &[SysctlPlan]) -> Step<()> {
    if plans.is_empty() {
        return Ok(());
    }
    let own;
    let proc = match proc {
        Some(proc) => proc,
        None => {
            own = private().at(Stage::Sysctl)?;
            own.as_fd()
        }
    };
    for (index, plan) in plans.iter().enumerate() {
        write_below(proc, &plan.path, &plan.value).at_index(Stage::Sysctl, index)?;
    }
    Ok(())
}

/// Has AppArmor change the profile at exec.
pub(super) fn set_apparmor(proc: Option<BorrowedFd<'_>>, text: &[u8]) -> Step<()> {
    own_directory(proc)
        .and_then(|own| match write_below(own.as_fd(), c"attr/apparmor/exec", text) {
            Err(Errno::NOENT) => write_below(own.as_fd(), c"attr/exec", text),
            result => result,
        })
        .at(Stage::AppArmor)
}

/// Has SELinux change the label at exec, and give it to the keys that are made until then.
pub(super) fn set_selinux(proc: Option<BorrowedFd<'_>>, label: &[u8]) -> Step<()> {
    own_directory(proc)
        .and_then(|own| {
            write_below(own.as_fd(), c"attr/keycreate", label)?;
            write_below(own.as_fd(), c"attr/exec", label)
        })
        .at(Stage::Selinux)
}

/// The directory of this process in a procfs: the container's own, or one that is mounted nowhere.
fn own_directory(proc: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let own;
    let proc = match proc {
        Some(proc) => proc,
        None => {
            own = private()?;
            own.as_fd()
        }
    };
    // `self` is a link, which is not followed here: the directory by its number.
    let pid = DecInt::new(rustix::process::getpid().as_raw_nonzero().get());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(proc, pid.as_c_str(), flags, Mode::empty(), BELOW)
}

const BELOW: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

fn write_below(dir: BorrowedFd<'_>, path: &CStr, text: &[u8]) -> Result<()> {
    let file = openat2(dir, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), BELOW)?;
    write(&file, text).map(drop)
}

/// A procfs that is mounted nowhere.
fn private() -> Result<OwnedFd> {
    let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
