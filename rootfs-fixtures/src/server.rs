//! A server process that is up when it has been started, and ended with SIGTERM when it is dropped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(180);

/// A running server.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts `command` and waits until `reached` says it answers; a failure carries the last line of `log`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub fn start(mut command: Command, log: &Path, reached: impl Fn() -> bool) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut server = Self(command.spawn().with_context(|| format!("start {name}"))?);
        let deadline = Instant::now() + PATIENCE;
        while !reached() {
            let ended = server.0.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let text = fs::read_to_string(log).unwrap_or_default();
                bail!("{name} did not come up: {}", text.lines().last().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}
