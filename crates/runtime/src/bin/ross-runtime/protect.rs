//! Keeps this executable from the containers it enters (CVE-2019-5736).
//!
//! A process inside can open `/proc/<runtime>/exe` and, once the runtime has ended, write to it. So when run by real
//! root the runtime executes itself again from a read-only mount of its file that is attached nowhere, or from a
//! sealed copy in memory, before it does anything else. What is on such a file already goes on.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ross_sys::exec::{CStringArray, fexecve};
use ross_sys::mount::{MountChange, attr};
use rustix::fs::{CWD, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_get_seals, open, statvfs};
use rustix::mount::{OpenTreeFlags, open_tree};

const SELF: &str = "/proc/self/exe";

/// Commands after which this process, or a child of it, is inside a container.
const ENTERING: [&str; 3] = ["create", "run", "exec"];

/// Executes this program again from a protected file, if it has to be.
pub(crate) fn protect_executable() {
    let enters = std::env::args_os().skip(1).any(|argument| ENTERING.iter().any(|name| argument == *name));
    if !enters || is_protected() || !rustix::process::geteuid().is_root() {
        return;
    }
    let c_string = |text: std::ffi::OsString| CString::new(text.into_vec()).ok();
    let arguments = CStringArray::new(std::env::args_os().filter_map(c_string).collect());
    let variable = |(mut name, value): (std::ffi::OsString, std::ffi::OsString)| {
        name.push("=");
        name.push(value);
        c_string(name)
    };
    let environment = CStringArray::new(std::env::vars_os().filter_map(variable).collect());
    // Either returns only when it failed. Without one, as in a container with few privileges, the runtime goes on:
    // who may not mount or copy may not enter a container of another user either.
    for protected in [read_only_mount, sealed_copy] {
        if let Some(file) = protected() {
            let _ = fexecve(file.as_fd(), &arguments, &environment);
        }
    }
}

fn is_protected() -> bool {
    let is_sealed = || {
        open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(fcntl_get_seals)
            .is_ok_and(|seals| seals.contains(SealFlags::WRITE))
    };
    let in_memory =
        || std::fs::read_link(SELF).is_ok_and(|name| name.as_os_str().as_bytes().starts_with(b"/memfd:"));
    statvfs(SELF).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
        || in_memory() && is_sealed()
}

fn read_only_mount() -> Option<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, SELF, flags).ok()?;
    ross_sys::mount::set(mount.as_fd(), false, &MountChange::attributes(attr::RDONLY)).ok()?;
    Some(mount)
}

fn sealed_copy() -> Option<OwnedFd> {
    ross_sys::memfd::sealed_copy(&File::open(SELF).ok()?, "ross-runtime").ok()
}
