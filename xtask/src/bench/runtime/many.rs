//! A hundred containers as one piece of work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

use super::super::sample::{Contender, command};
use super::bundle::Bundle;
use super::subject::Subject;

pub const CONTAINERS: usize = 100;
/// Each is a median of itself.
pub const ROUNDS: usize = 3;

/// `run` of [`CONTAINERS`], `at_once` of them at the same time.
pub fn contender<'a>(subject: &'a Subject, bundle: &'a Bundle, at_once: usize) -> Contender<'a> {
    Contender::plain(subject.name, move || {
        let next = AtomicUsize::new(0);
        let worker = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CONTAINERS {
                    return Ok(());
                }
                let id = subject.id(&format!("many{number}"));
                let log = subject.log(&format!("many{}", number % at_once.max(1)));
                command(subject.command(&["run", "--bundle", &bundle.path, &id]), &log)?;
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().map_err(|_| anyhow!("a thread of the bench panicked"))?
            })
        })
    })
}
