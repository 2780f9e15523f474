//! Signals, freezing, renaming, attaching: commands to a container that exists.

use std::time::Duration;

use ross_shim::client::ShimClient;
use ross_types::ContainerName;

use super::actor::{Actor, Flow};
use crate::attach::{AttachSession, PendingAttach, shim_size};
use crate::db::Durability;
use crate::error::{EngineError, Result};
use crate::model::{AttachOptions, ContainerState, Signal, TerminalSize};

/// How long a container that was killed may take to be gone; Docker's bound.
const GONE: Duration = Duration::from_secs(10);

impl Actor {
    /// The first half of a stop. False when it does not run.
    pub(super) async fn stop(&mut self, signal: Signal, keep: bool) -> Result<bool> {
        match self.state() {
            ContainerState::Restarting => {
                self.call_off_restart();
                self.row.run.stopped_by_hand = true;
                self.step(ContainerState::Exited)?;
                // Whoever waits for the end of a run waits for no other.
                self.ended += 1;
                self.persist(self.durability()).await?;
                self.publish();
                Ok(true)
            }
            state if state.is_running() => {
                self.keep = keep;
                self.by_hand().await?;
                self.send(signal).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Sends a signal. After KILL nothing of it runs any more: whoever killed it may start or remove it at once.
    pub(super) async fn kill(&mut self, signal: Signal) -> Result<Flow> {
        if !self.state().is_running() {
            let text =
                format!("cannot kill container: {}: container {} is not running", self.row.name, self.row.id);
            return Err(self.refuse(text));
        }
        if signal.is_fatal() {
            self.by_hand().await?;
        }
        self.send(signal).await?;
        self.tell("kill", &[("signal", signal.number().to_string())]);
        if signal == Signal::KILL { self.see_end(GONE, "kill").await } else { Ok(Flow::GoOn) }
    }

    /// Remembers that somebody wants it to end.
    async fn by_hand(&mut self) -> Result<()> {
        if self.row.run.stopped_by_hand {
            return Ok(());
        }
        self.row.run.stopped_by_hand = true;
        self.persist(self.durability()).await
    }

    fn shim(&self) -> Result<&ShimClient> {
        self.shim.as_ref().ok_or_else(|| EngineError::not_running(self.row.name.as_str()))
    }

    fn shim_failed(&self, what: &str, error: ross_shim::client::ClientError) -> EngineError {
        EngineError::new(
            error.kind(),
            self.row.id.as_str(),
            format!("cannot {what} container {}", self.row.name),
        )
        .caused_by(error)
    }

    /// Sends a signal; one that is meant to end it thaws it, too.
    pub(super) async fn send(&mut self, signal: Signal) -> Result<()> {
        let shim = self.shim()?.clone();
        match shim.signal(None, signal.number()).await {
            Ok(()) => {}
            // It has ended meanwhile: what was wanted. Its end is on the way.
            Err(error) if error.kind() == ross_types::ErrorKind::FailedPrecondition && signal.is_fatal() => {}
            Err(error) => return Err(self.shim_failed("signal", error)),
        }
        if self.state() == ContainerState::Paused && signal.is_fatal() {
            match self.unpause().await {
                // KILL ends frozen processes, too: there may be nothing left to thaw. Its end is on the way.
                Err(error) if error.kind() == ross_types::ErrorKind::FailedPrecondition => {}
                done => done?,
            }
        }
        Ok(())
    }

    pub(super) async fn pause(&mut self) -> Result<()> {
        match self.state() {
            ContainerState::Running => {}
            ContainerState::Paused => {
                return Err(self.refuse(format!("container {} is already paused", self.row.name)));
            }
            _ => return Err(EngineError::not_running(self.row.name.as_str())),
        }
        self.shim()?.pause().await.map_err(|error| self.shim_failed("pause", error))?;
        self.step(ContainerState::Paused)?;
        self.persist_or_warn(Durability::Relaxed).await;
        self.publish();
        self.tell("pause", &[]);
        Ok(())
    }

    pub(super) async fn unpause(&mut self) -> Result<()> {
        if self.state() != ContainerState::Paused {
            return Err(self.refuse(format!("container {} is not paused", self.row.name)));
        }
        self.shim()?.resume().await.map_err(|error| self.shim_failed("unpause", error))?;
        self.step(ContainerState::Running)?;
        self.persist_or_warn(Durability::Relaxed).await;
        self.publish();
        self.tell("unpause", &[]);
        Ok(())
    }

    pub(super) async fn rename(&mut self, name: &str) -> Result<()> {
        let bare = name.strip_prefix('/').unwrap_or(name);
        let new: ContainerName = bare.parse().map_err(|error| EngineError::invalid("new_name", error))?;
        if new == self.row.name {
            return Err(EngineError::invalid(
                "new_name",
                "renaming a container with the same name as its current name",
            ));
        }
        if matches!(self.state(), ContainerState::Dead | ContainerState::Removing) {
            return Err(self.refuse("container is marked for removal and cannot be renamed".to_owned()));
        }
        let id = self.row.id.clone();
        self.context.registry.reserve_name(&new, &id)?;
        let written = self.context.db.call({
            let (id, new) = (id.clone(), new.clone());
            move |db| db.rename_container(&id, &new)
        });
        if let Err(error) = written.await {
            self.context.registry.release_name(&new, &id);
            return Err(error.into());
        }
        let old = std::mem::replace(&mut self.row.name, new);
        self.context.registry.release_name(&old, &id);
        self.publish();
        self.tell("rename", &[("oldName", old.to_string())]);
        Ok(())
    }

    pub(super) async fn resize(&mut self, size: TerminalSize) -> Result<()> {
        if !self.state().is_running() {
            return Err(EngineError::not_running(self.row.name.as_str()));
        }
        self.shim()?.resize(None, shim_size(size)).await.map_err(|error| self.shim_failed("resize", error))
    }

    /// Connects a client at once when it runs, else when it starts.
    pub(super) async fn attach(&mut self, options: AttachOptions) -> Result<AttachSession> {
        if matches!(self.state(), ContainerState::Dead | ContainerState::Removing) {
            return Err(self.refuse("container is marked for removal and cannot be attached to".to_owned()));
        }
        if self.state() == ContainerState::Paused {
            return Err(self.refuse(format!(
                "container {} is paused, unpause the container before attach",
                self.row.name
            )));
        }
        let Some(shim) = self.shim.clone() else {
            let (session, pending) = PendingAttach::new(options);
            self.pending.retain(|pending| !pending.is_closed());
            self.pending.push(pending);
            return Ok(session);
        };
        let session = AttachSession::connect(&shim, options)
            .await
            .map_err(|error| self.shim_failed("attach to", error))?;
        self.tell("attach", &[]);
        Ok(session)
    }

    /// Connects those who came before the start.
    pub(super) async fn connect_pending(&mut self, shim: &ShimClient) {
        for pending in self.pending.drain(..) {
            if let Err(error) = pending.connect(shim).await {
                tracing::warn!(container = %self.row.id, error = &error as &dyn std::error::Error, "a client is not attached");
            }
        }
    }
}
