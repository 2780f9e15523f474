//! Removal. The row goes first: from then on the container does not exist, and what is left of its directories
//! belongs to nobody and is cleaned up by this task or by the next reconciliation.

use std::fs;
use std::io::ErrorKind as IoKind;
use std::time::Duration;

use ross_types::ContainerId;

use super::actor::{Actor, Flow};
use super::launch::{snapshot, unmount};
use crate::context::Context;
use crate::db::Durability;
use crate::error::{EngineError, Result};
use crate::model::{ContainerState, RemoveOptions, Signal};
use crate::task::blocking;
use crate::volumes;

/// How long killed processes may take to be gone; the task of the container does nothing else meanwhile.
const LEAVE: Duration = Duration::from_secs(30);

impl Actor {
    pub(super) async fn remove(&mut self, options: RemoveOptions) -> Result<()> {
        if self.state().is_running() || self.state() == ContainerState::Restarting {
            if !options.force {
                let text = format!(
                    "cannot remove container \"{}\": container is {}: stop the container before removing or force remove",
                    self.row.name,
                    self.state()
                );
                return Err(self.refuse(text));
            }
            if self.end_by_force().await? == Flow::Gone {
                return Ok(());
            }
        }
        self.delete(options.volumes, Durability::Full).await
    }

    /// Kills it and sees it end.
    async fn end_by_force(&mut self) -> Result<Flow> {
        self.row.run.stopped_by_hand = true;
        self.call_off_restart();
        if !self.state().is_running() {
            return Ok(Flow::GoOn);
        }
        // What removes it is the removal that is under way; when that gives up, it goes as it would have gone.
        self.keep = true;
        let ended = match self.send(Signal::KILL).await {
            Ok(()) => self.see_end(LEAVE, "remove").await,
            Err(error) => Err(error),
        };
        self.keep &= ended.is_ok();
        ended
    }

    /// Sees the end of what was sent KILL, and all that follows from it; `purpose` is what cannot be done when it does
    /// not end `within` that time.
    pub(super) async fn see_end(&mut self, within: Duration, purpose: &str) -> Result<Flow> {
        let Some(mut exit) = self.exit.take() else { return Ok(Flow::GoOn) };
        match tokio::time::timeout(within, &mut exit).await {
            Ok(told) => Ok(self.exit_told(told.ok()).await),
            Err(_) => {
                // A process in an uninterruptible wait, on a dead network file system, say.
                self.exit = Some(exit);
                let text = format!(
                    "cannot {purpose} container \"{}\": it was sent KILL, and its processes are not gone after {} s",
                    self.row.name,
                    within.as_secs()
                );
                Err(self.refuse(text))
            }
        }
    }

    /// Removes a container that was to go when it ends.
    pub(super) async fn auto_remove(&mut self) -> Flow {
        match self.delete(true, Durability::Relaxed).await {
            Ok(()) => Flow::Gone,
            Err(error) => {
                tracing::error!(container = %self.row.id, error = error.sentence(), "the container is not removed");
                self.follow(ContainerState::Removing);
                self.follow(ContainerState::Dead);
                self.row.run.exited.error = Some(error.sentence());
                self.persist_or_warn(Durability::Relaxed).await;
                self.publish();
                Flow::GoOn
            }
        }
    }

    async fn delete(&mut self, with_volumes: bool, durability: Durability) -> Result<()> {
        let id = self.row.id.clone();
        self.context.db.call(move |db| db.delete_container(&id, durability)).await?;
        self.follow(ContainerState::Removing);
        self.context.registry.remove(&self.row.id);
        self.context.execs.container_removed(&self.row.id);
        let (context, id, layers) = (self.context.clone(), self.row.id.clone(), self.row.layers.clone());
        let anonymous: Vec<String> = if with_volumes {
            volumes::anonymous(&self.config).map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        let removed = blocking(move || {
            let dirs = remove_dirs(&context, &id, &layers);
            // One that another container mounts, too, is that container's now.
            let remove = |name: &String| {
                volumes::remove_unused(name, &context.paths, &context.db, &context.volumes).map(drop)
            };
            let volumes = anonymous.iter().map(remove);
            // Each is tried, whatever the ones before it came to.
            let removed = volumes.fold(dirs, Result::and);
            context.db.keep_reserve();
            removed
        });
        let left = removed.await.err().map(|error| error.sentence());
        if let Some(left) = &left {
            tracing::warn!(container = %self.row.id, error = left, "something of the container is left behind");
        }
        self.tell("destroy", &[]);
        self.publish_gone(left);
        Ok(())
    }
}

/// Removes all directories of a container that does not run and has no row. Repeatable.
pub(crate) fn remove_dirs(context: &Context, id: &ContainerId, layers: &[String]) -> Result<()> {
    unmount(context, id, layers)?;
    let root = context.paths.root_of(id);
    if root.exists() {
        snapshot(context, id, layers)?.remove().map_err(|error| {
            EngineError::new(error.kind(), id.as_str(), "remove its snapshot").caused_by(error)
        })?;
    }
    match fs::remove_dir_all(&root) {
        Err(error) if error.kind() != IoKind::NotFound => Err(EngineError::io("remove", &root, error)),
        _ => Ok(()),
    }
}
