//! Making a cgroup, and putting limits on it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::spec::{DeviceRule, LinuxResources};

use super::devices::Policy;
use super::hierarchy::{Controllers, Directory, Hierarchy};
use super::limits::{Limits, Missing, Write};
use super::{CgroupError, CgroupPath, Controller, DEFAULT_PARENT};

/// Controllers worth having without any limit, since they count what is used.
const WANTED: [Controller; 5] =
    [Controller::Cpu, Controller::Cpuset, Controller::Io, Controller::Memory, Controller::Pids];

/// How often a cgroup is made again whose parent went away meanwhile. Each time another container ended in between.
const TRIES: u32 = 64;

/// One cgroup, open.
#[derive(Debug)]
pub struct Cgroup {
    pub(super) hierarchy: Hierarchy,
    pub(super) directory: Directory,
    pub(super) path: CgroupPath,
    /// The unit whose cgroup it is, when systemd made it.
    pub(super) unit: Option<String>,
}

impl Cgroup {
    /// Makes a cgroup with limits and device rules, and the cgroups above it where they are missing.
    ///
    /// An existing one is taken over when no process is in it and it is not frozen. When anything fails,
    /// what was made is removed again.
    pub fn create(path: &CgroupPath, resources: &LinuxResources) -> Result<Self, CgroupError> {
        let limits = Limits::new(resources)?;
        let policy = Policy::new(&resources.devices)?;
        let hierarchy = Hierarchy::open()?;
        let mut made = Made { hierarchy: &hierarchy, paths: Vec::new() };
        if path.split().0 == DEFAULT_PARENT {
            // Whoever made it: it goes when nobody is in it.
            made.paths.push(DEFAULT_PARENT.to_owned());
        }
        // The cgroup above may be removed at any time while it has no other children.
        let mut tries = 0..TRIES;
        let (directory, fresh) = loop {
            match made.directory(path, &limits) {
                Err(error) if has_vanished(&error) && tries.next().is_some() => {}
                result => break result?,
            }
        };
        write_all(&directory, path, &limits)?;
        match fresh {
            true => policy.attach_first(directory.as_fd(), path)?,
            // Whoever had the cgroup before may have left rules of their own.
            false => policy.attach(directory.as_fd(), path)?,
        }
        made.keep();
        Ok(Self { hierarchy, directory, path: path.clone(), unit: None })
    }

    /// Opens an existing cgroup.
    pub fn open(path: &CgroupPath) -> Result<Self, CgroupError> {
        let hierarchy = Hierarchy::open()?;
        let directory = hierarchy.root.open(path.relative()).map_err(io("open", path.as_str()))?;
        Ok(Self { hierarchy, directory, path: path.clone(), unit: None })
    }

    /// The same cgroup, as that of a unit of systemd.
    pub(crate) fn of_unit(self, unit: Option<String>) -> Self {
        Self { unit, ..self }
    }

    /// The unit whose cgroup it is, when systemd made it.
    pub(crate) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Its directory, for `CLONE_INTO_CGROUP`.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Its path below the mount.
    #[must_use]
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// Changes the limits that `resources` has, and leaves the others, also where one file has two of them; device rules
    /// replace all there are, when given.
    pub fn apply(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let resources = &*super::update::complete(resources, &self.directory);
        let limits = Limits::new(resources)?;
        let policy = (!resources.devices.is_empty()).then(|| Policy::new(&resources.devices)).transpose()?;
        if limits.required().next().is_some() {
            let (parent, _) = self.path.split();
            enable(&self.hierarchy, parent, &limits, self.path.as_str())?;
        }
        if let Some(limit) = limits.must_be_free {
            self.check_memory(limit)?;
        }
        if let Some(unit) = &self.unit {
            super::systemd::change(unit, &limits)?;
        }
        write_all(&self.directory, &self.path, &limits)?;
        policy.map_or(Ok(()), |policy| policy.attach(self.directory.as_fd(), &self.path))
    }

    /// Puts these device rules, and those every container has, in the place of any the cgroup has.
    pub fn attach_device_rules(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        Policy::new(rules)?.attach(self.directory.as_fd(), &self.path)
    }

    fn check_memory(&self, limit: u64) -> Result<(), CgroupError> {
        let used = self.directory.read("memory.current").ok().and_then(|text| text.trim().parse().ok());
        match used {
            Some(used @ 0_u64..) if used > limit => Err(CgroupError::InvalidValue {
                field: "linux.resources.memory.limit".to_owned(),
                reason: format!("{limit} is less than the {used} bytes in use"),
            }),
            _ => Ok(()),
        }
    }
}

/// What a create made so far, removed when it goes out of scope.
struct Made<'a> {
    hierarchy: &'a Hierarchy,
    paths: Vec<String>,
}

impl Made<'_> {
    fn keep(mut self) {
        self.paths.clear();
    }

    /// The directory of the cgroup, with the controllers its limits need, and whether it is new.
    fn directory(&mut self, path: &CgroupPath, limits: &Limits) -> Result<(Directory, bool), CgroupError> {
        let (above, name) = path.split();
        let (parent, parent_is_new) = match self.hierarchy.root.open(above) {
            Ok(parent) => (parent, false),
            Err(Errno::NOENT) => (self.make_above(above)?, true),
            Err(errno) => return Err(io("open", path.as_str())(errno)),
        };
        let required: Controllers = limits.required().map(|(controller, _)| controller).collect();
        // Those that only count are worth it where the cgroup above is made, and not at each container in it.
        let wanted = if parent_is_new { required.union(WANTED.into_iter().collect()) } else { required };
        if !wanted.is_empty() {
            let enabled = parent
                .controllers("cgroup.subtree_control")
                .map_err(io("read the controllers", path.as_str()))?;
            if !wanted.without(enabled).is_empty() {
                enable(self.hierarchy, above, limits, path.as_str())?;
            }
        }
        match parent.make(name) {
            Ok(()) => {
                self.paths.push(path.relative().to_owned());
                Ok((parent.open(name).map_err(io("open", path.as_str()))?, true))
            }
            Err(Errno::EXIST) => {
                let directory = parent.open(name).map_err(io("open", path.as_str()))?;
                refuse_busy(&directory, path)?;
                Ok((directory, false))
            }
            Err(errno) => Err(io("create", path.as_str())(errno)),
        }
    }

    /// Makes every directory of a path that is not there.
    fn make_above(&mut self, above: &str) -> Result<Directory, CgroupError> {
        let mut directory = self.hierarchy.root.open("").map_err(io("open", "/"))?;
        let mut end = 0;
        for component in above.split('/') {
            end += component.len() + usize::from(end != 0);
            let path = &above[..end];
            match directory.make(component) {
                Ok(()) => self.paths.push(path.to_owned()),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(io("create", &format!("/{path}"))(errno)),
            }
            directory = directory.open(component).map_err(io("open", &format!("/{path}")))?;
        }
        Ok(directory)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for path in self.paths.drain(..).rev() {
            // Somebody else may have moved in above meanwhile; the failure that brought us here is what counts.
            let _ = self.hierarchy.root.remove(&path);
        }
    }
}

/// Whether something was not there that had been a moment ago: a removed directory has no entries (ENOENT), and files
/// of it that are open are dead (ENODEV).
fn has_vanished(error: &CgroupError) -> bool {
    matches!(
        error,
        CgroupError::Io { source: Errno::NOENT | Errno::NODEV, .. }
            | CgroupError::Limit { source: Errno::NOENT | Errno::NODEV, .. }
    )
}

fn refuse_busy(directory: &Directory, path: &CgroupPath) -> Result<(), CgroupError> {
    let events = directory.read("cgroup.events").map_err(io("read the events", path.as_str()))?;
    let is = |event: &str| events.lines().any(|line| line == event);
    if is("populated 1") {
        return Err(CgroupError::InUse { path: path.to_string() });
    }
    if is("frozen 1") {
        return Err(CgroupError::Frozen { path: path.to_string() });
    }
    Ok(())
}

/// Enables controllers for the children of every cgroup from the root down to `above`: those the limits need, or it is
/// an error, and those that count, where they are to be had.
pub(super) fn enable(
    hierarchy: &Hierarchy,
    above: &str,
    limits: &Limits,
    path: &str,
) -> Result<(), CgroupError> {
    let required: Controllers = limits.required().map(|(controller, _)| controller).collect();
    let wanted = required.union(WANTED.into_iter().collect());
    let mut end = 0;
    let mut components = above.split('/').filter(|component| !component.is_empty());
    loop {
        let at = &above[..end];
        let directory = hierarchy.root.open(at).map_err(io("open", path))?;
        let enabled =
            directory.controllers("cgroup.subtree_control").map_err(io("read the controllers", path))?;
        let missing = wanted.without(enabled);
        if !missing.is_empty() {
            let available =
                directory.controllers("cgroup.controllers").map_err(io("read the controllers", path))?;
            if let Some(controller) = required.without(enabled).without(available).iter().next() {
                return Err(no_controller(limits, controller, path));
            }
            enable_at(&directory, missing.intersection(available), required, limits, path)?;
        }
        match components.next() {
            None => return Ok(()),
            Some(component) => end += component.len() + usize::from(end != 0),
        }
    }
}

fn enable_at(
    directory: &Directory,
    missing: Controllers,
    required: Controllers,
    limits: &Limits,
    path: &str,
) -> Result<(), CgroupError> {
    if missing.is_empty() || directory.write("cgroup.subtree_control", &missing.to_string()).is_ok() {
        return Ok(());
    }
    // One that cannot be enabled (realtime tasks bar cpu, processes bar memory) must not keep the others away.
    for controller in missing.iter() {
        let one: Controllers = std::iter::once(controller).collect();
        let result = directory.write("cgroup.subtree_control", &one.to_string());
        if let (Err(source), true) = (result, required.contains(controller)) {
            return Err(CgroupError::Limit {
                field: field_of(limits, controller),
                file: "cgroup.subtree_control".to_owned(),
                value: one.to_string(),
                path: path.to_owned(),
                source,
            });
        }
    }
    Ok(())
}

fn field_of(limits: &Limits, wanted: Controller) -> String {
    let mut fields = limits.required().filter(|(controller, _)| *controller == wanted);
    fields.next().map_or_else(String::new, |(_, field)| field.to_owned())
}

fn no_controller(limits: &Limits, controller: Controller, path: &str) -> CgroupError {
    CgroupError::NoController { field: field_of(limits, controller), controller, path: path.to_owned() }
}

pub(super) fn write_all(
    directory: &Directory,
    path: &CgroupPath,
    limits: &Limits,
) -> Result<(), CgroupError> {
    limits.writes.iter().try_for_each(|write| write_one(directory, path, write))
}

fn write_one(directory: &Directory, path: &CgroupPath, write: &Write) -> Result<(), CgroupError> {
    let refused = |file: &str, value: &str, source: Errno| CgroupError::Limit {
        field: write.field.to_string(),
        file: file.to_owned(),
        value: value.to_owned(),
        path: path.to_string(),
        source,
    };
    let absent = |file: &str| CgroupError::NoFile { field: write.field.to_string(), file: file.to_owned() };
    match (directory.write(&write.file, &write.value), &write.missing) {
        (Ok(()), _) | (Err(Errno::NOENT), Missing::Ignore) => Ok(()),
        (Err(Errno::NOENT), Missing::Fail) => Err(absent(&write.file)),
        (Err(Errno::NOENT), Missing::Instead { file, value }) => match directory.write(file, value) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => Err(absent(file)),
            Err(errno) => Err(refused(file, value, errno)),
        },
        (Err(errno), _) => Err(refused(&write.file, &write.value, errno)),
    }
}

pub(super) fn io(operation: &'static str, path: &str) -> impl FnOnce(Errno) -> CgroupError {
    move |source| {
        // The one call of it that an old kernel, or a filter, has not got.
        let operation = if source == Errno::NOSYS && operation == "open" { "openat2" } else { operation };
        CgroupError::Io { operation, path: path.to_owned(), source }
    }
}
