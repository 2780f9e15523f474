//! Ends: children are reaped, the rest of their output is read, and then everyone is told.

use std::time::{Duration, Instant};

use ross_sys::error::with_sources;
use rustix::process::{WaitOptions, wait};

use super::connection::{Attachment, Mode};
use super::container;
use super::serve::{Supervisor, now};
use super::session::CONTAINER;
use crate::exit_record::ExitRecord;
use crate::protocol::{Exit, OutputFrame, Response};

/// How long output is awaited from processes that outlive the one whose streams they hold, as in Docker.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Takes note of every child that ended. Those of no session are orphans that this subreaper inherited.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let finished_at = now();
            let Some(session) =
                self.sessions.iter_mut().find(|session| session.pid == pid && session.is_running())
            else {
                continue;
            };
            let exit = Exit::of_program(pid, status.exit_status(), status.terminating_signal());
            session.ended = Some(Exit { started_at: session.started_at, finished_at, ..exit });
            session.deadline = Some(Instant::now() + OUTPUT_PATIENCE);
            session.process = None;
            // The end does not wait for clients.
            session.held = false;
            session.watch_outputs(&self.poll);
            let id = session.id;
            if id == CONTAINER {
                self.kill_the_rest();
            }
            self.finish_if_drained(id);
        }
    }

    /// When the next patience ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.sessions.iter().filter_map(|session| session.deadline).min()
    }

    /// Ends the patience with output that has not come.
    pub(super) fn give_up_on_overdue_output(&mut self) {
        let Some(next) = self.next_deadline() else { return };
        let now = Instant::now();
        if next > now {
            return;
        }
        for session in &mut self.sessions {
            if session.deadline.is_some_and(|deadline| deadline <= now) {
                session.close_streams(&self.poll);
            }
        }
        let ids: Vec<u32> = self.sessions.iter().map(|session| session.id).collect();
        for id in ids {
            self.finish_if_drained(id);
        }
    }

    /// Tells everyone of the end of a program, once all it wrote was read.
    pub(super) fn finish_if_drained(&mut self, id: u32) {
        let Some(session) = self.session(id).filter(|session| session.is_drained()) else { return };
        let Some(mut exit) = session.ended.take() else { return };
        session.deadline = None;
        if id == CONTAINER {
            self.record(&mut exit);
        }
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.close_streams(&self.poll);
            session.exit = Some(exit.clone());
        }
        self.tell(id, &exit);
        if id == CONTAINER {
            self.delete_container();
        }
    }

    /// The first process took its pid namespace with it; where it had none of its own, the others are ended
    /// here.
    fn kill_the_rest(&mut self) {
        if let Some(container) = &self.container
            && let Err(failure) = container::kill_all(container)
        {
            self.note(&format!("end the container's other processes: {}", failure.text));
        }
    }

    /// Completes the log and writes the exit record. Whatever goes wrong is told with the exit.
    fn record(&mut self, exit: &mut Exit) {
        exit.error = self.log.take().and_then(|mut log| log.finish(exit.finished_at));
        exit.oom_killed = self.container.as_ref().is_some_and(container::was_oom_killed);
        let path = &self.config.exit_record;
        if let Err(error) = ExitRecord::from(&*exit).write(path, self.config.durable) {
            let text = format!("write the exit record {}: {error}", path.display());
            self.note(&text);
            exit.error.get_or_insert(text);
        }
    }

    fn tell(&mut self, id: u32, exit: &Exit) {
        for connection in &mut self.connections {
            match connection.mode {
                Mode::Waiting(session) if session == id => {
                    connection.respond(&Response::Exited(exit.clone()));
                    connection.mode = Mode::Ready;
                }
                Mode::Attached(Attachment { session, .. }) if session == id => {
                    connection.queue_last(&OutputFrame::Exited(exit.clone()));
                }
                _ => continue,
            }
            connection.flush();
            connection.settle(&self.poll, true);
        }
    }

    /// Releases the cgroup and the runtime's state: nothing of the container is needed any more.
    fn delete_container(&mut self) {
        self.paused = false;
        if let Some(container) = self.container.take()
            && let Err(error) = container.delete(true)
        {
            self.note(&format!("delete the container: {}", with_sources(&error)));
        }
        self.trim = true;
    }
}
