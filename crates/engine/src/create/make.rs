//! Making a container: everything is checked before anything is made, and a create that fails leaves nothing.
//!
//! The row is written last: what has no row is nobody's, and goes.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, PoisonError};

use ross_image::layer::LayerKey;
use ross_image::{Hold, Image};
use ross_types::{ContainerId, ContainerName, ErrorKind, Platform};

use super::{merge, validate};
use crate::container::{Found, remove_dirs, spawn};
use crate::context::Context;
use crate::db::{ContainerRow, Durability};
use crate::error::{EngineError, Result};
use crate::model::{
    ContainerConfig, CreateRequest, Created, EventKind, NamespaceMode, NetworkMode, NetworkStatus, Run,
    Timestamp,
};
use crate::names::{generate, new_id};
use crate::task::blocking;
use crate::volumes::{self, Made};

/// Generated names that are tried.
const NAME_ATTEMPTS: u32 = 32;

/// Makes a container.
pub(crate) async fn create(context: &Arc<Context>, request: CreateRequest) -> Result<Created> {
    let making = blocking({
        let context = context.clone();
        move || {
            let (row, warnings, hold) = make(&context, request)?;
            let created = Created { id: row.id.clone(), name: row.name.clone(), warnings };
            let handle = spawn(context, row, Found::Nothing);
            // From here on whoever removes the image sees the container. Giving it back may wait for a removal.
            drop(hold);
            Ok((created, handle))
        }
    });
    let (created, handle) = making.await?;
    context.events.tell(EventKind::Container, "create", created.id.as_str(), handle.view().attributes());
    Ok(created)
}

/// An image by name, id or prefix, with the words people know when there is none.
pub(crate) fn resolve_image(context: &Context, name: &str) -> Result<Image> {
    context.images.resolve(name).map_err(|error| match error {
        ross_image::Error::NotFound(_) => {
            EngineError::new(ErrorKind::NotFound, name, format!("No such image: {name}"))
        }
        other => EngineError::new(other.kind(), name, format!("image {name}")).caused_by(other),
    })
}

fn make(context: &Context, request: CreateRequest) -> Result<(ContainerRow, Vec<String>, Hold)> {
    let CreateRequest { name, image: typed, platform, mut config } = request;
    let image = resolve_image(context, &typed)?;
    let mut warnings = check_platform(&typed, &image.record.platform, platform.as_ref())?;
    volumes_from(context, &mut config)?;
    merge::merge(&mut config, &image.config.config)?;
    others(context, &mut config)?;
    warnings.extend(validate::validate(&config, &context.host)?);

    // Until the container is registered, only this keeps the image's layers.
    let hold = context.images.hold(&image.record.id).map_err(|error| {
        EngineError::new(error.kind(), typed.as_str(), format!("image {typed}")).caused_by(error)
    })?;
    let id = new_id();
    let name = take_name(context, name, &id)?;
    let mut row = ContainerRow {
        id,
        name,
        image: typed,
        image_id: image.record.id.clone(),
        layers: image.record.layers.iter().map(|layer| layer.key.clone()).collect(),
        created: Timestamp::now(),
        run: Run::default(),
        network: NetworkStatus { mode: config.network.mode.clone(), ..NetworkStatus::default() },
        config,
    };
    let mut made = Made::default();
    match fill(context, &mut row, &mut made) {
        Ok(()) => Ok((row, warnings, hold)),
        Err(error) => {
            volumes::unmake(made, &context.paths, &context.db, &context.volumes);
            if let Err(left) = remove_dirs(context, &row.id, &row.layers) {
                tracing::warn!(container = %row.id, error = left.sentence(), "directories of a failed create are left behind");
            }
            context.registry.release_name(&row.name, &row.id);
            Err(error)
        }
    }
}

/// Makes what belongs to the container, and its row.
fn fill(context: &Context, row: &mut ContainerRow, made: &mut Made) -> Result<()> {
    let _kept = context.volumes.read().unwrap_or_else(PoisonError::into_inner);
    volumes::prepare(&mut row.config, &context.paths, &context.db, made)?;
    let root = context.paths.root_of(&row.id);
    let log = context.paths.log_dir(&row.id);
    DirBuilder::new()
        .mode(0o710)
        .create(&root)
        .map_err(|error| EngineError::io("make directory", &root, error))?;
    fs::create_dir(&log).map_err(|error| EngineError::io("make directory", &log, error))?;
    let keys: Result<Vec<LayerKey>, _> = row.layers.iter().map(|key| key.parse()).collect();
    let keys = keys.map_err(|error| {
        EngineError::new(ErrorKind::DataLoss, row.image.as_str(), "its layers").caused_by(error)
    })?;
    context.images.snapshots().prepare(&root, &keys).map_err(|error| {
        EngineError::new(error.kind(), row.image.as_str(), format!("prepare a root over image {}", row.image))
            .caused_by(error)
    })?;
    // One that goes when it ends would not be kept over a power cut anyway.
    let durability = if row.config.auto_remove { Durability::Relaxed } else { Durability::Full };
    Ok(context.db.insert_container(row, durability)?)
}

fn take_name(context: &Context, name: Option<ContainerName>, id: &ContainerId) -> Result<ContainerName> {
    if let Some(name) = name {
        context.registry.reserve_name(&name, id)?;
        return Ok(name);
    }
    for attempt in 0..NAME_ATTEMPTS {
        let name = generate(attempt);
        if context.registry.reserve_name(&name, id).is_ok() {
            return Ok(name);
        }
    }
    Err(EngineError::new(ErrorKind::ResourceExhausted, "name", "no generated name is free: give one"))
}

fn check_platform(image: &str, has: &Platform, wanted: Option<&Platform>) -> Result<Vec<String>> {
    match wanted {
        Some(wanted) if !wanted.accepts(has) => {
            let text = format!(
                "image with reference {image} was found but its platform ({has}) does not match the specified platform ({wanted})"
            );
            Err(EngineError::new(ErrorKind::NotFound, image, text))
        }
        None if !Platform::host().accepts(has) => Ok(vec![format!(
            "The requested image's platform ({has}) does not match the detected host platform ({}) and no specific platform was requested",
            Platform::host()
        )]),
        _ => Ok(Vec::new()),
    }
}

/// Adds the mounts of other containers.
fn volumes_from(context: &Context, config: &mut ContainerConfig) -> Result<()> {
    for entry in std::mem::take(&mut config.volumes_from) {
        let (name, mode) = entry.split_once(':').unwrap_or((&entry, ""));
        if !matches!(mode, "" | "rw" | "ro") {
            return Err(EngineError::invalid("volumes_from", format!("`{mode}` is none of ro, rw")));
        }
        for mount in &context.registry.find(name)?.view().config.mounts {
            let mut mount = mount.clone();
            mount.read_only |= mode == "ro";
            if !config
                .mounts
                .iter()
                .any(|have| have.target.trim_end_matches('/') == mount.target.trim_end_matches('/'))
            {
                config.mounts.push(mount);
            }
        }
        config.volumes_from.push(entry);
    }
    Ok(())
}

/// Containers whose namespaces are joined are meant by id from now on: names can move.
fn others(context: &Context, config: &mut ContainerConfig) -> Result<()> {
    let id_of = |name: &str| context.registry.find(name).map(|handle| handle.id.to_string());
    if let NetworkMode::Container(name) = &mut config.network.mode {
        *name = id_of(name)?;
    }
    for mode in [&mut config.pid_mode, &mut config.ipc_mode, &mut config.uts_mode, &mut config.cgroupns_mode]
    {
        if let NamespaceMode::Container(name) = mode {
            *name = id_of(name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms() {
        let amd: Platform = "linux/amd64".parse().unwrap();
        let arm: Platform = "linux/arm64".parse().unwrap();
        let foreign = if Platform::host() == amd { &arm } else { &amd };
        assert!(check_platform("x", &Platform::host(), None).unwrap().is_empty());
        assert_eq!(check_platform("x", foreign, None).unwrap().len(), 1);
        assert!(check_platform("x", foreign, Some(foreign)).unwrap().is_empty());
        assert!(check_platform("x", &amd, Some(&arm)).unwrap_err().to_string().contains("linux/arm64"));
    }
}
