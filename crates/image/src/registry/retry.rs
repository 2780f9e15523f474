//! Failures in a row, and when they are enough.

use std::time::Duration;

use super::RegistryError;
use super::client::HttpClient;

/// Counts the failures of one piece of work.
#[derive(Debug)]
pub(super) struct Retry<'a> {
    http: &'a HttpClient,
    failures: u32,
}

impl<'a> Retry<'a> {
    pub(super) fn new(http: &'a HttpClient) -> Self {
        Self { http, failures: 0 }
    }

    /// Waits until the next attempt, no less than was `asked` for; gives the error back when none is to be made.
    pub(super) async fn next(
        &mut self,
        error: RegistryError,
        asked: Option<Duration>,
    ) -> Result<(), RegistryError> {
        self.failures += 1;
        if !error.is_passing() || self.failures >= self.http.config.attempts {
            return Err(error.after(self.failures));
        }
        tokio::time::sleep(self.http.delay(self.failures, asked)).await;
        Ok(())
    }

    /// There was progress: the failures before it do not count.
    pub(super) fn forget(&mut self) {
        self.failures = 0;
    }
}
