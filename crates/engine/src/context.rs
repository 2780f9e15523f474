//! What every part of the engine stands on.

use std::sync::{Mutex, RwLock};

use ross_image::ImageStore;
use ross_network::Networks;
use ross_shim::client::ShimBinary;

use crate::container::Registry;
use crate::db::Db;
use crate::engine::EngineConfig;
use crate::events::Events;
use crate::exec::Execs;
use crate::host::Host;
use crate::lock::DirectoryLock;
use crate::paths::Paths;

/// Shared by the engine and all its tasks.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: EngineConfig,
    pub(crate) id: String,
    pub(crate) paths: Paths,
    pub(crate) db: Db,
    pub(crate) images: ImageStore,
    pub(crate) networks: Networks,
    pub(crate) shim: ShimBinary,
    pub(crate) registry: Registry,
    pub(crate) execs: Execs,
    pub(crate) events: Events,
    pub(crate) host: Host,
    /// Shared by those who make a container over volumes, until its row is written; alone is who removes a volume.
    pub(crate) volumes: RwLock<()>,
    /// One at a time uses [`Paths::merged`].
    pub(crate) merging: Mutex<()>,
    /// Held until shutdown: one engine to a root and to a state directory.
    pub(crate) locks: Mutex<Vec<DirectoryLock>>,
}
