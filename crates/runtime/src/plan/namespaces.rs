//! Which namespaces are made, which joined, and in which order.

use std::os::fd::{AsFd, OwnedFd};

use ross_sys::SysError;
use ross_sys::clone::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;

use crate::error::Error;
use crate::spec::{Linux, NamespaceKind};

use super::{id_map, invalid};

/// The namespaces of a container.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// Those clone3 makes; all but cgroup and time.
    pub new: CloneFlags,
    /// Whether the child leaves the cgroup namespace once it is in its cgroup.
    pub new_cgroup: bool,
    /// Lines of /proc/self/timens_offsets, for a new time namespace.
    pub new_time: Option<String>,
    /// Those joined by the child, user first; all but pid.
    pub join: Vec<JoinPlan>,
    /// A pid namespace, which the parent enters for its next child.
    pub join_pid: Option<OwnedFd>,
    /// Text of uid_map and gid_map of a new user namespace.
    pub maps: Option<(String, String)>,
}

/// A namespace to join.
#[derive(Debug)]
pub(crate) struct JoinPlan {
    pub kind: NamespaceKind,
    pub file: OwnedFd,
}

/// The order of joining: a user namespace first, for the capabilities over the rest; mount late, for paths.
const ORDER: [NamespaceKind; 7] = [
    NamespaceKind::User,
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
    NamespaceKind::Network,
    NamespaceKind::Cgroup,
    NamespaceKind::Time,
    NamespaceKind::Mount,
];

impl NamespacePlan {
    pub(super) fn new(linux: &Linux) -> Result<Self, Error> {
        let mut plan = Self {
            new: CloneFlags::empty(),
            new_cgroup: false,
            new_time: None,
            join: Vec::new(),
            join_pid: None,
            maps: None,
        };
        for (index, namespace) in linux.namespaces.iter().enumerate() {
            let kind = namespace.kind;
            match namespace.path.as_deref() {
                Some(path) if !path.is_empty() => {
                    let file = open(&format!("linux.namespaces[{index}].path"), path, kind)?;
                    if kind == NamespaceKind::Pid {
                        plan.join_pid = Some(file);
                    } else {
                        plan.join.push(JoinPlan { kind, file });
                    }
                }
                _ => plan.make(kind, linux),
            }
        }
        plan.join.sort_by_key(|join| ORDER.iter().position(|kind| *kind == join.kind));
        Ok(plan)
    }

    fn make(&mut self, kind: NamespaceKind, linux: &Linux) {
        match kind {
            NamespaceKind::Cgroup => self.new_cgroup = true,
            NamespaceKind::Time => {
                let line = |(clock, offset): (&String, &crate::spec::TimeOffset)| {
                    format!("{clock} {} {}\n", offset.secs, offset.nanosecs)
                };
                self.new_time = Some(linux.time_offsets.iter().map(line).collect());
            }
            NamespaceKind::User => {
                self.new |= CloneFlags::NEWUSER;
                self.maps = Some((id_map::text(&linux.uid_mappings), id_map::text(&linux.gid_mappings)));
            }
            NamespaceKind::Pid => self.new |= CloneFlags::NEWPID,
            NamespaceKind::Network => self.new |= CloneFlags::NEWNET,
            NamespaceKind::Mount => self.new |= CloneFlags::NEWNS,
            NamespaceKind::Ipc => self.new |= CloneFlags::NEWIPC,
            NamespaceKind::Uts => self.new |= CloneFlags::NEWUTS,
        }
    }

    /// Whether the container runs in a user namespace of its own, new or joined.
    pub(crate) fn in_userns(&self) -> bool {
        self.maps.is_some() || self.joins_userns()
    }

    /// Whether a user namespace is joined: the other new ones must then be made from inside it, to belong to it.
    pub(crate) fn joins_userns(&self) -> bool {
        self.join.first().is_some_and(|join| join.kind == NamespaceKind::User)
    }
}

/// What setns(2) calls a namespace.
pub(crate) fn link_type(kind: NamespaceKind) -> LinkNameSpaceType {
    match kind {
        NamespaceKind::Pid => LinkNameSpaceType::ProcessID,
        NamespaceKind::Network => LinkNameSpaceType::Network,
        NamespaceKind::Mount => LinkNameSpaceType::Mount,
        NamespaceKind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        NamespaceKind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        NamespaceKind::User => LinkNameSpaceType::User,
        NamespaceKind::Cgroup => LinkNameSpaceType::ControlGroup,
        NamespaceKind::Time => LinkNameSpaceType::Time,
    }
}

fn open(field: &str, path: &str, kind: NamespaceKind) -> Result<OwnedFd, Error> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
        .map_err(|errno| SysError::on("open", path, errno).with(field))?;
    match ross_sys::ns::kind(file.as_fd()) {
        Ok(found) if found == link_type(kind) as u32 => Ok(file),
        Ok(_) => Err(invalid(field, format!("`{path}` is a namespace, but not of type {kind}"))),
        Err(_) => Err(invalid(field, format!("`{path}` is no namespace"))),
    }
}
