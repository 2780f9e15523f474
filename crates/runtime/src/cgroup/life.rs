//! What happens to the processes of a cgroup, all at once: freezing, killing, counting, and the end.
//!
//! Waiting is polling `cgroup.events`, which the kernel signals on every change (cgroup-v2.rst), with a deadline.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::create::io;
use super::hierarchy::Directory;
use super::{Cgroup, CgroupError, DEFAULT_PARENT};

/// How long processes may take to freeze: one in an uninterruptible wait does not before that ends.
const FREEZE: Duration = Duration::from_secs(10);
/// How long killed processes may take to be gone.
const LEAVE: Duration = Duration::from_secs(10);

/// Counts of `memory.events`, over the cgroup and all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OomEvents {
    /// How often the limit was hit and reclaim failed.
    pub oom: u64,
    /// How many processes the kernel killed for it.
    pub oom_kill: u64,
    /// How often it killed a whole group (Linux 5.17).
    pub oom_group_kill: u64,
}

impl Cgroup {
    /// Stops every process where it is, and waits until all are.
    ///
    /// When they do not stop in time they go on running, and it is [`CgroupError::TimedOut`].
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let events = Events::open(&self.directory).map_err(io("open the events", self.path.as_str()))?;
        self.set_frozen("1")?;
        match events.wait_for("frozen 1", Instant::now() + FREEZE) {
            Ok(true) => Ok(()),
            result => {
                self.set_frozen("0")?;
                result.map_err(io("freeze", self.path.as_str()))?;
                Err(CgroupError::TimedOut { state: "frozen", path: self.path.to_string() })
            }
        }
    }

    /// Lets every process go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.set_frozen("0")
    }

    /// Whether its processes are frozen, by itself or by a cgroup above.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.has_event("frozen 1")
    }

    /// Whether there is a process in it or below it.
    pub fn is_populated(&self) -> Result<bool, CgroupError> {
        self.has_event("populated 1")
    }

    /// Sends SIGKILL to every process in it and below it, frozen ones and those being forked included (Linux 5.14). In
    /// one that is gone there is none.
    pub fn kill(&self) -> Result<(), CgroupError> {
        match self.directory.write("cgroup.kill", "1") {
            // systemd removes its own as soon as they are empty.
            Err(Errno::NODEV | Errno::NOENT) => Ok(()),
            result => result.map_err(io("kill the processes", self.path.as_str())),
        }
    }

    /// Waits until no process is left, or the deadline has passed; whether none is.
    pub fn wait_empty(&self, deadline: Instant) -> Result<bool, CgroupError> {
        let events = Events::open(&self.directory).map_err(io("open the events", self.path.as_str()))?;
        events.wait_for("populated 0", deadline).map_err(io("wait for the processes", self.path.as_str()))
    }

    /// The ids of all processes in it and below it, as seen from the pid namespace of the caller. One that is not
    /// visible there is 0.
    pub fn pids(&self) -> Result<Vec<i32>, CgroupError> {
        let mut pids = Vec::new();
        let mut open = vec![String::new()];
        while let Some(below) = open.pop() {
            match pids_of(&self.directory, &below, &mut pids, &mut open) {
                // Removed meanwhile.
                Err(Errno::NOENT | Errno::NODEV) if !below.is_empty() => {}
                result => result.map_err(io("list the processes", self.path.as_str()))?,
            }
        }
        Ok(pids)
    }

    /// How often memory ran out. Zeros where nothing counts it.
    pub fn oom_events(&self) -> Result<OomEvents, CgroupError> {
        let text = match self.directory.read("memory.events") {
            Err(Errno::NOENT) => return Ok(OomEvents::default()),
            result => result.map_err(io("read the memory events", self.path.as_str()))?,
        };
        let mut events = OomEvents::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let value = value.parse().unwrap_or(0);
            match key {
                "oom" => events.oom = value,
                "oom_kill" => events.oom_kill = value,
                "oom_group_kill" => events.oom_group_kill = value,
                _ => {}
            }
        }
        Ok(events)
    }

    /// Kills every process, and removes the cgroup with all below it. One that is gone already is fine.
    ///
    /// The cgroup that ross made above all its containers goes with the last of them; any other is its maker's.
    pub fn remove(self) -> Result<(), CgroupError> {
        self.remove_itself()?;
        if let Some(unit) = &self.unit {
            return super::systemd::stop(unit);
        }
        let (above, _) = self.path.split();
        if above == DEFAULT_PARENT {
            // Another container is in it, or it is gone: both are as they should be. One that is being made comes to
            // nothing and is tried again.
            let _ = self.hierarchy.root.remove(above);
        }
        Ok(())
    }

    fn remove_itself(&self) -> Result<(), CgroupError> {
        let (above, name) = self.path.split();
        let parent = match self.hierarchy.root.open(above) {
            Err(Errno::NOENT) => return Ok(()),
            result => result.map_err(io("open", self.path.as_str()))?,
        };
        match parent.remove(name) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(io("remove", self.path.as_str())(errno)),
        }
        let deadline = Instant::now() + LEAVE;
        self.kill()?;
        let events = match Events::open(&self.directory) {
            Err(Errno::NODEV | Errno::NOENT) => return Ok(()),
            result => result.map_err(io("open the events", self.path.as_str()))?,
        };
        // The first waits are short: what follows on a kill is a matter of microseconds, and after `populated 0` the
        // kernel may need a moment to let go.
        let mut pause = Duration::from_millis(1);
        loop {
            if !events
                .wait_for("populated 0", deadline)
                .map_err(io("wait for the processes", self.path.as_str()))?
            {
                return Err(CgroupError::TimedOut { state: "empty", path: self.path.to_string() });
            }
            match remove_below(&self.directory).and_then(|()| parent.remove(name)) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
                Err(Errno::BUSY) if Instant::now() < deadline => {
                    events
                        .wait_for_change(pause)
                        .map_err(io("wait for the processes", self.path.as_str()))?;
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(errno) => return Err(io("remove", self.path.as_str())(errno)),
            }
        }
    }

    fn set_frozen(&self, value: &str) -> Result<(), CgroupError> {
        self.directory.write("cgroup.freeze", value).map_err(io("freeze or thaw", self.path.as_str()))
    }

    fn has_event(&self, event: &str) -> Result<bool, CgroupError> {
        let events =
            self.directory.read("cgroup.events").map_err(io("read the events", self.path.as_str()))?;
        Ok(events.lines().any(|line| line == event))
    }
}

fn pids_of(top: &Directory, below: &str, pids: &mut Vec<i32>, open: &mut Vec<String>) -> Result<(), Errno> {
    let directory = top.open(below)?;
    match directory.read("cgroup.procs") {
        // The processes of a threaded cgroup are listed at the root of its threaded tree.
        Err(Errno::OPNOTSUPP) => {}
        text => pids.extend(text?.lines().filter_map(|line| line.parse::<i32>().ok())),
    }
    let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
    open.extend(directory.children()?.into_iter().map(|child| format!("{prefix}{child}")));
    Ok(())
}

/// Removes every cgroup below one that has no processes left. A container may have nested them thousands deep: the walk
/// holds one directory at a time, and a name for each level.
fn remove_below(top: &Directory) -> Result<(), Errno> {
    let mut names: Vec<String> = Vec::new();
    let mut at = top.open("")?;
    loop {
        let down = at.children()?.pop();
        if let Some(child) = down {
            match at.open(&child) {
                Ok(directory) => {
                    at = directory;
                    names.push(child);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        } else if let Some(name) = names.pop() {
            at = at.parent()?;
            match at.remove(&name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        } else {
            return Ok(());
        }
    }
}

/// `cgroup.events`, held open.
struct Events(OwnedFd);

impl Events {
    fn open(directory: &Directory) -> Result<Self, Errno> {
        directory.open_file("cgroup.events", OFlags::RDONLY).map(Self)
    }

    /// Waits until the file has this line; false when the deadline comes first. A cgroup that is gone has no processes.
    fn wait_for(&self, line: &str, deadline: Instant) -> Result<bool, Errno> {
        loop {
            let mut text = [0; 256];
            let count = match rustix::io::pread(&self.0, &mut text, 0) {
                Err(Errno::NODEV) => return Ok(true),
                Err(Errno::INTR) => continue,
                result => result?,
            };
            if text[..count].split(|&byte| byte == b'\n').any(|found| found == line.as_bytes()) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.wait_for_change(left)?;
        }
    }

    /// Waits until the file changes after it was last read, at most this long.
    fn wait_for_change(&self, most: Duration) -> Result<(), Errno> {
        let mut fds = [PollFd::new(&self.0, PollFlags::PRI)];
        let timeout = Timespec::try_from(most).map_err(|_| Errno::INVAL)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}
