//! The CPUs of an exec: `process.execCPUAffinity`.

use rustix::thread::CpuSet;

use crate::error::Error;
use crate::spec::ExecCpuAffinity;

use super::{invalid, list};

/// CPUs before and after the process is in the cgroup: where none are named, those of the runtime, and all of the cgroup.
#[derive(Debug, Default)]
pub(crate) struct AffinityPlan {
    pub initial: Option<CpuSet>,
    pub last: Option<CpuSet>,
}

impl AffinityPlan {
    pub(super) fn new(affinity: Option<&ExecCpuAffinity>) -> Result<Self, Error> {
        let Some(affinity) = affinity else { return Ok(Self::default()) };
        let set = |field: &str, list: &str| {
            let wrong = || {
                invalid(format!("process.execCPUAffinity.{field}"), format!("`{list}` is no list of CPUs"))
            };
            if list.is_empty() { Ok(None) } else { cpus(list).ok_or_else(wrong).map(Some) }
        };
        Ok(Self { initial: set("initial", &affinity.initial)?, last: set("final", &affinity.last)? })
    }
}

fn cpus(list: &str) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    list::ranges(list, CpuSet::MAX_CPU)?.into_iter().flatten().for_each(|cpu| set.set(cpu));
    Some(set)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists() {
        let check = |list: &str, expected: Option<&[usize]>| {
            let set = super::cpus(list);
            let found: Option<Vec<usize>> = set.map(|set| (0..1024).filter(|&cpu| set.is_set(cpu)).collect());
            assert_eq!(found.as_deref(), expected, "{list}");
        };
        check("0", Some(&[0]));
        check("0-2,7", Some(&[0, 1, 2, 7]));
        check("3, 1023", Some(&[3, 1023]));
        for wrong in ["", ",", "a", "-1", "2-1", "1024", "0-", "0x1"] {
            check(wrong, None);
        }
    }
}
