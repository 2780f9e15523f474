//! Waiting for news of a cgroup: memory that ran out, and the end of its last process.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::create::io;
use super::{Cgroup, CgroupError};

/// What a [`Watch`] waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The time was up.
    Nothing,
    /// The kernel killed a process because memory ran out.
    OutOfMemory,
    /// There is no process left, or no cgroup.
    Empty,
}

/// The files whose changes are the news. Where nothing counts memory, it does not run out.
#[derive(Debug)]
pub struct Watch {
    path: String,
    events: OwnedFd,
    memory: Option<OwnedFd>,
    kills: u64,
}

impl Cgroup {
    /// Watches the cgroup from now on.
    pub fn watch(&self) -> Result<Watch, CgroupError> {
        let open = |file| self.directory.open_file(file, OFlags::RDONLY);
        let memory = match open("memory.events") {
            Err(Errno::NOENT) => None,
            result => Some(result.map_err(io("open the memory events", self.path.as_str()))?),
        };
        let kills = memory.as_ref().map_or(0, |file| counter(file, b"oom_kill").unwrap_or(0));
        let events = open("cgroup.events").map_err(io("open the events", self.path.as_str()))?;
        Ok(Watch { path: self.path.to_string(), events, memory, kills })
    }
}

impl Watch {
    /// Waits for the next news, at most until the deadline.
    pub fn wait(&mut self, deadline: Instant) -> Result<News, CgroupError> {
        loop {
            // First what may have led to the end, then the end.
            let kills = self.memory.as_ref().and_then(|file| counter(file, b"oom_kill")).unwrap_or(0);
            if kills > self.kills {
                self.kills = kills;
                return Ok(News::OutOfMemory);
            }
            if counter(&self.events, b"populated").unwrap_or(0) == 0 {
                return Ok(News::Empty);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(News::Nothing);
            }
            let failed = |errno| io("wait for events", &self.path)(errno);
            let timeout = Timespec::try_from(left).map_err(|_| failed(Errno::INVAL))?;
            let files = std::iter::once(&self.events).chain(&self.memory);
            let mut fds: Vec<_> = files.map(|file| PollFd::new(file, PollFlags::PRI)).collect();
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

/// One counter of a flat-keyed file. Reading it here is what the next poll counts changes from. None when the cgroup is
/// gone.
fn counter(file: &OwnedFd, name: &[u8]) -> Option<u64> {
    let mut text = [0; 512];
    let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut text, 0)).ok()?;
    let mut lines = text[..count].split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b" "))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
