//! Waiting for the end of a container.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Handle, View};
use crate::error::Result;
use crate::model::{ContainerState, Exited, WaitCondition};

/// The end of a container, to be awaited. It is registered when it is made: no end after that is missed.
#[derive(Debug)]
pub struct ExitWait {
    views: watch::Receiver<Arc<View>>,
    condition: WaitCondition,
    ended: u64,
}

impl ExitWait {
    pub(crate) fn new(handle: &Handle, condition: WaitCondition) -> Self {
        let views = handle.views.clone();
        let ended = views.borrow().ended;
        Self { views, condition, ended }
    }

    fn is_met(&self, view: &View) -> bool {
        let gone = view.removed.is_some();
        match self.condition {
            WaitCondition::NotRunning => {
                let runs = view.run.state.is_running() || view.run.state == ContainerState::Restarting;
                gone || !runs || view.ended > self.ended
            }
            WaitCondition::NextExit => gone || view.ended > self.ended,
            WaitCondition::Removed => gone,
        }
    }

    /// How the container ended. With [`WaitCondition::Removed`], once it is gone; `error` then says what could not be
    /// removed.
    ///
    /// # Errors
    /// None at present; a container that is gone has an end, too.
    pub async fn exited(mut self) -> Result<Exited> {
        loop {
            let view = self.views.borrow_and_update().clone();
            // Nobody publishes any more: what was published last is the end.
            if self.is_met(&view) || self.views.changed().await.is_err() {
                let view = self.views.borrow().clone();
                let mut exited = view.run.exited.clone();
                if self.condition == WaitCondition::Removed {
                    exited.error = view.removed.clone().flatten();
                }
                return Ok(exited);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::model::{ContainerConfig, NetworkStatus, Run, Timestamp};

    fn view(state: ContainerState, ended: u64, code: i32) -> View {
        View {
            id: ross_types::ContainerId::from_random([1; 32]),
            name: "web".parse().unwrap(),
            image: String::new(),
            image_id: ross_types::Digest::sha256([0; 32]),
            layers: Vec::new(),
            config: Arc::new(ContainerConfig::default()),
            created: Timestamp::default(),
            run: Run { state, exited: Exited { code, ..Exited::default() }, ..Run::default() },
            network: NetworkStatus::default(),
            ended,
            removed: None,
            shim: None,
        }
    }

    #[tokio::test]
    async fn conditions() {
        use ContainerState::{Created, Exited as Ended, Running};
        // (state, condition, state then) -> code, or still waiting
        let check = async |now: ContainerState, condition, then: Option<View>, code: Option<i32>| {
            let (sender, views) = watch::channel(Arc::new(view(now, 0, 3)));
            let id = views.borrow().id.clone();
            let handle = Handle { id, commands: mpsc::channel(1).0, views };
            let wait = ExitWait::new(&handle, condition);
            if let Some(then) = then {
                sender.send_replace(Arc::new(then));
            }
            let mut wait = std::pin::pin!(wait.exited());
            let polled = futures_poll(wait.as_mut()).await;
            assert_eq!(polled.map(|exited| exited.code), code, "{now} {condition:?}");
        };
        check(Created, WaitCondition::NotRunning, None, Some(3)).await;
        check(Running, WaitCondition::NotRunning, None, None).await;
        check(Running, WaitCondition::NotRunning, Some(view(Ended, 1, 4)), Some(4)).await;
        check(Running, WaitCondition::NotRunning, Some(view(Running, 1, 4)), Some(4)).await;
        check(Created, WaitCondition::NextExit, None, None).await;
        check(Created, WaitCondition::NextExit, Some(view(Running, 0, 0)), None).await;
        check(Created, WaitCondition::NextExit, Some(view(Ended, 1, 5)), Some(5)).await;
        check(Ended, WaitCondition::NextExit, None, None).await;
        check(Ended, WaitCondition::Removed, None, None).await;
        let gone = View { removed: Some(None), ..view(Ended, 1, 6) };
        check(Running, WaitCondition::Removed, Some(gone.clone()), Some(6)).await;
        check(Running, WaitCondition::NextExit, Some(gone), Some(6)).await;
    }

    /// The value if it is there at once.
    async fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = Result<T>>>) -> Option<T> {
        let mut future = Some(future);
        std::future::poll_fn(move |context| {
            let polled = future.take().expect("polled once").poll(context);
            std::task::Poll::Ready(match polled {
                std::task::Poll::Ready(value) => Some(value.unwrap()),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
