//! One `syncfs` for all layers that are done at the same time.
//!
//! A sync that begins after a layer's last write makes that layer durable, whoever asked for it. So callers who
//! arrive while one runs share the next. An error counts for all who relied on the run that had it: the kernel
//! reports it once.

use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::io::Errno;

/// Syncs of one file system.
#[derive(Debug, Default)]
pub(super) struct SyncGroup {
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// Runs that have begun and that have ended, whatever their result.
    begun: u64,
    ended: u64,
    failed: Option<(u64, Errno)>,
}

impl SyncGroup {
    /// Returns when all that was written to `fd`'s file system before the call is on disk.
    pub(super) fn sync(&self, fd: &OwnedFd) -> rustix::io::Result<()> {
        self.run(|| rustix::fs::syncfs(fd))
    }

    fn run(&self, syncfs: impl FnOnce() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
        // A thread that panicked here held no invariant broken: every field is written in one step.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = state.begun + 1;
        loop {
            if state.ended >= needed {
                return match state.failed {
                    Some((run, errno)) if run >= needed => Err(errno),
                    _ => Ok(()),
                };
            }
            if !state.running {
                break;
            }
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.begun += 1;
        let run = state.begun;
        drop(state);
        let result = syncfs();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = false;
        state.ended = run;
        if let Err(errno) = result {
            state.failed = Some((run, errno));
        }
        self.turn.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    /// Nobody relies on a run that began before they asked, and all who share a run share its error.
    #[test]
    fn who_comes_late_gets_the_next_run() {
        let group = SyncGroup::default();
        let runs = AtomicU32::new(0);
        let (started, release) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                group.run(|| {
                    started.wait();
                    release.wait();
                    Ok(())
                })
            });
            started.wait();
            let late = || {
                group.run(|| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    Err(Errno::IO)
                })
            };
            let others: Vec<_> = (0..8).map(|_| scope.spawn(late)).collect();
            release.wait();
            assert_eq!(first.join().unwrap(), Ok(()));
            for other in others {
                assert_eq!(other.join().unwrap(), Err(Errno::IO));
            }
        });
        assert!((1..=8).contains(&runs.load(Ordering::Relaxed)));
    }
}
