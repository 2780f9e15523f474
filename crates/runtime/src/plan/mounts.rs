//! Mounts: new file systems as parameters, bind mounts as detached trees with their final attributes.
//!
//! Bind sources are host paths and are opened here, by the runtime, so that a child in a user namespace needs no
//! way to them. Targets are container paths: the child resolves them, in the root, on descriptors.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use ross_sys::SysError;
use ross_sys::mount::{MountChange, Propagation, attr};
use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, OpenTreeFlags};

use crate::error::Error;
use crate::spec::{Linux, Mount, NamespaceKind, Spec};

use super::mount_options::MountOptions;
use super::{c_string, id_map, invalid, selinux};

/// One mount.
#[derive(Debug)]
pub(crate) struct MountPlan {
    /// Clean absolute path in the container.
    pub target: CString,
    pub source: MountSource,
    /// Set once it is in place.
    pub propagation: Vec<(Propagation, bool)>,
    /// Whether it may cover a file of procfs.
    pub over_proc: bool,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum MountSource {
    /// A new instance of a file system.
    New(NewMount),
    /// A tree of the host.
    Tree(OwnedFd),
    /// Nothing: other attributes for what is there.
    Change { set: u64, clear: u64 },
}

/// A file system to make.
#[derive(Debug)]
pub(crate) struct NewMount {
    pub kind: CString,
    pub source: Option<CString>,
    pub parameters: Vec<(CString, Option<CString>)>,
    pub attributes: MountAttrFlags,
    pub top: TopPlan,
    /// Whether what the target holds is copied into it.
    pub copy_up: bool,
    /// A user namespace whose maps are those of the mount.
    pub id_map: Option<OwnedFd>,
}

/// What the root directory of a new tmpfs takes over from the directory it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopPlan {
    pub owner: bool,
    pub mode: bool,
}

impl MountPlan {
    pub(crate) fn is_bind(&self) -> bool {
        matches!(self.source, MountSource::Tree(_))
    }

    /// Whether this is a new procfs or sysfs, whose target must be a plain directory.
    pub(crate) fn is_kernel_view(&self) -> bool {
        matches!(&self.source, MountSource::New(new) if matches!(new.kind.as_bytes(), b"proc" | b"sysfs"))
    }

    pub(crate) fn is_writable_proc(&self) -> bool {
        matches!(&self.source, MountSource::New(new)
            if new.kind.as_bytes() == b"proc" && !new.attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY))
    }
}

/// File systems without a device, whose `ro` is one of the mount alone.
const VIRTUAL: [&str; 6] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup2"];

/// What may cover a file of procfs: what lxcfs and the like provide.
const OVER_PROC: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn plan(
    spec: &Spec,
    linux: &Linux,
    bundle: &Path,
    own_cgroup: BorrowedFd<'_>,
) -> Result<Vec<MountPlan>, Error> {
    let mut plans = Vec::with_capacity(spec.mounts.len());
    let label = selinux::label("linux.mountLabel", &linux.mount_label)?;
    for (index, mount) in spec.mounts.iter().enumerate() {
        let mut plan = plan_one(&format!("mounts[{index}]"), mount, linux, bundle, own_cgroup)?;
        if let MountSource::New(new) = &mut plan.source {
            let kind = new.kind.to_string_lossy();
            selinux::add(&kind, label.as_ref(), &mut new.parameters);
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn plan_one(
    at: &str,
    mount: &Mount,
    linux: &Linux,
    bundle: &Path,
    own_cgroup: BorrowedFd<'_>,
) -> Result<MountPlan, Error> {
    let target = clean(&mount.destination);
    if target == "/" {
        return Err(invalid(format!("{at}.destination"), "is the root itself"));
    }
    let mut options = MountOptions::parse(&mount.options);
    let kind = mount.kind.as_deref().unwrap_or_default();
    if options.copy_up && (kind != "tmpfs" || options.remount || options.bind.is_some()) {
        return Err(invalid(format!("{at}.options"), "have tmpcopyup, which is for a new tmpfs alone"));
    }
    let no_parameters = |what: &str| match options.parameters.first() {
        None => Ok(()),
        Some((parameter, _)) => {
            let word = parameter.to_string_lossy();
            Err(invalid(format!("{at}.options"), format!("`{word}` means nothing to {what}")))
        }
    };
    let source = if options.remount {
        no_parameters("a remount")?;
        if id_mapping(at, mount, &options, linux)?.is_some() {
            return Err(invalid(at, "maps the ids of what is mounted already"));
        }
        let set = options.own.set | options.recursive.set;
        MountSource::Change { set, clear: options.own.clear | options.recursive.clear }
    } else if options.bind.is_some() || (kind == "bind" && options.parameters.is_empty()) {
        let path = mount.source.as_deref().unwrap_or_default();
        if path.is_empty() {
            return Err(invalid(format!("{at}.source"), "is missing, and a bind mount needs it"));
        }
        no_parameters("a bind mount")?;
        let flags = tree_flags(options.bind == Some(true));
        let tree = rustix::mount::open_tree(CWD, bundle.join(path), flags)
            .map_err(|errno| SysError::on("open_tree", path, errno).with(format!("{at}.source")))?;
        finish_tree(at, tree, mount, &options, linux)?
    } else if kind.is_empty() {
        return Err(invalid(format!("{at}.type"), "is missing, and it is no bind mount"));
    } else if matches!(kind, "cgroup" | "cgroup2") && !linux.has(NamespaceKind::Cgroup) {
        // Without a namespace a new cgroup2 mount would show the whole tree: only the own cgroup is shown.
        let tree = rustix::mount::open_tree(own_cgroup, "", tree_flags(false) | OpenTreeFlags::AT_EMPTY_PATH)
            .map_err(|errno| SysError::on("open_tree", "own cgroup", errno).with(at))?;
        finish_tree(at, tree, mount, &options, linux)?
    } else if kind == "sysfs" && linux.has(NamespaceKind::User) && !linux.has(NamespaceKind::Network) {
        // The kernel refuses a new sysfs there: the host's is shown, and stays read-only if it is to be.
        let tree = rustix::mount::open_tree(CWD, "/sys", tree_flags(true))
            .map_err(|errno| SysError::on("open_tree", "/sys", errno).with(at))?;
        options.bind = Some(true);
        finish_tree(at, tree, mount, &options, linux)?
    } else {
        let id_map = id_mapping(at, mount, &options, linux)?;
        new_file_system(kind, mount, &mut options, id_map)
    };
    let over_proc = OVER_PROC.contains(&target.as_str()) || (kind == "proc" && target == "/proc");
    // A tree has its propagation already, unless it is to be shared.
    let propagation = match &source {
        MountSource::Tree(_) => {
            options.propagation.into_iter().filter(|(kind, _)| *kind != Propagation::Slave).collect()
        }
        _ => options.propagation,
    };
    Ok(MountPlan { target: c_string(target), source, propagation, over_proc })
}

fn new_file_system(
    kind: &str,
    mount: &Mount,
    options: &mut MountOptions,
    id_map: Option<OwnedFd>,
) -> MountSource {
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    let mut parameters = std::mem::take(&mut options.parameters);
    if options.read_only && !VIRTUAL.contains(&kind) {
        parameters.push((c_string("ro"), None));
    }
    let set = u32::try_from(options.own.set | options.recursive.set).unwrap_or_default();
    let given = |key: &CStr| parameters.iter().any(|(name, _)| name.as_c_str() == key);
    let top = TopPlan {
        owner: options.copy_up && !given(c"uid") && !given(c"gid"),
        mode: kind == "tmpfs" && !given(c"mode"),
    };
    MountSource::New(NewMount {
        kind: c_string(kind),
        source: Some(c_string(mount.source.as_deref().filter(|text| !text.is_empty()).unwrap_or(kind))),
        parameters,
        attributes: MountAttrFlags::from_bits_retain(set),
        top,
        copy_up: options.copy_up,
        id_map,
    })
}

fn tree_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// A user namespace with the maps of this mount, if it has any: its own, or those of the container.
fn id_mapping(
    at: &str,
    mount: &Mount,
    options: &MountOptions,
    linux: &Linux,
) -> Result<Option<OwnedFd>, Error> {
    if options.id_map.is_none() && mount.uid_mappings.is_empty() {
        return Ok(None);
    }
    let (uids, gids) = if mount.uid_mappings.is_empty() {
        (&linux.uid_mappings, &linux.gid_mappings)
    } else {
        (&mount.uid_mappings, &mount.gid_mappings)
    };
    if uids.is_empty() {
        return Err(invalid(format!("{at}.uidMappings"), "is missing, and there is no user namespace"));
    }
    id_map::namespace(uids, gids).map(Some)
}

/// Gives a detached tree its ids, attributes and propagation.
fn finish_tree(
    at: &str,
    tree: OwnedFd,
    mount: &Mount,
    options: &MountOptions,
    linux: &Linux,
) -> Result<MountSource, Error> {
    let set = |recursive: bool, change: &MountChange<'_>| {
        ross_sys::mount::set(tree.as_fd(), recursive, change).map_err(|errno| {
            SysError::on("mount_setattr", mount.source.as_deref().unwrap_or_default(), errno).with(at)
        })
    };
    if let Some(namespace) = id_mapping(at, mount, options, linux)? {
        set(options.id_map == Some(true), &MountChange::id_map(namespace.as_fd()))?;
    }
    // A copy of a shared mount is its peer; unless that is asked for, the container only receives.
    let shared = options.propagation.iter().any(|(kind, _)| *kind == Propagation::Shared);
    let propagation = (!shared).then_some(Propagation::Slave);
    let all = MountChange {
        set: options.recursive.set,
        clear: options.recursive.clear,
        propagation,
        ..MountChange::default()
    };
    let own = MountChange { set: options.own.set, clear: options.own.clear, ..MountChange::default() };
    if options.bind == Some(true) {
        if all != MountChange::default() {
            set(true, &all)?;
        }
        if !options.own.is_empty() {
            set(false, &own)?;
        }
    } else {
        // One mount: both at once.
        let own_wins = own.set | (all.set & !own.clear);
        let clear =
            (all.clear & !own.set) | own.clear | if own.set & attr::ATIME != 0 { attr::ATIME } else { 0 };
        let both = MountChange { set: own_wins, clear, propagation, ..MountChange::default() };
        if both != MountChange::default() {
            set(false, &both)?;
        }
    }
    Ok(MountSource::Tree(tree))
}

/// The path without `.`, `..` and double slashes; relative ones are taken from the root (runtime-spec 1.2).
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().expect("part of a str")),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn cleans() {
        let check = |path, clean| assert_eq!(super::clean(path), clean);
        check("/proc", "/proc");
        check("proc/", "/proc");
        check("/a/../../b/./c//d", "/b/c/d");
        check("/..", "/");
        check("", "/");
    }
}
