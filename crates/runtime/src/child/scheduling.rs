//! CPUs, scheduler and I/O priority of this process, while it still has the rights of the runtime.

use rustix::thread::CpuSet;

use crate::plan::SchedulingPlan;

use super::report::{At, Stage, Step};

/// Runs on these CPUs; without any named on all that the cgroup has, and not only those the runtime was kept to.
pub(super) fn choose_cpus(named: Option<&CpuSet>) -> Step<()> {
    match named {
        Some(cpus) => rustix::thread::sched_setaffinity(None, cpus).at(Stage::Affinity),
        None => {
            // Where even that is forbidden (by a filter around the runtime) it stays where it is, as with runc.
            let _ = ross_sys::sched::use_all_cpus();
            Ok(())
        }
    }
}

pub(super) fn apply(plan: &SchedulingPlan) -> Step<()> {
    if let Some(attributes) = &plan.scheduler {
        ross_sys::sched::set_scheduler(0, attributes).at(Stage::Scheduler)?;
    }
    if let Some((class, priority)) = plan.io_priority {
        ross_sys::sched::set_io_priority(0, class, priority).at(Stage::IoPriority)?;
    }
    Ok(())
}
