//! What everyone may know of a container.

use std::collections::BTreeMap;
use std::sync::Arc;

use ross_shim::client::ShimClient;
use ross_types::{ContainerId, ContainerName, Digest};
use tokio::sync::{mpsc, oneshot, watch};

use super::Command;
use crate::error::{EngineError, Result};
use crate::model::{ContainerConfig, NetworkStatus, Run, Timestamp};

/// A container at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) id: ContainerId,
    pub(crate) name: ContainerName,
    pub(crate) image: String,
    pub(crate) image_id: Digest,
    pub(crate) layers: Vec<String>,
    pub(crate) config: Arc<ContainerConfig>,
    pub(crate) created: Timestamp,
    pub(crate) run: Run,
    pub(crate) network: NetworkStatus,
    /// Runs that ended since the engine was opened.
    pub(crate) ended: u64,
    /// It is gone; why it is not gone completely, if so.
    pub(crate) removed: Option<Option<String>>,
    /// Its shim while it runs.
    pub(crate) shim: Option<ShimClient>,
}

impl View {
    /// The attributes of its events: name, image and labels.
    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = self.config.labels.clone();
        attributes.insert("name".to_owned(), self.name.to_string());
        attributes.insert("image".to_owned(), self.image.clone());
        attributes
    }
}

/// How to reach a container's task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) id: ContainerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) views: watch::Receiver<Arc<View>>,
}

impl Handle {
    /// What is known now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.views.borrow().clone()
    }

    /// Sends a command and waits for its answer. Dropping the future does not take the command back.
    pub(crate) async fn call<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let gone = || EngineError::no_container(self.id.as_str());
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
