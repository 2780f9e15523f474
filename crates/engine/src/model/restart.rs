//! Restart policies: whether a container that ended is started again, and how long to wait.
//!
//! Back-off is Docker's: 100 ms, doubling to a minute, from the start again after 10 s of running.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::EngineError;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
const RUN_THAT_RESETS: Duration = Duration::from_secs(10);

/// What to do when a container ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum RestartPolicy {
    /// Leave it.
    #[default]
    No,
    /// Start it again, and when the daemon starts.
    Always,
    /// The same, unless somebody stopped it.
    UnlessStopped,
    /// Start it again when its exit code is not 0.
    OnFailure {
        /// Tries; 0 is no bound.
        max_retries: u32,
    },
}

impl RestartPolicy {
    /// The policy with this name, as people type it.
    ///
    /// # Errors
    /// For another word, or a bound on a policy that takes none.
    pub fn parse(name: &str, max_retries: u32) -> Result<Self, EngineError> {
        let policy = match name {
            "" | "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => return Ok(Self::OnFailure { max_retries }),
            other => {
                let reason = format!("`{other}` is none of no, always, unless-stopped, on-failure");
                return Err(EngineError::invalid("restart policy", reason));
            }
        };
        if max_retries == 0 {
            return Ok(policy);
        }
        Err(EngineError::invalid(
            "restart policy",
            format!("a maximum of retries cannot be used with `{name}`"),
        ))
    }

    /// The word people type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { .. } => "on-failure",
        }
    }

    /// The bound on tries; 0 is none.
    #[must_use]
    pub fn max_retries(self) -> u32 {
        if let Self::OnFailure { max_retries } = self { max_retries } else { 0 }
    }

    /// Whether a run that ended with `code` after `failures` restarts in a row is followed by another.
    #[must_use]
    pub fn restarts(self, code: i32, stopped_by_hand: bool, failures: u32) -> bool {
        if stopped_by_hand {
            return false;
        }
        match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure { max_retries } => code != 0 && (max_retries == 0 || failures < max_retries),
        }
    }

    /// Whether the daemon starts it when the daemon itself starts and finds it ended; `restart_was_due` when it was
    /// to be started again, and the daemon ended first.
    #[must_use]
    pub fn starts_with_daemon(self, restart_was_due: bool, code: i32, stopped_by_hand: bool) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::UnlessStopped => !stopped_by_hand,
            Self::OnFailure { .. } => restart_was_due && code != 0 && !stopped_by_hand,
        }
    }
}

/// How long to wait before the next restart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    last: Duration,
}

impl Backoff {
    /// The delay before the restart that follows a run of this length.
    pub(crate) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= RUN_THAT_RESETS {
            *self = Self::default();
        }
        self.last = if self.last.is_zero() { FIRST_DELAY } else { (self.last * 2).min(LONGEST_DELAY) };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_decide() {
        let check = |policy: RestartPolicy, code, by_hand, failures, restarts| {
            assert_eq!(
                policy.restarts(code, by_hand, failures),
                restarts,
                "{policy:?} {code} {by_hand} {failures}"
            );
        };
        check(RestartPolicy::No, 1, false, 0, false);
        check(RestartPolicy::Always, 0, false, 99, true);
        check(RestartPolicy::Always, 0, true, 0, false);
        check(RestartPolicy::UnlessStopped, 1, false, 0, true);
        check(RestartPolicy::OnFailure { max_retries: 0 }, 1, false, 1000, true);
        check(RestartPolicy::OnFailure { max_retries: 2 }, 1, false, 1, true);
        check(RestartPolicy::OnFailure { max_retries: 2 }, 1, false, 2, false);
        check(RestartPolicy::OnFailure { max_retries: 2 }, 0, false, 0, false);
        assert!(RestartPolicy::Always.starts_with_daemon(false, 0, true));
        assert!(!RestartPolicy::UnlessStopped.starts_with_daemon(false, 0, true));
        assert!(RestartPolicy::UnlessStopped.starts_with_daemon(true, 0, false));
        assert!(!RestartPolicy::OnFailure { max_retries: 0 }.starts_with_daemon(true, 0, false));
        assert!(RestartPolicy::OnFailure { max_retries: 0 }.starts_with_daemon(true, 1, false));
        assert!(!RestartPolicy::OnFailure { max_retries: 0 }.starts_with_daemon(false, 1, false));
    }

    #[test]
    fn back_off_doubles_to_a_minute_and_resets() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let delays: Vec<u64> =
            (0..12).map(|_| u64::try_from(backoff.next(short).as_millis()).unwrap()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(backoff.next(Duration::from_secs(10)), FIRST_DELAY);
    }

    #[test]
    fn policy_names() {
        for name in ["no", "always", "unless-stopped", "on-failure"] {
            assert_eq!(RestartPolicy::parse(name, 0).unwrap().name(), name);
        }
        assert_eq!(RestartPolicy::parse("on-failure", 3).unwrap().max_retries(), 3);
        assert!(RestartPolicy::parse("always", 3).is_err());
        assert!(RestartPolicy::parse("sometimes", 0).is_err());
    }
}
