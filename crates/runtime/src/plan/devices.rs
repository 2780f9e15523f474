//! Device nodes and links of /dev: the default ones of the specification and those asked for.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use ross_sys::SysError;
use rustix::fs::{CWD, Dev, FileType, Mode, makedev};
use rustix::mount::OpenTreeFlags;

use crate::error::Error;
use crate::spec::{Device, DeviceKind, Linux};

use super::{c_string, invalid};

/// What is made in /dev.
#[derive(Debug)]
pub(crate) struct DevicePlan {
    pub nodes: Vec<NodePlan>,
    /// Name in /dev and target.
    pub links: Vec<(CString, CString)>,
    pub console: bool,
}

/// One node.
#[derive(Debug)]
pub(crate) struct NodePlan {
    /// Directory in the container; /dev itself when absent.
    pub dir: Option<CString>,
    pub name: CString,
    pub how: HowDevice,
}

/// How a node comes about.
#[derive(Debug)]
pub(crate) enum HowDevice {
    /// mknod.
    Make { kind: FileType, mode: Mode, number: Dev, owner: Option<(u32, u32)> },
    /// The host's, bind-mounted, where mknod is not possible.
    Bind(OwnedFd),
}

const DEFAULT: [(&str, i64, i64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

impl DevicePlan {
    pub(super) fn new(linux: &Linux, in_userns: bool, console: bool) -> Result<Self, Error> {
        let mut nodes = Vec::with_capacity(DEFAULT.len() + linux.devices.len());
        for (index, device) in linux.devices.iter().enumerate() {
            nodes.push(node(&format!("linux.devices[{index}]"), device, in_userns)?);
        }
        for (path, major, minor) in DEFAULT {
            if linux.devices.iter().any(|device| device.path == path) {
                continue;
            }
            let device = Device {
                path: path.to_owned(),
                kind: DeviceKind::Char,
                major,
                minor,
                file_mode: None,
                uid: None,
                gid: None,
            };
            nodes.push(node(path, &device, in_userns)?);
        }
        let links = LINKS.iter().map(|&(name, target)| (c_string(name), c_string(target))).collect();
        Ok(Self { nodes, links, console })
    }
}

/// The paths of the nodes, in the order they are made.
pub(crate) fn device_paths(linux: &Linux) -> impl Iterator<Item = &str> {
    let own = linux.devices.iter().map(|device| device.path.as_str());
    let is_own = |path: &str| linux.devices.iter().any(|device| device.path == path);
    own.chain(DEFAULT.iter().map(|&(path, ..)| path).filter(move |path| !is_own(path)))
}

fn node(at: &str, device: &Device, in_userns: bool) -> Result<NodePlan, Error> {
    let (dir, name) = device.path.rsplit_once('/').unwrap_or(("", &device.path));
    if name.is_empty() || name == "." || name == ".." {
        return Err(invalid(format!("{at}.path"), "names no file"));
    }
    let kind = match device.kind {
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
        DeviceKind::Char | DeviceKind::All => FileType::CharacterDevice,
    };
    let number = |value: i64| u32::try_from(value).expect("spec::check knows the range");
    let number = makedev(number(device.major), number(device.minor));
    let how = if in_userns && kind != FileType::Fifo {
        HowDevice::Bind(host_node(at, &device.path, kind, number)?)
    } else {
        let owner = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        HowDevice::Make {
            kind,
            mode: Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777),
            number: if kind == FileType::Fifo { 0 } else { number },
            owner: (owner != (0, 0)).then_some(owner),
        }
    };
    let dir = (dir != "/dev").then(|| c_string(if dir.is_empty() { "/" } else { dir }));
    Ok(NodePlan { dir, name: c_string(name), how })
}

/// A detached copy of the host's node at the same path, checked to be that device.
fn host_node(at: &str, path: &str, kind: FileType, number: Dev) -> Result<OwnedFd, Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, path, flags)
        .map_err(|errno| SysError::on("open_tree", path, errno).with(at))?;
    let found = rustix::fs::fstat(tree.as_fd()).map_err(|errno| SysError::on("fstat", path, errno))?;
    if FileType::from_raw_mode(found.st_mode) != kind || found.st_rdev != number {
        return Err(invalid(at, format!("`{path}` of the host is another device")));
    }
    let slave = ross_sys::mount::MountChange::propagation(ross_sys::mount::Propagation::Slave);
    ross_sys::mount::set(tree.as_fd(), false, &slave)
        .map_err(|errno| SysError::on("mount_setattr", path, errno).with(at))?;
    Ok(tree)
}
