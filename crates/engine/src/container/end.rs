//! The end of a run: recorded, released, and followed by another run, by removal or by nothing.

use ross_shim::client::ClientError;
use ross_shim::exit_record::ExitRecord;
use ross_shim::protocol::Exit;

use super::actor::{Actor, Flow};
use crate::db::Durability;
use crate::model::{ContainerState, Exited, NetworkStatus, Timestamp};

/// The exit code of a container that ended with nobody to say how.
const UNKNOWN_CODE: i32 = 255;

impl Actor {
    /// The shim has told the end, or is gone.
    pub(super) async fn exit_told(&mut self, told: Option<Result<Exit, ClientError>>) -> Flow {
        let exit = match told {
            Some(Ok(exit)) => exit,
            Some(Err(error)) => {
                tracing::warn!(container = %self.row.id, error = &error as &dyn std::error::Error, "the shim is gone");
                self.exit_untold().await
            }
            None => self.exit_untold().await,
        };
        self.run_ended(exit).await
    }

    /// The end of a container whose shim is gone: from its record, else unknown.
    async fn exit_untold(&mut self) -> Exit {
        // Nothing more is to be asked of it.
        self.shim = None;
        let path = self.context.paths.exit_record(&self.row.id);
        let record = tokio::task::spawn_blocking(move || ExitRecord::read(&path).ok().flatten());
        match record.await.ok().flatten() {
            Some(record) => record.into(),
            None => lost(self.row.run.pid, self.row.run.started_at),
        }
    }

    /// Records the end and does what follows from it.
    pub(super) async fn run_ended(&mut self, exit: Exit) -> Flow {
        self.exit = None;
        let shim = self.shim.take();
        self.context.execs.container_ended(&self.row.id);
        self.release(shim).await;

        let started = self.row.run.started_at.unwrap_or_default();
        let finished = match exit.finished_at {
            0 => Timestamp::now(),
            nanos => Timestamp::from_unix_nanos(nanos),
        };
        let run = &mut self.row.run;
        run.pid = 0;
        run.exited = Exited { code: exit.code, oom_killed: exit.oom_killed, error: exit.error };
        run.finished_at = Some(finished);
        self.row.network =
            NetworkStatus { mode: self.config.network.mode.clone(), ..NetworkStatus::default() };
        self.ended += 1;
        if self.row.run.exited.oom_killed {
            self.tell("oom", &[]);
        }
        let duration = finished.since(started);
        let code = self.row.run.exited.code;
        self.tell("die", &[("exitCode", code.to_string()), ("execDuration", duration.as_secs().to_string())]);

        let by_hand = self.row.run.stopped_by_hand;
        if self.config.restart.restarts(code, by_hand, self.row.run.restart_count) {
            let delay = self.backoff.next(duration);
            self.follow(ContainerState::Restarting);
            self.restart_after(delay);
        } else {
            self.follow(ContainerState::Exited);
        }
        if self.config.auto_remove && !self.keep {
            return self.auto_remove().await;
        }
        // The record of the shim is on the disk; this row only repeats it.
        self.persist_or_warn(Durability::Relaxed).await;
        self.publish();
        Flow::GoOn
    }
}

/// The end of a container with nobody to say how.
pub(crate) fn lost(pid: i32, started: Option<Timestamp>) -> Exit {
    Exit {
        pid,
        code: UNKNOWN_CODE,
        signal: None,
        oom_killed: false,
        started_at: started.map_or(0, Timestamp::unix_nanos),
        finished_at: Timestamp::now().unix_nanos(),
        error: Some("it ended while its supervisor was gone, and how is not known".to_owned()),
    }
}
