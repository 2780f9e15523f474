//! Making a cgroup by systemd.

use std::collections::BTreeMap;

use crate::cgroup::create::{enable, write_all};
use crate::cgroup::devices::Policy;
use crate::cgroup::limits::{Limits, Write};
use crate::cgroup::{Cgroup, CgroupError};
use crate::spec::LinuxResources;

use super::scope::{self, Placeholder, Scope};

/// What keeps a new scope alive, until a process of the container does.
#[derive(Debug)]
pub(crate) struct Held {
    placeholder: Placeholder,
    /// The limit of processes without the placeholder.
    pids: Option<Write>,
}

impl Cgroup {
    /// Has systemd make a scope with limits and device rules. When anything fails, nothing is left.
    pub(crate) fn create_scope(
        scope: &Scope,
        id: &str,
        resources: &LinuxResources,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(Self, Held), CgroupError> {
        let mut limits = Limits::new(resources)?;
        let policy = Policy::new(&resources.devices)?;
        let placeholder = scope::start(scope, id, &limits, annotations)?;
        let held = Held { placeholder, pids: make_room(&mut limits) };
        let cgroup = Self::open(&scope.path()?)?.of_unit(Some(scope.name().to_owned()));
        match cgroup.limit(&limits, &policy) {
            Ok(()) => Ok((cgroup, held)),
            Err(error) => {
                // The error is what counts.
                drop(held);
                let _ = cgroup.remove();
                Err(error)
            }
        }
    }

    fn limit(&self, limits: &Limits, policy: &Policy) -> Result<(), CgroupError> {
        if limits.required().next().is_some() {
            let (above, _) = self.path.split();
            enable(&self.hierarchy, above, limits, self.path.as_str())?;
        }
        write_all(&self.directory, &self.path, limits)?;
        policy.attach(self.dir(), &self.path)
    }

    /// Lets go of the process that kept the scope: one of the container is in it.
    pub(crate) fn release(&self, held: Held) -> Result<(), CgroupError> {
        // While it is there the cgroup is, too: systemd would remove it when the container's process has ended already.
        let limits = Limits { writes: held.pids.into_iter().collect(), must_be_free: None };
        write_all(&self.directory, &self.path, &limits)?;
        drop(held.placeholder);
        Ok(())
    }
}

/// Lets one process more in, the placeholder; the limit as it was.
fn make_room(limits: &mut Limits) -> Option<Write> {
    let at = limits.writes.iter().rposition(|write| write.file == "pids.max")?;
    let most: u64 = limits.writes[at].value.parse().ok()?;
    let more = Write { value: most.saturating_add(1).to_string(), ..limits.writes[at].clone() };
    Some(std::mem::replace(&mut limits.writes[at], more))
}
