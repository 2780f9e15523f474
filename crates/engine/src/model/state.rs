//! The life of a container: its states, the one table of steps between them, and what a run left behind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Exited, Timestamp};
use crate::EngineError;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Never started, or its first start failed.
    #[default]
    Created,
    /// Its main process runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended; its restart policy will start it again.
    Restarting,
    /// Ended.
    Exited,
    /// Removal failed half-way; only removal is left.
    Dead,
    /// Being removed.
    Removing,
}

/// A step the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a container cannot go from {from} to {to}")]
pub struct IllegalTransition {
    from: ContainerState,
    to: ContainerState,
}

impl ContainerState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Exited,
        Self::Dead,
        Self::Removing,
    ];

    /// The word people type and see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Removing => "removing",
        }
    }

    /// The states that may follow.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Created => &[Self::Running, Self::Removing],
            Self::Running => &[Self::Paused, Self::Restarting, Self::Exited],
            Self::Paused => &[Self::Running, Self::Restarting, Self::Exited],
            // A restart that fails, or one that is called off.
            Self::Restarting => &[Self::Running, Self::Exited, Self::Removing],
            Self::Exited => &[Self::Running, Self::Removing],
            Self::Dead => &[Self::Removing],
            Self::Removing => &[Self::Dead],
        }
    }

    /// The next state, when the table has the step.
    ///
    /// # Errors
    /// When it has not.
    pub fn step(self, to: Self) -> Result<Self, IllegalTransition> {
        if self.next().contains(&to) { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }

    /// Whether its main process exists.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for ContainerState {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            EngineError::invalid("container state", format!("`{text}` is none of {words}"))
        })
    }
}

/// State, and what is known of the present or last run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Where it is in its life.
    pub state: ContainerState,
    /// In the host's PID namespace; 0 when it does not run.
    pub pid: i32,
    /// How the last run ended.
    pub exited: Exited,
    /// When the present or last run began.
    pub started_at: Option<Timestamp>,
    /// When the last run ended.
    pub finished_at: Option<Timestamp>,
    /// How often the restart policy started it again.
    pub restart_count: u32,
    /// Somebody stopped it: `unless-stopped` leaves it alone.
    pub stopped_by_hand: bool,
}

impl Run {
    /// Takes a step of the table.
    ///
    /// # Errors
    /// When the table has not got it; the state stays.
    pub fn step(&mut self, to: ContainerState) -> Result<(), IllegalTransition> {
        self.state = self.state.step(to)?;
        Ok(())
    }

    /// Goes to a state that a run has reached while nobody looked: by way of running.
    ///
    /// # Errors
    /// When no way leads from the state to a run; the state stays.
    pub fn catch_up(&mut self, to: ContainerState) -> Result<(), IllegalTransition> {
        let before = self.state;
        for state in [ContainerState::Running, to] {
            if self.state == state {
                continue;
            }
            if let Err(error) = self.step(state) {
                self.state = before;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What a waiting client waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Answers at once if it does not run.
    #[default]
    NotRunning,
    /// The end of the present or next run.
    NextExit,
    /// Until it is gone.
    Removed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_these_steps_and_no_others() {
        use ContainerState::*;
        let legal = [
            (Created, Running),
            (Created, Removing),
            (Running, Paused),
            (Running, Restarting),
            (Running, Exited),
            (Paused, Running),
            (Paused, Restarting),
            (Paused, Exited),
            (Restarting, Running),
            (Restarting, Exited),
            (Restarting, Removing),
            (Exited, Running),
            (Exited, Removing),
            (Dead, Removing),
            (Removing, Dead),
        ];
        for from in ContainerState::ALL {
            for to in ContainerState::ALL {
                assert_eq!(from.step(to).is_ok(), legal.contains(&(from, to)), "{from} -> {to}");
            }
            assert_eq!(from.as_str().parse::<ContainerState>().unwrap(), from);
        }
        assert!("up".parse::<ContainerState>().is_err());
    }

    #[test]
    fn a_run_that_nobody_saw_is_caught_up_with() {
        use ContainerState::*;
        let check = |from, to, then: Option<ContainerState>| {
            let mut run = Run { state: from, ..Run::default() };
            assert_eq!(run.catch_up(to).is_ok(), then.is_some(), "{from} -> {to}");
            assert_eq!(run.state, then.unwrap_or(from), "{from} -> {to}");
        };
        for from in [Created, Running, Paused, Restarting, Exited] {
            check(from, Running, Some(Running));
            check(from, Paused, Some(Paused));
        }
        check(Dead, Running, None);
        check(Removing, Paused, None);
    }
}
