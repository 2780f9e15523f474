//! What a process gets of CPUs, disks and memory nodes: `process.scheduler`, `process.ioPriority`,
//! `linux.memoryPolicy`.

use ross_sys::sched::SchedulerAttributes;

use crate::error::Error;
use crate::spec::{IoPriority, MemoryPolicy, Process, Scheduler};

use super::{invalid, list};

/// Scheduler and I/O priority: set with the rights of the runtime, by the child itself or, where that is in a user
/// namespace, by its parent.
#[derive(Debug, Default)]
pub(crate) struct SchedulingPlan {
    pub scheduler: Option<SchedulerAttributes>,
    /// Class and priority.
    pub io_priority: Option<(u8, u8)>,
}

/// A policy for set_mempolicy(2).
#[derive(Debug)]
pub(crate) struct MemoryPolicyPlan {
    /// With its flags.
    pub mode: i32,
    /// Bit n is node n.
    pub nodes: Vec<u64>,
}

/// Numbers of sched.h. `SCHED_ISO`, 4, was never in a kernel.
const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const SCHEDULER_FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// linux/ioprio.h
const IO_CLASSES: [(&str, u8); 3] =
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// linux/mempolicy.h
const MEMORY_MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const MEMORY_FLAGS: [(&str, i32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// More bits than that the kernel does not look at: a page of them.
const MAX_NODES: usize = 4096 * 8;

impl SchedulingPlan {
    pub(super) fn new(process: &Process) -> Result<Self, Error> {
        Ok(Self {
            scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
        })
    }
}

fn named<T: Copy>(at: &str, what: &str, name: &str, table: &[(&str, T)]) -> Result<T, Error> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
        .ok_or_else(|| invalid(at, format!("`{name}` is no {what}")))
}

fn scheduler(scheduler: &Scheduler) -> Result<SchedulerAttributes, Error> {
    const AT: &str = "process.scheduler";
    let policy = scheduler.policy.as_str();
    let number = named(&format!("{AT}.policy"), "scheduling policy", policy, &POLICIES)?;
    if !(-20..=19).contains(&scheduler.nice) {
        return Err(invalid(format!("{AT}.nice"), "is not within -20 and 19"));
    }
    let real_time = matches!(policy, "SCHED_FIFO" | "SCHED_RR");
    let priority = match u32::try_from(scheduler.priority) {
        Ok(0) if !real_time => 0,
        Ok(priority @ 1..=99) if real_time => priority,
        _ if real_time => return Err(invalid(format!("{AT}.priority"), "is not within 1 and 99")),
        _ => return Err(invalid(format!("{AT}.priority"), "is for SCHED_FIFO and SCHED_RR")),
    };
    let (runtime, deadline, period) = (scheduler.runtime, scheduler.deadline, scheduler.period);
    if policy != "SCHED_DEADLINE" && (runtime, deadline, period) != (0, 0, 0) {
        return Err(invalid(AT, "has a runtime, deadline or period, which are for SCHED_DEADLINE"));
    }
    let mut flags = 0;
    for (index, flag) in scheduler.flags.iter().enumerate() {
        flags |= named(&format!("{AT}.flags[{index}]"), "scheduling flag", flag, &SCHEDULER_FLAGS)?;
    }
    Ok(SchedulerAttributes {
        policy: number,
        flags,
        nice: scheduler.nice,
        priority,
        runtime,
        deadline,
        period,
    })
}

fn io_priority(io: &IoPriority) -> Result<(u8, u8), Error> {
    let class = named("process.ioPriority.class", "I/O class", &io.class, &IO_CLASSES)?;
    let priority = u8::try_from(io.priority).ok().filter(|priority| *priority < 8);
    let priority = priority.ok_or_else(|| invalid("process.ioPriority.priority", "is not within 0 and 7"))?;
    Ok((class, priority))
}

impl MemoryPolicyPlan {
    pub(super) fn new(policy: &MemoryPolicy) -> Result<Self, Error> {
        const AT: &str = "linux.memoryPolicy";
        let mut mode = named(&format!("{AT}.mode"), "memory policy", &policy.mode, &MEMORY_MODES)?;
        let at = format!("{AT}.nodes");
        let ranges = match policy.nodes.as_str() {
            "" => Vec::new(),
            nodes => list::ranges(nodes, MAX_NODES)
                .ok_or_else(|| invalid(&at, format!("`{nodes}` is no list of memory nodes")))?,
        };
        match (policy.mode.as_str(), ranges.is_empty()) {
            ("MPOL_DEFAULT" | "MPOL_LOCAL", false) => {
                return Err(invalid(at, format!("means nothing to {}", policy.mode)));
            }
            ("MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED", _) | (_, false) => {}
            (_, true) => return Err(invalid(at, format!("is empty, and {} needs it", policy.mode))),
        }
        for (index, flag) in policy.flags.iter().enumerate() {
            mode |= named(&format!("{AT}.flags[{index}]"), "flag of a memory policy", flag, &MEMORY_FLAGS)?;
        }
        let mut nodes = vec![0_u64; ranges.iter().map(|range| range.end() / 64 + 1).max().unwrap_or(0)];
        for node in ranges.into_iter().flatten() {
            nodes[node / 64] |= 1 << (node % 64);
        }
        Ok(Self { mode, nodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn schedulers() {
        let check = |policy: &str, change: fn(&mut Scheduler), expected: &str| {
            let mut given = Scheduler { policy: policy.to_owned(), ..Scheduler::default() };
            change(&mut given);
            let found =
                scheduler(&given).map_or_else(|error| error.to_string(), |found| format!("{found:?}"));
            assert!(found.contains(expected), "{given:?}: {found}");
        };
        check("SCHED_BATCH", |s| s.nice = 19, "policy: 3, flags: 0, nice: 19");
        check("SCHED_RR", |s| s.priority = 99, "policy: 2, flags: 0, nice: 0, priority: 99");
        check("SCHED_IDLE", |s| s.flags = words(&["SCHED_FLAG_RESET_ON_FORK"]), "policy: 5, flags: 1");
        check("SCHED_DEADLINE", |s| s.period = 7, "period: 7");
        check("", |_| {}, "process.scheduler.policy: `` is no scheduling policy");
        check("SCHED_ISO", |_| {}, "process.scheduler.policy");
        check("SCHED_OTHER", |s| s.nice = -21, "process.scheduler.nice");
        check("SCHED_OTHER", |s| s.priority = 1, "process.scheduler.priority");
        check("SCHED_FIFO", |s| s.priority = 0, "process.scheduler.priority: is not within 1 and 99");
        check("SCHED_FIFO", |s| s.runtime = 1, "process.scheduler.priority");
        check("SCHED_OTHER", |s| s.runtime = 1, "process.scheduler: has a runtime");
        check("SCHED_OTHER", |s| s.flags = words(&["X"]), "process.scheduler.flags[0]");
    }

    #[test]
    fn io_priorities() {
        let check = |class: &str, priority, expected: Option<(u8, u8)>| {
            assert_eq!(io_priority(&IoPriority { class: class.to_owned(), priority }).ok(), expected);
        };
        check("IOPRIO_CLASS_RT", 0, Some((1, 0)));
        check("IOPRIO_CLASS_IDLE", 7, Some((3, 7)));
        check("IOPRIO_CLASS_BE", 8, None);
        check("IOPRIO_CLASS_BE", -1, None);
        check("IOPRIO_CLASS_NONE", 0, None);
    }

    #[test]
    fn memory_policies() {
        let check = |mode: &str, nodes: &str, flags: &[&str], expected: Option<(i32, &[u64])>| {
            let policy = MemoryPolicy { mode: mode.into(), nodes: nodes.into(), flags: words(flags) };
            let found = MemoryPolicyPlan::new(&policy).ok();
            assert_eq!(found.as_ref().map(|plan| (plan.mode, plan.nodes.as_slice())), expected, "{policy:?}");
        };
        check("MPOL_DEFAULT", "", &[], Some((0, &[])));
        check("MPOL_BIND", "0-1,65", &["MPOL_F_STATIC_NODES"], Some((2 | 1 << 15, &[3, 2])));
        check("MPOL_PREFERRED", "", &[], Some((1, &[])));
        check("MPOL_WEIGHTED_INTERLEAVE", "2", &[], Some((6, &[4])));
        check("MPOL_BIND", "", &[], None);
        check("MPOL_BIND", "32768", &[], None);
        check("MPOL_BIND", "a", &[], None);
        check("MPOL_LOCAL", "0", &[], None);
        check("MPOL_BIND", "0", &["MPOL_F_X"], None);
        check("", "0", &[], None);
    }
}
