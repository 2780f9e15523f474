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
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// While one run is held up, many arrive; they share one more run, and its error.
    #[test]
    fn those_who_wait_share_a_run() {
        let group = SyncGroup::default();
        let runs = AtomicU32::new(0);
        let (started, begun) = channel();
        let (release, held) = channel::<()>();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                group.run(|| {
                    started.send(()).unwrap();
                    held.recv().unwrap();
                    Ok(())
                })
            });
            begun.recv().unwrap();
            let count = || {
                group.run(|| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    Err(Errno::IO)
                })
            };
            let others: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
            while group.turn_waiters_may_be_missing(&others) {
                thread::yield_now();
            }
            release.send(()).unwrap();
            assert_eq!(first.join().unwrap(), Ok(()));
            for other in others {
                assert_eq!(other.join().unwrap(), Err(Errno::IO));
            }
        });
        assert!(runs.load(Ordering::Relaxed) >= 1);
    }

    impl SyncGroup {
        /// None of the others can have ended while the first run is held up.
        fn turn_waiters_may_be_missing<T>(&self, others: &[thread::ScopedJoinHandle<'_, T>]) -> bool {
            let state = self.state.lock().unwrap();
            assert!(others.iter().all(|other| !other.is_finished()));
            !state.running
        }
    }
}
