//! The unit of a container: a transient scope, which lives as long as there are processes in it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use ross_sys::clone::{Child, CloneFlags, spawn};
use rustix::process::{Signal, WaitId, WaitIdOptions, set_parent_process_death_signal, waitid};

use crate::cgroup::limits::Limits;
use crate::cgroup::{CgroupError, CgroupPath};

use super::bus::{Bus, CallError};
use super::property;
use super::wire::{Property, Value, Writer};

/// A scope by its name, and the slice it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    slice: String,
    name: String,
}

impl Scope {
    /// The scope of a container: `linux.cgroupsPath` as `slice:prefix:name`, where an empty one is
    /// `system.slice:ross:<id>`.
    ///
    /// # Errors
    /// When the path is no such one.
    pub(crate) fn of_container(cgroups_path: &str, id: &str) -> Result<Self, CgroupError> {
        let wrong = |reason| CgroupError::InvalidPath { path: cgroups_path.to_owned(), reason };
        let (slice, prefix, name) = if cgroups_path.is_empty() {
            ("", "ross", id)
        } else {
            let mut parts = cgroups_path.split(':');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(slice), Some(prefix), Some(name), None) if !name.is_empty() => (slice, prefix, name),
                _ => return Err(wrong("is not `slice:prefix:name`, as --systemd-cgroup wants it")),
            }
        };
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        let name = match prefix {
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        // unit_name_is_valid() of systemd.
        let fine = |name: &str| {
            name.len() < 256
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte))
        };
        if !fine(&name) || !fine(slice) || cgroup_of_slice(slice).is_none() {
            return Err(wrong("does not name a slice and a unit"));
        }
        Ok(Self { slice: slice.to_owned(), name })
    }

    /// The name of the unit.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where systemd makes its cgroup.
    ///
    /// # Errors
    /// Never, for a scope whose names were checked.
    pub(crate) fn path(&self) -> Result<CgroupPath, CgroupError> {
        let slice = cgroup_of_slice(&self.slice).unwrap_or_default();
        CgroupPath::new(&format!("{slice}/{}", self.name))
    }
}

/// The cgroup of `a-b.slice` is /a.slice/a-b.slice (systemd.slice(5)); `-.slice` is the root.
fn cgroup_of_slice(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let mut path = String::new();
    let mut end = 0;
    for part in name.split('-') {
        if part.is_empty() {
            return None;
        }
        end += part.len();
        path.push_str(&format!("/{}.slice", &name[..end]));
        end += 1;
    }
    Some(path)
}

/// A process that keeps a scope alive until there is one of the container in it.
#[derive(Debug)]
pub(super) struct Placeholder(Child);

impl Placeholder {
    fn start() -> Result<Self, CgroupError> {
        let child = spawn(CloneFlags::empty(), None, || {
            // It ends with its maker, if that does not end it first.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            loop {
                let _ = rustix::event::poll(&mut [], None);
            }
        });
        child.map(Self).map_err(|source| CgroupError::Io {
            operation: "start a process to begin with",
            path: String::new(),
            source,
        })
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let _ = ross_sys::pidfd::send_signal(self.0.pidfd.as_fd(), 9);
        while let Err(rustix::io::Errno::INTR) =
            waitid(WaitId::PidFd(self.0.pidfd.as_fd()), WaitIdOptions::EXITED)
        {}
    }
}

fn failed<'a>(operation: &'static str, unit: &'a str) -> impl Fn(CallError) -> CgroupError + 'a {
    move |error| CgroupError::Systemd { operation, unit: unit.to_owned(), reason: error.text }
}

/// Has systemd make the scope, with the limits it can express, around a first process.
pub(super) fn start(
    scope: &Scope,
    id: &str,
    limits: &Limits,
    annotations: &BTreeMap<String, String>,
) -> Result<Placeholder, CgroupError> {
    let mut properties = properties(scope, id, limits);
    properties.extend(property::of_annotations(annotations)?);
    let failed = failed("start", &scope.name);
    let mut bus = Bus::open().map_err(&failed)?;
    let placeholder = Placeholder::start()?;
    properties.push(("PIDs".to_owned(), Value::Numbers(vec![placeholder.0.pid.cast_unsigned()])));
    let request = || {
        let mut body = Writer::default();
        body.text(&scope.name);
        // A unit of this name that is there is none of ours.
        body.text("fail");
        body.properties(&properties);
        body.no_units();
        body
    };
    const SIGNATURE: &str = "ssa(sv)a(sa(sv))";
    let result = match bus.job("StartTransientUnit", SIGNATURE, request()) {
        // One that failed stays loaded under its name until somebody has seen it.
        Err(error) if error.is("UnitExists") => {
            reset(&mut bus, &scope.name);
            bus.job("StartTransientUnit", SIGNATURE, request())
        }
        result => result,
    };
    match result.map_err(&failed)?.as_str() {
        "done" => Ok(placeholder),
        other => Err(failed(CallError::new(format!("the job is {other}")))),
    }
}

fn properties(scope: &Scope, id: &str, limits: &Limits) -> Vec<Property> {
    let text = |name: &str, text: &str| (name.to_owned(), Value::Text(text.to_owned()));
    let switch = |name: &str, on| (name.to_owned(), Value::Bool(on));
    let mut properties = vec![
        text("Description", &format!("container {id}")),
        text("Slice", &scope.slice),
        switch("Delegate", true),
        switch("CPUAccounting", true),
        switch("IOAccounting", true),
        switch("MemoryAccounting", true),
        switch("TasksAccounting", true),
        switch("DefaultDependencies", false),
    ];
    properties.extend(property::of_limits(&limits.writes));
    properties
}

/// Tells systemd of other limits, until the unit ends.
pub(crate) fn change(unit: &str, limits: &Limits) -> Result<(), CgroupError> {
    let properties = property::of_limits(&limits.writes);
    if properties.is_empty() {
        return Ok(());
    }
    let mut body = Writer::default();
    body.text(unit);
    body.boolean(true);
    body.properties(&properties);
    let mut bus = Bus::open().map_err(failed("change", unit))?;
    bus.manager("SetUnitProperties", "sba(sv)", body).map(drop).map_err(failed("change", unit))
}

/// Has systemd forget the unit, whose processes are gone. One that it has forgotten already is fine, and so is one that
/// failed: it is reset.
pub(crate) fn stop(unit: &str) -> Result<(), CgroupError> {
    let mut bus = Bus::open().map_err(failed("stop", unit))?;
    let mut body = Writer::default();
    body.text(unit);
    body.text("replace");
    match bus.job("StopUnit", "ss", body) {
        Err(error) if error.is("NoSuchUnit") => return Ok(()),
        result => drop(result.map_err(failed("stop", unit))?),
    }
    reset(&mut bus, unit);
    Ok(())
}

/// Whether it had failed or is gone makes no difference.
fn reset(bus: &mut Bus, unit: &str) {
    let mut body = Writer::default();
    body.text(unit);
    let _ = bus.manager("ResetFailedUnit", "s", body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let scope = Scope::of_container(path, "id");
            let found = scope.as_ref().ok().map(|scope| (scope.name().to_owned(), scope.path().unwrap()));
            let expected = expected.map(|(name, path)| (name.to_owned(), CgroupPath::new(path).unwrap()));
            assert_eq!(found, expected, "{path}");
        };
        check("", Some(("ross-id.scope", "/system.slice/ross-id.scope")));
        check(":docker:x", Some(("docker-x.scope", "/system.slice/docker-x.scope")));
        check("user.slice::x", Some(("x.scope", "/user.slice/x.scope")));
        check("-.slice:a:b", Some(("a-b.scope", "/a-b.scope")));
        check("a-b.slice:p:x.y", Some(("p-x.y.scope", "/a.slice/a-b.slice/p-x.y.scope")));
        for wrong in [
            "/a/b",
            "a:b",
            "a:b:c",
            "a.slice:b:c:d",
            "a.slice:b:",
            "a..slice/x:b:c",
            "a--b.slice:c:d",
            ".slice:c:d",
            "a.slice:b/..:c",
            "a.slice:b:ä",
        ] {
            check(wrong, None);
        }
    }
}
