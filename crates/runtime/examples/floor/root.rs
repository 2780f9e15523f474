//! The root of the bench's bundles, made between clone and exec: nothing here allocates.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::mount::{MountChange, Propagation, attr, set, set_at};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, open, openat, symlinkat};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{fchdir, pivot_root, umask};
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;

/// A host file and the path in the root where it is to be seen.
pub(crate) type Bind = [CString; 2];

/// A new file system: target, type, `key=value` parameters or flags, attributes.
type New = (&'static CStr, &'static CStr, &'static [(&'static CStr, Option<&'static CStr>)], MountAttrFlags);

const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
const HARMLESS: MountAttrFlags = NOSUID.union(NOEXEC).union(MountAttrFlags::MOUNT_ATTR_NODEV);
const READ_ONLY: MountAttrFlags = HARMLESS.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
const STRICT: MountAttrFlags = NOSUID.union(MountAttrFlags::MOUNT_ATTR_STRICTATIME);

const TERMINALS: [(&CStr, Option<&CStr>); 4] =
    [(c"newinstance", None), (c"ptmxmode", Some(c"0666")), (c"mode", Some(c"0620")), (c"gid", Some(c"5"))];

const MOUNTS: [New; 7] = [
    (c"proc", c"proc", &[], MountAttrFlags::empty()),
    (c"dev", c"tmpfs", &[(c"mode", Some(c"755")), (c"size", Some(c"65536k"))], STRICT),
    (c"dev/pts", c"devpts", &TERMINALS, NOSUID.union(NOEXEC)),
    (c"dev/shm", c"tmpfs", &[(c"mode", Some(c"1777")), (c"size", Some(c"65536k"))], HARMLESS),
    (c"dev/mqueue", c"mqueue", &[], HARMLESS),
    (c"sys", c"sysfs", &[], READ_ONLY),
    (c"sys/fs/cgroup", c"cgroup2", &[], READ_ONLY),
];

const NODES: [(&CStr, u32, u32); 6] = [
    (c"dev/null", 1, 3),
    (c"dev/zero", 1, 5),
    (c"dev/full", 1, 7),
    (c"dev/random", 1, 8),
    (c"dev/urandom", 1, 9),
    (c"dev/tty", 5, 0),
];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd", c"dev/fd"),
    (c"/proc/self/fd/0", c"dev/stdin"),
    (c"/proc/self/fd/1", c"dev/stdout"),
    (c"/proc/self/fd/2", c"dev/stderr"),
    (c"/proc/kcore", c"dev/core"),
    (c"pts/ptmx", c"dev/ptmx"),
];

const MASKED_DIRECTORIES: [&CStr; 4] = [c"proc/acpi", c"proc/asound", c"proc/scsi", c"sys/firmware"];
const MASKED_FILES: [&CStr; 6] = [
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/timer_list",
    c"proc/timer_stats",
    c"proc/sched_debug",
];
const READ_ONLY_PATHS: [&CStr; 5] =
    [c"proc/bus", c"proc/fs", c"proc/irq", c"proc/sys", c"proc/sysrq-trigger"];

/// Makes everything in the root at `path` and goes there.
pub(crate) fn enter(path: &CStr, binds: &[Bind]) -> Result<()> {
    umask(Mode::empty());
    ross_sys::ns::unshare(UnshareFlags::NEWCGROUP)?;
    set_at(CWD, c"/", true, &MountChange::propagation(Propagation::Slave))?;
    let root = clone_of(CWD, path, true)?;
    attach(&root, CWD, path)?;
    let root = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for (target, kind, parameters, attributes) in &MOUNTS {
        mount(root.as_fd(), target, kind, parameters, *attributes)?;
    }
    for [source, target] in binds {
        attach(&clone_of(CWD, source, true)?, root.as_fd(), target)?;
    }
    for (name, major, minor) in NODES {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(&root, name, FileType::CharacterDevice, mode, makedev(major, minor))?;
    }
    for (text, name) in LINKS {
        symlinkat(text, &root, name)?;
    }
    sethostname(b"floor")?;
    hide(root.as_fd())?;
    pivot(root.as_fd())
}

fn mount(
    root: BorrowedFd<'_>,
    target: &CStr,
    kind: &CStr,
    parameters: &[(&CStr, Option<&CStr>)],
    attributes: MountAttrFlags,
) -> Result<()> {
    // Only what lies in the new /dev has to be made.
    if target.to_bytes().starts_with(b"dev/") {
        mkdirat(root, target, Mode::from_raw_mode(0o755))?;
    }
    attach(&file_system(kind, parameters, attributes)?, root, target)
}

fn file_system(
    kind: &CStr,
    parameters: &[(&CStr, Option<&CStr>)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in parameters {
        match value {
            Some(value) => fsconfig_set_string(&context, *key, *value)?,
            None => fsconfig_set_flag(&context, *key)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Covers what is not to be seen, and makes read-only what is not to be written.
fn hide(root: BorrowedFd<'_>) -> Result<()> {
    let mut empty: Option<OwnedFd> = None;
    for path in MASKED_DIRECTORIES {
        let Some(_) = found(openat(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))? else {
            continue;
        };
        match &empty {
            Some(first) => attach(&clone_of(first.as_fd(), c"", false)?, root, path)?,
            None => {
                let made = file_system(c"tmpfs", &[(c"nr_inodes", Some(c"2"))], READ_ONLY)?;
                attach(&made, root, path)?;
                empty = Some(made);
            }
        }
    }
    for path in MASKED_FILES {
        if found(openat(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))?.is_some() {
            attach(&clone_of(CWD, c"/dev/null", false)?, root, path)?;
        }
    }
    for path in READ_ONLY_PATHS {
        if let Some(copy) = found(clone_of(root, path, true))? {
            set(copy.as_fd(), true, &MountChange::attributes(attr::RDONLY))?;
            attach(&copy, root, path)?;
        }
    }
    Ok(())
}

fn found(opened: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match opened {
        Err(Errno::NOENT) => Ok(None),
        result => result.map(Some),
    }
}

fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    set(root, false, &MountChange::attributes(attr::RDONLY))
}

fn clone_of(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(dir, path, flags)
}

fn attach(mount: &OwnedFd, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    move_mount(mount, c"", dir, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
