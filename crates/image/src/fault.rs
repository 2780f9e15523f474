//! Failure points: with the feature `faults`, a test chooses one at which the process dies or hangs, or a call fails.
//!
//! Without the feature [`reach`] is empty and nothing of this is left in the program.

use rustix::io::Errno;

use crate::durable::Step;

/// On which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// It has not begun.
    Before,
    /// It has taken effect, and nobody knows yet.
    After,
}

/// Passes a point; fails or does not return if a test wants it so.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) fn reach(_: Step, _: Moment) -> Result<(), Errno> {
    Ok(())
}

#[cfg(feature = "faults")]
pub(crate) use armed::reach;
#[cfg(feature = "faults")]
pub use armed::{Action, arm, disarm};

#[cfg(feature = "faults")]
mod armed {
    use std::io::{self, Write as _};
    use std::sync::{Mutex, PoisonError};

    use super::{Errno, Moment, Step};

    /// What happens at the point that was chosen.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Action {
        /// Nothing: the points are only counted.
        Pass,
        /// SIGKILL for this process.
        Die,
        /// A line on standard output that says so, and no return: whoever reads it cuts the power.
        Hang,
        /// The call fails with this errno, once: a disk that is full until something goes.
        FailOnce(i32),
        /// This call and all later ones fail with this errno: a file system that went read-only.
        FailFromHere(i32),
    }

    #[derive(Debug)]
    struct Plan {
        /// Which point of those passed since [`arm`], from 1.
        at: usize,
        action: Action,
        passed: Vec<(Step, Moment)>,
    }

    static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

    /// From now on points are counted, and `action` happens at the one with the number `at`, from 1.
    pub fn arm(at: usize, action: Action) {
        *PLAN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Plan { at, action, passed: Vec::new() });
    }

    /// Ends it; answers the points that were passed, in their order.
    pub fn disarm() -> Vec<(Step, Moment)> {
        let plan = PLAN.lock().unwrap_or_else(PoisonError::into_inner).take();
        plan.map(|plan| plan.passed).unwrap_or_default()
    }

    pub(crate) fn reach(step: Step, moment: Moment) -> Result<(), Errno> {
        let mut plan = PLAN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(plan) = plan.as_mut() else { return Ok(()) };
        plan.passed.push((step, moment));
        let number = plan.passed.len();
        match plan.action {
            Action::Die if number == plan.at => die(),
            Action::Hang if number == plan.at => hang(step, moment),
            Action::FailOnce(errno) if number == plan.at => Err(errno_of(errno)),
            Action::FailFromHere(errno) if number >= plan.at => Err(errno_of(errno)),
            _ => Ok(()),
        }
    }

    fn errno_of(raw: i32) -> Errno {
        Errno::from_io_error(&io::Error::from_raw_os_error(raw)).unwrap_or(Errno::IO)
    }

    /// Everybody else who comes to a point waits, too: the plan is locked.
    fn hang(step: Step, moment: Moment) -> ! {
        let mut stdout = io::stdout().lock();
        // Who cannot be told does not cut, and the test ends by its deadline.
        let _ = writeln!(stdout, "== hangs at {step:?} {moment:?} ==").and_then(|()| stdout.flush());
        loop {
            std::thread::park();
        }
    }

    /// As abrupt as a crash: nothing is dropped, flushed or said.
    fn die() -> ! {
        let own = rustix::process::getpid();
        loop {
            // SIGKILL cannot be refused by its own process.
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
    }
}
