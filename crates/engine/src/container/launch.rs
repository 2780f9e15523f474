//! Starting a container: network, root, shim; then the specification; then the process.
//!
//! The first three do not need each other and are made at once. Whatever fails, everything is released again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ross_image::Hold;
use ross_image::snapshot::{MountOptions, Snapshot};
use ross_network::Endpoint;
use ross_runtime::Container;
use ross_runtime::cgroup::{Cgroup, CgroupPath};
use ross_shim::client::{LaunchSpec, ShimClient, launch};
use ross_shim::config::{CONFIG_VERSION, LogConfig, LogDriver as ShimLogDriver, ShimConfig};
use ross_types::{ContainerId, ErrorKind};

use super::actor::Actor;
use crate::context::Context;
use crate::db::ContainerRow;
use crate::error::{EngineError, Result};
use crate::model::{ContainerConfig, LogDriver, NamespaceMode, NetworkMode, NetworkStatus};
use crate::network;
use crate::rootfs::RootFd;
use crate::spec::{NameFiles, SpecInput, build, cgroup_path};
use crate::task::blocking;
use crate::volumes;

/// A container whose process runs.
#[derive(Debug)]
pub(crate) struct Launching {
    pub(crate) shim: ShimClient,
    pub(crate) pid: i32,
    pub(crate) network: NetworkStatus,
    /// Until everybody sees that it runs: nobody replaces a layer below its root. None when its image is gone.
    pub(crate) hold: Option<Hold>,
}

/// First processes of containers whose namespaces are joined.
#[derive(Debug, Default)]
struct Joined {
    pid_of: Option<i32>,
    uts_of: Option<i32>,
}

impl Actor {
    /// Makes everything and starts the process.
    pub(super) async fn launch(&mut self) -> Result<Launching> {
        let failed = |name: &str, error: EngineError| {
            EngineError::new(error.kind(), name, format!("cannot start container {name}")).caused_by(error)
        };
        match self.try_launch().await {
            Ok(launching) => Ok(launching),
            Err((error, shim)) => {
                self.release(shim).await;
                Err(failed(self.name(), error))
            }
        }
    }

    async fn try_launch(&mut self) -> Result<Launching, (EngineError, Option<ShimClient>)> {
        let nothing = |error| (error, None);
        let context = self.context.clone();
        let joined = self.joined().map_err(nothing)?;
        let request = network::request(&self.row, &self.config, &hostname(&self.row), &context.registry)
            .map_err(nothing)?;
        blocking({
            let (context, id) = (context.clone(), self.row.id.clone());
            move || make_dirs(&context, &id)
        })
        .await
        .map_err(nothing)?;

        let mount = {
            let (context, row) = (context.clone(), self.row.clone());
            blocking(move || {
                let hold = context.images.hold(&row.image_id).ok();
                mount(&context, &row)?;
                Ok(hold)
            })
        };
        let config = shim_config(&context, &self.row);
        let (state, root) = (context.paths.state_of(&self.row.id), context.paths.root_of(&self.row.id));
        let spec = LaunchSpec { config: &config, dir: &state, root: &root };
        let (endpoint, mounted, launched) =
            tokio::join!(context.networks.acquire(request), mount, launch(&context.shim, spec));
        let launched = launched.map(|launched| launched.client).map_err(|error| {
            let text = format!("launch the supervisor of container {}", self.row.name);
            EngineError::new(error.kind(), self.name(), text).caused_by(error)
        });
        let shim = launched.as_ref().ok().cloned();
        let with_shim = |error: EngineError| (error, shim.clone());
        let endpoint = endpoint.map_err(|error| with_shim(network::failed(self.name(), error)))?;
        let hold = mounted.map_err(with_shim)?;
        let shim = launched.map_err(nothing)?;

        let status = network::status(&self.config.network.mode, &endpoint);
        let bundle = {
            let (context, row) = (context.clone(), self.row.clone());
            blocking(move || write_bundle(&context, &row, endpoint, &joined))
        };
        let size = self.pending.iter().rev().find_map(|pending| pending.options.size);
        let ready = async {
            bundle.await?;
            // Attached before the process exists: nothing it says is missed.
            self.connect_pending(&shim).await;
            shim.start(size.map(crate::attach::shim_size)).await.map_err(|error| {
                EngineError::new(error.kind(), self.row.name.as_str(), "start its process").caused_by(error)
            })
        };
        match ready.await {
            Ok(pid) => Ok(Launching { shim, pid, network: status, hold }),
            Err(error) => Err((error, Some(shim))),
        }
    }

    fn joined(&self) -> Result<Joined> {
        let pid = |mode: &NamespaceMode| match mode {
            NamespaceMode::Container(name) => self.context.registry.find(name).and_then(|handle| {
                let view = handle.view();
                if view.run.state.is_running() {
                    Ok(Some(view.run.pid))
                } else {
                    Err(EngineError::not_running(name))
                }
            }),
            _ => Ok(None),
        };
        Ok(Joined { pid_of: pid(&self.config.pid_mode)?, uts_of: pid(&self.config.uts_mode)? })
    }

    /// Takes apart what a start has made. Goes on to the end; what fails is logged and left to reconciliation.
    pub(super) async fn release(&self, shim: Option<ShimClient>) {
        let (context, id) = (self.context.clone(), self.row.id.clone());
        let network = async {
            if let Err(error) = self.context.networks.release(&self.row.id).await {
                tracing::warn!(container = %self.row.id, error = &error as &dyn std::error::Error, "network is left behind");
            }
        };
        let rest = async {
            let stopped = match &shim {
                Some(shim) => shim.shutdown().await.is_ok(),
                None => false,
            };
            let (layers, config) = (self.row.layers.clone(), self.config.clone());
            let done = blocking(move || {
                // A shim that could not delete the container has left the runtime's state of it.
                if !stopped || context.paths.runtime().join(id.as_str()).exists() {
                    force_delete(&context, &id, Some(&config));
                }
                unmount(&context, &id, &layers)
            });
            if let Err(error) = done.await {
                tracing::warn!(container = %self.row.id, error = error.sentence(), "its root is left behind");
            }
            if let Some(shim) = shim.filter(|_| !stopped) {
                // One that is still there has nothing left to watch; one that is not needs no answer.
                let _ = shim.shutdown().await;
            }
        };
        tokio::join!(network, rest);
    }
}

fn make_dirs(context: &Context, id: &ContainerId) -> Result<()> {
    let make = |path: &Path| {
        fs::create_dir_all(path).map_err(|error| EngineError::io("make directory", path, error))
    };
    make(&context.paths.rootfs(id))?;
    make(&context.paths.log_dir(id))?;
    // The record of the run before would be taken for this one's.
    let record = context.paths.exit_record(id);
    match fs::remove_file(&record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::io("remove", &record, error))
        }
        _ => Ok(()),
    }
}

/// The snapshot that was prepared for a container.
pub(super) fn snapshot(context: &Context, id: &ContainerId, layers: &[String]) -> Result<Snapshot> {
    let keys: Result<Vec<_>, _> = layers.iter().map(|key| key.parse()).collect();
    let keys = keys.map_err(|error| {
        EngineError::internal(id.as_str(), "a layer of the container has no key").caused_by(error)
    })?;
    Ok(context.images.snapshots().open(&context.paths.root_of(id), &keys))
}

fn mount(context: &Context, row: &ContainerRow) -> Result<()> {
    // What a container that goes when it ends has written is worth nothing after a power cut.
    let options = MountOptions { read_only: false, volatile: row.config.auto_remove };
    snapshot(context, &row.id, &row.layers)?
        .mount(&context.paths.rootfs(&row.id), options)
        .map_err(|error| EngineError::new(error.kind(), row.name.as_str(), "mount its root").caused_by(error))
}

/// Unmounts a container's root and removes its state directory; nothing there is no error.
pub(crate) fn unmount(context: &Context, id: &ContainerId, layers: &[String]) -> Result<()> {
    let target = context.paths.rootfs(id);
    if target.exists() {
        snapshot(context, id, layers)?.unmount(&target).map_err(|error| {
            EngineError::new(error.kind(), id.as_str(), "unmount its root").caused_by(error)
        })?;
        // Never recursively: what is still mounted there must not be emptied.
        fs::remove_dir(&target).map_err(|error| EngineError::io("remove", &target, error))?;
    }
    let state = context.paths.state_of(id);
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::io("remove", &state, error))
        }
        _ => Ok(()),
    }
}

/// Ends whatever is left of a container whose shim is gone: processes, cgroup, runtime state.
pub(crate) fn force_delete(context: &Context, id: &ContainerId, config: Option<&ContainerConfig>) {
    // Where the runtime knows it, the runtime takes it apart, poststop hooks included.
    let deleted =
        Container::open(&context.paths.runtime(), id.as_str()).and_then(|container| container.delete(true));
    match deleted {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "the runtime cannot delete it");
        }
        _ => {}
    }
    // What it does not know, or could not remove.
    let parent = config.map_or("", |config| config.resources.cgroup_parent.as_str());
    let removed = CgroupPath::new(&cgroup_path(id, parent))
        .and_then(|path| Cgroup::open(&path))
        .and_then(Cgroup::remove);
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "its cgroup is left behind");
        }
        _ => {}
    }
    let state = context.paths.runtime().join(id.as_str());
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(container = %id, %error, "its runtime state is left behind");
        }
        _ => {}
    }
}

fn shim_config(context: &Context, row: &ContainerRow) -> ShimConfig {
    let log = &row.config.log;
    let path = context.paths.log(&row.id);
    ShimConfig {
        version: CONFIG_VERSION,
        id: row.id.to_string(),
        bundle: context.paths.state_of(&row.id),
        runtime_root: context.paths.runtime(),
        log: LogConfig {
            driver: match log.driver {
                LogDriver::JsonFile => ShimLogDriver::JsonFile,
                LogDriver::None => ShimLogDriver::None,
            },
            path,
            max_size: if log.max_size == 0 { LogConfig::DEFAULT_MAX_SIZE } else { log.max_size },
            max_files: if log.max_files == 0 { LogConfig::DEFAULT_MAX_FILES } else { log.max_files },
        },
        terminal: row.config.tty,
        open_stdin: row.config.open_stdin,
        stdin_once: row.config.stdin_once,
        exit_record: context.paths.exit_record(&row.id),
        durable: !row.config.auto_remove,
    }
}

/// The host name inside.
fn hostname(row: &ContainerRow) -> String {
    if !row.config.hostname.is_empty() {
        return row.config.hostname.clone();
    }
    let hosts = row.config.network.mode == NetworkMode::Host || row.config.uts_mode == NamespaceMode::Host;
    if hosts {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    row.id.short().to_owned()
}

fn write_bundle(
    context: &Arc<Context>,
    row: &ContainerRow,
    endpoint: Endpoint,
    joined: &Joined,
) -> Result<()> {
    let paths = &context.paths;
    let (id, config) = (&row.id, &row.config);
    let hostname = hostname(row);
    let files = NameFiles {
        hosts: paths.hosts(id),
        hostname: paths.hostname(id),
        resolv_conf: paths.resolv_conf(id),
    };
    // Made anew by each start: not worth a temporary name.
    let write = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| EngineError::io("write", path, error))
    };
    write(&files.hosts, &endpoint.hosts_file)?;
    write(&files.hostname, &format!("{hostname}\n"))?;
    write(&files.resolv_conf, &endpoint.resolv_conf)?;

    let rootfs = paths.rootfs(id);
    let root = RootFd::open(&rootfs)?;
    volumes::fill(config, paths, &root)?;
    if config.working_dir != "/" {
        root.create_dir_all(Path::new(&config.working_dir))?;
    }
    let netns = match &config.network.mode {
        NetworkMode::Path(path) => Some(path.clone()),
        _ => endpoint.netns,
    };
    let spec = build(&SpecInput {
        id,
        config,
        host: &context.host,
        hostname: &hostname,
        rootfs: &rootfs,
        root: &root,
        netns,
        pid_of: joined.pid_of,
        uts_of: joined.uts_of,
        files,
        volumes: volumes::directories(config, paths),
    })?;
    let json = serde_json::to_vec(&spec).map_err(|error| {
        EngineError::new(ErrorKind::Internal, id.as_str(), "write its specification").caused_by(error)
    })?;
    let target = paths.state_of(id).join("config.json");
    let temporary = target.with_extension("json.tmp");
    fs::write(&temporary, json).map_err(|error| EngineError::io("write", &temporary, error))?;
    fs::rename(&temporary, &target).map_err(|error| EngineError::io("rename", &temporary, error))
}
