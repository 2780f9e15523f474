//! Containers: made, started, stopped, looked at, removed.

use std::time::Duration;

use super::Engine;
use crate::container::{Command, ExitWait, Handle};
use crate::error::{EngineError, Result};
use crate::model::{
    ContainerDetails, ContainerSummary, CreateRequest, Created, EventKind, ListQuery, RemoveOptions, Signal,
    StopOptions, WaitCondition,
};
use crate::task::{blocking, detached};
use crate::{create, list};

/// Seconds between the stop signal and KILL, when nobody says.
const STOP_TIMEOUT: i32 = 10;

impl Engine {
    fn find(&self, container: &str) -> Result<Handle> {
        self.context.registry.find(container)
    }

    /// Makes a container.
    ///
    /// # Errors
    /// A field that cannot be what it is, an image or name that is not to be had; nothing is left of it.
    pub async fn create_container(&self, request: CreateRequest) -> Result<Created> {
        let context = self.context.clone();
        detached(async move { create::create(&context, request).await }).await
    }

    /// Starts it; false when it ran already.
    ///
    /// # Errors
    /// When it cannot be started: kinds `ProgramNotFound` (127) and `CannotExecute` (126) are the program's fault.
    /// Everything made for the start is released, and the container stays as it was, with the error stored.
    pub async fn start(&self, container: &str) -> Result<bool> {
        self.find(container)?.call(Command::Start).await
    }

    /// Stops it; false when it did not run.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(&self, container: &str, options: StopOptions) -> Result<bool> {
        let handle = self.find(container)?;
        let context = self.context.clone();
        detached(async move {
            let stopped = stop(&handle, options, false).await?;
            if stopped {
                let view = handle.view();
                context.events.tell(EventKind::Container, "stop", view.id.as_str(), view.attributes());
            }
            Ok(stopped)
        })
        .await
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// When it cannot be stopped or started.
    pub async fn restart(&self, container: &str, options: StopOptions) -> Result<()> {
        let handle = self.find(container)?;
        let context = self.context.clone();
        detached(async move {
            stop(&handle, options, true).await?;
            handle.call(Command::Start).await?;
            let view = handle.view();
            context.events.tell(EventKind::Container, "restart", view.id.as_str(), view.attributes());
            Ok(())
        })
        .await
    }

    /// Sends a signal to its main process; after KILL, waits until it has ended.
    ///
    /// # Errors
    /// When it does not run, or is not gone 10 s after KILL.
    pub async fn kill(&self, container: &str, signal: Signal) -> Result<()> {
        self.find(container)?.call(|reply| Command::Kill { signal, reply }).await
    }

    /// Freezes it.
    ///
    /// # Errors
    /// When it does not run or is frozen.
    pub async fn pause(&self, container: &str) -> Result<()> {
        self.find(container)?.call(Command::Pause).await
    }

    /// Thaws it.
    ///
    /// # Errors
    /// When it is not frozen.
    pub async fn unpause(&self, container: &str) -> Result<()> {
        self.find(container)?.call(Command::Unpause).await
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// When the name is none, or taken.
    pub async fn rename(&self, container: &str, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.find(container)?.call(|reply| Command::Rename { name, reply }).await
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it runs and is not to be killed.
    pub async fn remove(&self, container: &str, options: RemoveOptions) -> Result<()> {
        self.find(container)?.call(|reply| Command::Remove { options, reply }).await
    }

    /// Containers, newest first.
    ///
    /// # Errors
    /// When a filter names a container that is not there.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<ContainerSummary>> {
        let context = self.context.clone();
        blocking(move || list::list(&context, &query)).await
    }

    /// All about one container; measured when `size` is set.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn inspect(&self, container: &str, size: bool) -> Result<ContainerDetails> {
        let (context, container) = (self.context.clone(), container.to_owned());
        blocking(move || list::inspect(&context, &container, size)).await
    }

    /// Registers for its end: when this has returned, no end is missed.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn wait(&self, container: &str, condition: WaitCondition) -> Result<ExitWait> {
        Ok(ExitWait::new(&self.find(container)?, condition))
    }
}

/// Stop signal, time, KILL. False when it did not run.
async fn stop(handle: &Handle, options: StopOptions, keep: bool) -> Result<bool> {
    let view = handle.view();
    let signal = options.signal.unwrap_or_else(|| view.config.stop_signal());
    let timeout = options.timeout.or(view.config.stop_timeout).unwrap_or(STOP_TIMEOUT);
    let ended = ExitWait::new(handle, WaitCondition::NextExit).exited();
    let mut ended = std::pin::pin!(ended);
    if !handle.call(|reply| Command::Stop { signal, keep, reply }).await? {
        return Ok(false);
    }
    let Ok(seconds) = u64::try_from(timeout) else {
        ended.await?;
        return Ok(true);
    };
    if tokio::time::timeout(Duration::from_secs(seconds), ended.as_mut()).await.is_err() {
        match handle.call(|reply| Command::Kill { signal: Signal::KILL, reply }).await {
            Err(error) if !has_ended(&error) => return Err(error),
            _ => {}
        }
        ended.await?;
    }
    Ok(true)
}

/// Whether a signal failed because the container ended meanwhile.
fn has_ended(error: &EngineError) -> bool {
    matches!(error.kind(), ross_types::ErrorKind::FailedPrecondition | ross_types::ErrorKind::NotFound)
}
