//! Scheduler and I/O priority of this process, while it still has the rights of the runtime.

use crate::plan::SchedulingPlan;

use super::report::{At, Stage, Step};

pub(super) fn apply(plan: &SchedulingPlan) -> Step<()> {
    if let Some(attributes) = &plan.scheduler {
        ross_sys::sched::set_scheduler(0, attributes).at(Stage::Scheduler)?;
    }
    if let Some((class, priority)) = plan.io_priority {
        ross_sys::sched::set_io_priority(0, class, priority).at(Stage::IoPriority)?;
    }
    Ok(())
}
