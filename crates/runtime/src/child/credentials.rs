//! Who the process is and what it may do: keyring, groups, user, capabilities, no_new_privs, seccomp.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, fchown, fstat, major};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::plan::{ProcessPlan, SeccompPlan};

use super::report::{At, Failure, Message, Stage, Step, send, wait_go};

/// Becomes root of the user namespace this process is in.
pub(super) fn become_root() -> Step<()> {
    match set_thread_groups(&[]) {
        // setgroups is denied where an unprivileged user made the namespace.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(Failure::of(Stage::Groups, errno)),
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(Stage::User)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(Stage::User)
}

/// A session keyring of the container, or the one it has.
pub(super) fn new_keyring(name: &CStr) -> Step<()> {
    match ross_sys::keyring::join_session(name) {
        Ok(serial) => match ross_sys::keyring::share_with_user(serial) {
            // An exec of another user finds a keyring it does not own.
            Ok(()) | Err(Errno::ACCESS | Errno::PERM) => Ok(()),
            Err(errno) => Err(Failure::of(Stage::Keyring, errno)),
        },
        // No keyrings in this kernel, a full quota, or an outer filter: the process has what it had.
        Err(Errno::NOSYS | Errno::DQUOT | Errno::PERM) => Ok(()),
        Err(errno) => Err(Failure::of(Stage::Keyring, errno)),
    }
}

/// Major number of /dev/null and its kin: devices.txt of the kernel.
const MEMORY_DEVICES: u32 = 1;

/// Gives the standard streams to a user other than root, who could not reopen /dev/stdout otherwise.
pub(super) fn fix_stdio_owner(uid: Uid) {
    if uid.is_root() {
        return;
    }
    let fix = |stream: BorrowedFd<'_>| {
        let Ok(stat) = fstat(stream) else { return };
        let kind = FileType::from_raw_mode(stat.st_mode);
        // /dev/null, /dev/zero and their kin are the host's own nodes, and everybody's.
        if kind == FileType::CharacterDevice && major(stat.st_rdev) == MEMORY_DEVICES
            || stat.st_uid == uid.as_raw()
        {
            return;
        }
        if matches!(kind, FileType::CharacterDevice | FileType::Fifo) {
            // What cannot be given away, on a read-only file system or of an unmapped owner, stays as it is.
            let _ = fchown(stream, Some(uid), None);
        }
    };
    fix(rustix::stdio::stdin());
    fix(rustix::stdio::stdout());
    fix(rustix::stdio::stderr());
}

/// Drops to the user and the capabilities of the plan; loads the filter where that must be privileged.
pub(super) fn apply(plan: &ProcessPlan, channel: BorrowedFd<'_>) -> Step<()> {
    let capabilities = &plan.capabilities;
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if capabilities.bounding.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Beyond the last one this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(Failure::of(Stage::Capabilities, errno)),
        }
    }
    if !plan.uid.is_root() {
        // For the way from setresuid to capset, which may still have the filter to load.
        set_keep_capabilities(true).at(Stage::Capabilities)?;
    }
    match set_thread_groups(&plan.groups) {
        Err(Errno::PERM) if plan.groups.is_empty() => {}
        result => result.at(Stage::Groups)?,
    }
    set_thread_res_gid(plan.gid, plan.gid, plan.gid).at(Stage::User)?;
    set_thread_res_uid(plan.uid, plan.uid, plan.uid).at(Stage::User)?;
    let last = CapabilitySets {
        effective: capabilities.effective,
        permitted: capabilities.permitted,
        inheritable: capabilities.inheritable,
    };
    if plan.no_new_privileges {
        set_no_new_privs(true).at(Stage::NoNewPrivileges)?;
    } else if plan.seccomp.is_some() {
        // Without no_new_privs a filter takes CAP_SYS_ADMIN, which another user has to raise again first.
        if !plan.uid.is_root() {
            let admin = CapabilitySets {
                effective: capabilities.effective | CapabilitySet::SYS_ADMIN,
                permitted: capabilities.permitted | CapabilitySet::SYS_ADMIN,
                inheritable: capabilities.inheritable,
            };
            set_capabilities(None, admin).at(Stage::Capabilities)?;
        }
        load_filter(plan, channel)?;
    }
    clear_ambient_capability_set().at(Stage::Capabilities)?;
    set_capabilities(None, last).at(Stage::Capabilities)?;
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if capabilities.ambient.contains(capability) {
            configure_capability_in_ambient_set(capability, true).at(Stage::Capabilities)?;
        }
    }
    Ok(())
}

/// Loads the seccomp filter, and waits until its agent has the listener, if it has one.
pub(super) fn load_filter(plan: &ProcessPlan, channel: BorrowedFd<'_>) -> Step<()> {
    let Some(filter) = &plan.seccomp else { return Ok(()) };
    let listener = load(filter)?;
    let Some(listener) = listener else { return Ok(()) };
    // write(2) cannot be notified (`seccomp::rules`). What follows can, and the agent answers.
    send(channel, Message::Listener(listener.as_raw_fd())).at(Stage::Seccomp)?;
    wait_go(channel).map(drop)
}

/// Loads the filter of a process for which everything else is done.
pub(super) fn load_filter_last(plan: &ProcessPlan) -> Step<()> {
    plan.seccomp.as_ref().map_or(Ok(None), load).map(drop)
}

fn load(filter: &SeccompPlan) -> Step<Option<OwnedFd>> {
    ross_sys::seccomp::load(&filter.instructions, filter.flags).at(Stage::Seccomp)
}
