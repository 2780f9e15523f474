//! Opening and closing.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ross_image::{ImageStore, StoreConfig};
use ross_network::{NetworkConfig, Networks};
use ross_shim::client::ShimBinary;

use super::{Engine, EngineConfig};
use crate::container::Registry;
use crate::context::Context;
use crate::db::Db;
use crate::error::{EngineError, Result};
use crate::events::Events;
use crate::exec::Execs;
use crate::host::Host;
use crate::lock::DirectoryLock;
use crate::names::new_id;
use crate::paths::Paths;
use crate::reconcile::reconcile;
use crate::task::blocking;

/// How long a shutdown waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);

/// Network namespaces made ahead, so that a start does not wait for one.
const READY_NAMESPACES: usize = 4;

impl Engine {
    /// Opens the engine, and brings together what the database says and what runs.
    ///
    /// # Errors
    /// When another engine holds the directory, the database is newer or broken, or something cannot be read.
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let paths = Paths::new(&config.root, &config.state);
        let (locks, db, id, shim) = blocking({
            let (config, paths) = (config.clone(), paths.clone());
            move || open_files(&config, &paths)
        })
        .await?;
        let store = StoreConfig {
            root: config.root.clone(),
            records: Arc::new(db.clone()),
            registries: config.registries.clone(),
        };
        let images = ImageStore::open(store).await.map_err(|error| {
            EngineError::new(error.kind(), "images", "open the image store").caused_by(error)
        })?;
        let network = NetworkConfig {
            state: config.state.clone(),
            records: Arc::new(db.clone()),
            default_subnet: config.default_subnet,
            bridge: NetworkConfig::bridge_for(&config.state),
        };
        let networks = Networks::open(network).await.map_err(|error| {
            EngineError::new(error.kind(), "network", "open the network").caused_by(error)
        })?;
        let host = Host::read(config.open_files);
        let context = Arc::new(Context {
            config,
            id,
            paths,
            db,
            images,
            networks,
            shim,
            registry: Registry::default(),
            execs: Execs::default(),
            events: Events::new(),
            host,
            volumes: std::sync::RwLock::default(),
            merging: Mutex::new(()),
            locks: Mutex::new(locks),
        });
        reconcile(&context).await?;
        context.networks.keep_ready(READY_NAMESPACES);
        Ok(Self { context })
    }

    /// Lets go of everything; containers run on, and the next engine finds them. Calls after this find none.
    pub async fn shutdown(&self) {
        let views: Vec<_> = self.context.registry.clear().into_iter().map(|handle| handle.views).collect();
        let tasks = async {
            for mut view in views {
                // Its task ends when it has done what it was told.
                while view.changed().await.is_ok() {}
            }
        };
        // A stop without a time limit, say, goes on for as long as its container: the next engine takes over.
        if tokio::time::timeout(GRACE, tasks).await.is_err() {
            tracing::warn!(
                seconds = GRACE.as_secs(),
                "some commands to containers are not carried out to the end"
            );
        }
        // A pull that was cut off is still clearing up what it has staged.
        if tokio::time::timeout(GRACE, self.context.images.idle()).await.is_err() {
            tracing::warn!(seconds = GRACE.as_secs(), "a pull is not cleared up; the next engine does it");
        }
        if let Err(error) = self.context.networks.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the network is left as it is");
        }
        self.context.locks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| EngineError::io("make directory", path, error))
}

fn open_files(config: &EngineConfig, paths: &Paths) -> Result<(Vec<DirectoryLock>, Db, String, ShimBinary)> {
    // Others may pass to what is theirs below, and look at nothing.
    let mut directories = vec![&config.root];
    directories.extend((config.state != config.root).then_some(&config.state));
    let mut locks = Vec::new();
    for directory in directories {
        make_dir(directory, 0o711)?;
        locks.push(DirectoryLock::take(directory)?);
    }
    for path in [paths.containers(), paths.container_states(), paths.runtime()] {
        make_dir(&path, 0o710)?;
    }
    make_dir(&paths.volumes(), 0o711)?;
    let db = Db::open(&paths.database())?;
    let id = db.meta("id", || new_id().to_string())?;
    let shim = ShimBinary::open(&config.shim).map_err(|error| {
        EngineError::new(error.kind(), config.shim.display().to_string(), "open the shim").caused_by(error)
    })?;
    Ok((locks, db, id, shim))
}
