//! Images made of containers and of archives, and containers' files as archives.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use ross_image::layer::LayerKey;
use ross_image::snapshot::{MergedRoot, Snapshot, SnapshotError};
use ross_image::{ContainerDefaults, Healthcheck, Image, NewImage, StagedLayer};
use ross_types::{Digest, ErrorKind, ImageRef, Platform};

use super::Engine;
use crate::change;
use crate::container::{Command, Handle, View};
use crate::context::Context;
use crate::create::resolve_image;
use crate::error::{EngineError, Result};
use crate::model::{
    CommitRequest, ContainerConfig, ContainerState, EventKind, ImportRequest, MountKind, Timestamp,
};
use crate::spec::mount_points;
use crate::task::{blocking, detached};

impl Engine {
    /// Makes an image of what a container has changed; its id. It is durable when this returns.
    ///
    /// # Errors
    /// When the container is being removed, a change makes no sense, or its files cannot be read; nothing is left then,
    /// and the container goes on as it did before.
    pub async fn commit(&self, container: &str, request: CommitRequest) -> Result<Digest> {
        let handle = self.context.registry.find(container)?;
        let context = self.context.clone();
        detached(async move { commit(&context, &handle, request).await }).await
    }

    /// Writes all files of a container as one archive: as they are while it runs, from its layers when it does not.
    /// Volumes and other mounts are not among them.
    ///
    /// # Errors
    /// When the container is being removed, its files cannot be read, or `out` fails, which is how to cancel it.
    pub async fn export(&self, container: &str, mut out: impl Write + Send + 'static) -> Result<()> {
        let handle = self.context.registry.find(container)?;
        let context = self.context.clone();
        blocking(move || {
            let view = usable(&handle, "export")?;
            // Nobody replaces a layer while it is read. None when the image is gone, whose layers stay.
            let _hold = context.images.hold(&view.image_id).ok();
            let root = merged(&context, &handle)?;
            root.pack(&mut out).map_err(|error| of_snapshot(&view, "export", error))?;
            still_there(&context, &handle)?;
            context.events.tell(EventKind::Container, "export", view.id.as_str(), view.attributes());
            Ok(())
        })
        .await
    }

    /// Makes an image of an archive of a root, plain or packed by gzip or zstd; its id. It is durable when this returns.
    ///
    /// # Errors
    /// When the archive cannot be read or unpacked, or a change makes no sense; nothing is left then.
    pub async fn import(
        &self,
        archive: impl Read + Send + 'static,
        request: ImportRequest,
    ) -> Result<Digest> {
        let ImportRequest { reference, message, changes, platform } = request;
        // Before the archive, which may be long, is read.
        let mut config = ContainerDefaults::default();
        change::apply(&mut config, &changes)?;
        let failed = |error: ross_image::Error| {
            EngineError::new(error.kind(), "archive", "import the archive").caused_by(error)
        };
        let layer = self.context.images.stage_archive(archive).await.map_err(failed)?;
        let new = NewImage {
            base: None,
            layer: Some(layer),
            config,
            created: Timestamp::now().to_string(),
            author: String::new(),
            comment: if message.is_empty() { "Imported from -".to_owned() } else { message },
            created_by: String::new(),
            platform: platform.unwrap_or_else(Platform::host),
            reference: reference.clone(),
        };
        let context = self.context.clone();
        detached(async move {
            let image = context.images.commit(new).await.map_err(failed)?;
            tell(&context, "import", &image, reference.as_ref());
            Ok(image.record.id)
        })
        .await
    }
}

fn tell(context: &Context, action: &str, image: &Image, reference: Option<&ImageRef>) {
    let name = reference.map(|reference| ("name".to_owned(), reference.familiar()));
    context.events.tell(EventKind::Image, action, &image.record.id.to_string(), name.into_iter().collect());
}

/// A container that is not on its way out.
fn usable(handle: &Handle, what: &str) -> Result<Arc<View>> {
    let view = handle.view();
    if view.removed.is_some() {
        return Err(EngineError::no_container(view.id.as_str()));
    }
    if matches!(view.run.state, ContainerState::Dead | ContainerState::Removing) {
        let text = format!("cannot {what} container {}: it is marked for removal", view.name);
        return Err(EngineError::new(ErrorKind::FailedPrecondition, view.id.as_str(), text));
    }
    Ok(view)
}

/// A removal takes the container out of the registry before it touches any file: what was read before was whole.
fn still_there(context: &Context, handle: &Handle) -> Result<()> {
    context.registry.find(handle.id.as_str()).map(drop)
}

fn of_snapshot(view: &View, what: &str, error: SnapshotError) -> EngineError {
    EngineError::new(error.kind(), view.id.as_str(), format!("{what} container {}", view.name))
        .caused_by(error)
}

fn snapshot(context: &Context, view: &View) -> Result<Snapshot> {
    let keys: Result<Vec<LayerKey>, _> = view.layers.iter().map(|key| key.parse()).collect();
    let keys = keys.map_err(|error| {
        EngineError::internal(view.id.as_str(), "a layer of the container has no key").caused_by(error)
    })?;
    Ok(context.images.snapshots().open(&context.paths.root_of(&view.id), &keys))
}

/// All files of a container.
fn merged(context: &Context, handle: &Handle) -> Result<MergedRoot> {
    let view = handle.view();
    if view.run.state.is_running() {
        match MergedRoot::of_mounted(&context.paths.rootfs(&view.id)) {
            // It has ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened.map_err(|error| of_snapshot(&view, "export", error)),
        }
    }
    let snapshot = snapshot(context, &view)?;
    let at = context.paths.merged();
    let _turn = context.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::fs::create_dir_all(&at).map_err(|error| EngineError::io("make directory", &at, error))?;
    // A crash between mounting and letting go would have left the one before.
    let opened = snapshot.unmount(&at).and_then(|()| snapshot.open_merged(&at));
    opened.map_err(|error| of_snapshot(&view, "export", error))
}

async fn commit(context: &Arc<Context>, handle: &Handle, request: CommitRequest) -> Result<Digest> {
    let view = usable(handle, "commit")?;
    if let Some(reference) = request.reference.as_ref().filter(|reference| reference.digest().is_some()) {
        let reason = format!("`{}` has a digest, which only its content decides", reference.familiar());
        return Err(EngineError::invalid("reference", reason));
    }
    let (base, hold) = blocking({
        let (context, view) = (context.clone(), view.clone());
        move || {
            let base = resolve_image(&context, &view.image_id.to_string())?;
            let hold = context.images.hold(&base.record.id).map_err(|error| {
                EngineError::new(error.kind(), view.image.as_str(), format!("image {}", view.image))
                    .caused_by(error)
            })?;
            Ok((base, hold))
        }
    })
    .await?;
    let mut config = defaults_of(&view.config, &base.config.config);
    change::apply(&mut config, &request.changes)?;

    let frozen = if request.pause && view.run.state == ContainerState::Running {
        Some(Frozen::pause(context, handle).await?)
    } else {
        None
    };
    let packed = pack(context, handle).await;
    if let Some(frozen) = frozen {
        frozen.unpause().await;
    }
    let layer = packed?;
    let new = NewImage {
        base: Some(base),
        layer,
        config,
        created: Timestamp::now().to_string(),
        author: request.author,
        comment: request.message.clone(),
        created_by: view.config.cmd.join(" "),
        platform: Platform::host(),
        reference: request.reference.clone(),
    };
    let image = context.images.commit(new).await.map_err(|error| {
        EngineError::new(error.kind(), view.id.as_str(), format!("commit container {}", view.name))
            .caused_by(error)
    })?;
    drop(hold);
    let mut attributes: BTreeMap<String, String> = view.attributes();
    attributes.insert("comment".to_owned(), request.message);
    attributes.insert("imageID".to_owned(), image.record.id.to_string());
    attributes.extend(request.reference.map(|reference| ("imageRef".to_owned(), reference.familiar())));
    context.events.tell(EventKind::Container, "commit", view.id.as_str(), attributes);
    Ok(image.record.id)
}

/// A container that is frozen for the sake of a commit. A mark beside it says so while it is, lest it stays frozen when
/// this process is killed.
struct Frozen {
    handle: Handle,
    mark: PathBuf,
}

impl Frozen {
    async fn pause(context: &Context, handle: &Handle) -> Result<Self> {
        let mark = context.paths.committing(&handle.id);
        std::fs::File::create(&mark).map_err(|error| EngineError::io("make", &mark, error))?;
        let frozen = Self { handle: handle.clone(), mark };
        let paused = handle.call(Command::Pause).await;
        if paused.is_err() {
            frozen.forget();
        }
        paused.map(|()| frozen)
    }

    async fn unpause(self) {
        if let Err(error) = self.handle.call(Command::Unpause).await {
            // It was killed, or somebody else let it go on: what was wanted.
            let ended = matches!(error.kind(), ErrorKind::FailedPrecondition | ErrorKind::NotFound);
            if !ended {
                let container = self.handle.id.as_str();
                tracing::error!(
                    container,
                    error = error.sentence(),
                    "a container stays paused after a commit"
                );
            }
        }
        self.forget();
    }

    fn forget(&self) {
        // Gone with the container, if not before.
        let _ = std::fs::remove_file(&self.mark);
    }
}

/// Lets a container go on that was frozen for a commit when the engine before this one was killed.
pub(crate) fn end_commit(context: &Context, handle: Handle) {
    let mark = context.paths.committing(&handle.id);
    if mark.exists() {
        tokio::spawn(Frozen { handle, mark }.unpause());
    }
}

/// The changes of a container as a layer; none when there are no changes.
async fn pack(context: &Arc<Context>, handle: &Handle) -> Result<Option<StagedLayer>> {
    let (context, handle) = (context.clone(), handle.clone());
    blocking(move || {
        let view = handle.view();
        let points: Vec<PathBuf> = mount_points(&view.config);
        let snapshot = snapshot(&context, &view)?;
        let packed = context.images.stage_layer(|out| Ok(snapshot.pack_changes(&points, out)?));
        let (layer, entries) = packed.map_err(|error| {
            EngineError::new(error.kind(), view.id.as_str(), format!("commit container {}", view.name))
                .caused_by(error)
        })?;
        still_there(&context, &handle)?;
        Ok((entries > 0).then_some(layer))
    })
    .await
}

/// What a container says of itself, as an image says it of its containers.
fn defaults_of(config: &ContainerConfig, base: &ContainerDefaults) -> ContainerDefaults {
    let volumes = config.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume { anonymous: true, .. } => Some(mount.target.clone()),
        _ => None,
    });
    // The root is what a directory is when nobody says; an image does not say so either.
    let unsaid = config.working_dir == "/" && base.working_dir.is_empty();
    ContainerDefaults {
        user: config.user.clone(),
        exposed_ports: config.network.exposed_ports.iter().map(ToString::to_string).collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        cmd: config.cmd.clone(),
        volumes: volumes.collect(),
        working_dir: if unsaid { String::new() } else { config.working_dir.clone() },
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.map(|signal| signal.to_string()).unwrap_or_default(),
        stop_timeout: config.stop_timeout.map(i64::from),
        healthcheck: config.healthcheck.as_ref().map(|health| Healthcheck {
            test: health.test.clone(),
            interval: nanos(health.interval),
            timeout: nanos(health.timeout),
            start_period: nanos(health.start_period),
            start_interval: nanos(health.start_interval),
            retries: health.retries.into(),
        }),
        shell: base.shell.clone(),
        // They were for the build that made the image below.
        on_build: Vec::new(),
    }
}

fn nanos(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mount;

    #[test]
    fn an_image_says_what_its_container_was_told() {
        let volume = |anonymous, target: &str| Mount {
            kind: MountKind::Volume { name: "x".into(), no_copy: false, labels: BTreeMap::new(), anonymous },
            target: target.into(),
            read_only: false,
        };
        let config = ContainerConfig {
            cmd: vec!["run".into()],
            env: vec!["A=1".into()],
            working_dir: "/".into(),
            stop_signal: Some(crate::model::Signal::KILL),
            mounts: vec![volume(true, "/anonymous"), volume(false, "/named")],
            ..ContainerConfig::default()
        };
        let base = ContainerDefaults {
            shell: vec!["/bin/ash".into()],
            on_build: vec!["RUN x".into()],
            ..ContainerDefaults::default()
        };
        let said = defaults_of(&config, &base);
        assert_eq!((said.cmd, said.env), (config.cmd.clone(), config.env.clone()));
        assert_eq!(said.volumes, ["/anonymous"], "a volume with a name is no part of an image");
        assert_eq!((said.working_dir.as_str(), said.stop_signal.as_str()), ("", "SIGKILL"));
        assert_eq!(said.shell, base.shell);
        assert!(said.on_build.is_empty());
        let base = ContainerDefaults { working_dir: "/srv".into(), ..base };
        assert_eq!(defaults_of(&config, &base).working_dir, "/");
    }
}
