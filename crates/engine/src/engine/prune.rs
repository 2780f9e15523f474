//! Giving the disk back, and what takes it. What a container, image or volume is to somebody is looked at again at the
//! moment it is removed.

use std::collections::HashMap;

use ross_image::snapshot::measure_directory;
use ross_image::{Image, Pruned, Removed};
use ross_types::{Digest, ErrorKind};

use super::Engine;
use super::images::user_of;
use crate::container::{Command, Handle};
use crate::context::Context;
use crate::error::{EngineError, Result};
use crate::list;
use crate::model::{
    ContainerState, DiskUsage, EventKind, ListQuery, Mount, MountKind, PruneFilters, PrunedContainers,
    PrunedImages, PrunedVolumes, RemoveOptions, Timestamp, VolumeUse,
};
use crate::task::{blocking, detached};
use crate::volumes;

impl Engine {
    /// Removes containers that do not run.
    ///
    /// # Errors
    /// When nothing can be removed at all; a container that cannot be is told in the answer, and the others go.
    pub async fn prune_containers(&self, filters: PruneFilters) -> Result<PrunedContainers> {
        let context = self.context.clone();
        detached(async move {
            let mut pruned = PrunedContainers::default();
            for handle in context.registry.all() {
                let view = handle.view();
                let ended = matches!(
                    view.run.state,
                    ContainerState::Created | ContainerState::Exited | ContainerState::Dead
                );
                if !ended || !filters.accept(Some(view.created), &view.config.labels) {
                    continue;
                }
                let bytes = {
                    let (context, view) = (context.clone(), view.clone());
                    blocking(move || list::size_of_container(&context, &view)).await
                };
                // Without force: one that was started meanwhile stays.
                let options = RemoveOptions { force: false, volumes: false };
                match handle.call(|reply| Command::Remove { options, reply }).await {
                    Ok(()) => {
                        pruned.removed.push(view.id.clone());
                        pruned.bytes += bytes.unwrap_or(0);
                    }
                    // It was started or removed meanwhile: then it is not one of those to go.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::FailedPrecondition | ErrorKind::NotFound) => {}
                    Err(error) => pruned.failed.push(error.sentence()),
                }
            }
            Ok(pruned)
        })
        .await
    }

    /// Removes images that no container uses: those without a tag, or with `all` every one. Without a filter also the
    /// beginnings of downloads that nobody goes on with.
    ///
    /// # Errors
    /// When records cannot be read; an image that cannot be removed is told in the answer, and the others go.
    pub async fn prune_images(&self, all: bool, filters: PruneFilters) -> Result<PrunedImages> {
        let context = self.context.clone();
        blocking(move || {
            // What the filter says goes before what is usual.
            let all = filters.dangling().map_or(all, |dangling| !dangling);
            let wanted = |image: &Image| {
                let tagged = image.record.references.iter().any(|reference| reference.digest().is_none());
                let made = image.record.created.as_ref().and_then(|text| Timestamp::parse(text));
                (all || !tagged) && filters.accept(made, &image.config.config.labels)
            };
            let in_use = |id: &Digest| user_of(&context, id);
            let pruned = context.images.prune(&wanted, &in_use);
            context.db.keep_reserve();
            let pruned = pruned.map_err(|error| {
                EngineError::new(error.kind(), "images", "prune the images").caused_by(error)
            })?;
            for step in &pruned.removed {
                let (action, id) = match step {
                    Removed::Untagged(reference) => ("untag", reference.clone()),
                    Removed::Deleted(id) => ("delete", id.to_string()),
                };
                context.events.tell(EventKind::Image, action, &id, std::collections::BTreeMap::new());
            }
            let begun = if filters == PruneFilters::default() {
                let listing =
                    |error| Pruned { failed: vec![("begun downloads".into(), error)], ..Pruned::default() };
                context.images.prune_beginnings().unwrap_or_else(listing)
            } else {
                Pruned::default()
            };
            let failed = pruned.failed.into_iter().chain(begun.failed).map(|(what, error)| {
                EngineError::new(error.kind(), "images", format!("remove {what}")).caused_by(error).sentence()
            });
            let (bytes, failed) = (pruned.bytes + begun.bytes, failed.collect());
            Ok(PrunedImages { removed: pruned.removed, bytes, failed })
        })
        .await
    }

    /// Removes volumes that no container mounts: those without a name of their own, or with `all` every one.
    ///
    /// # Errors
    /// When a time is asked for, which volumes are not pruned by, or the volumes cannot be read.
    pub async fn prune_volumes(&self, all: bool, filters: PruneFilters) -> Result<PrunedVolumes> {
        if filters.has_until() {
            return Err(EngineError::invalid("filter", "`until` is no filter of volumes"));
        }
        let context = self.context.clone();
        blocking(move || {
            let mut pruned = PrunedVolumes::default();
            let links = links(&context)?;
            for row in context.db.volumes()? {
                if !(all || row.anonymous)
                    || links.contains_key(&row.name)
                    || !filters.accept(Some(row.created), &row.labels)
                {
                    continue;
                }
                let bytes = volume_bytes(&context, &row.name).unwrap_or(0);
                match volumes::remove_unused(&row.name, &context.paths, &context.db, &context.volumes) {
                    Ok(true) => {
                        pruned.removed.push(row.name);
                        pruned.bytes += bytes;
                    }
                    // It was taken into use meanwhile.
                    Ok(false) => {}
                    Err(error) => pruned.failed.push(error.sentence()),
                }
            }
            Ok(pruned)
        })
        .await
    }

    /// What takes the disk: images by their records, containers and volumes measured.
    ///
    /// # Errors
    /// When records cannot be read.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        let context = self.context.clone();
        blocking(move || {
            let images = context.images.disk_use().map_err(|error| {
                EngineError::new(error.kind(), "images", "measure the images").caused_by(error)
            })?;
            let mut image_uses = HashMap::new();
            for view in context.registry.all().iter().map(Handle::view) {
                *image_uses.entry(view.image_id.clone()).or_insert(0) += 1;
            }
            let containers =
                list::list(&context, &ListQuery { all: true, size: true, ..ListQuery::default() })?;
            let links = links(&context)?;
            let volume = |row: crate::db::VolumeRow| VolumeUse {
                links: links.get(&row.name).copied().unwrap_or(0),
                bytes: volume_bytes(&context, &row.name).unwrap_or(0),
                name: row.name,
            };
            let volumes = context.db.volumes()?.into_iter().map(volume).collect();
            Ok(DiskUsage { images, image_uses, containers, volumes })
        })
        .await
    }
}

/// How many containers mount each volume.
fn links(context: &Context) -> Result<HashMap<String, u32>> {
    let mut links = HashMap::new();
    for row in context.db.containers()? {
        let mut names: Vec<String> = row.config.mounts.into_iter().filter_map(volume_of).collect();
        names.sort();
        names.dedup();
        for name in names {
            *links.entry(name).or_insert(0) += 1;
        }
    }
    Ok(links)
}

fn volume_of(mount: Mount) -> Option<String> {
    match mount.kind {
        MountKind::Volume { name, .. } => Some(name),
        _ => None,
    }
}

fn volume_bytes(context: &Context, name: &str) -> Option<u64> {
    match measure_directory(&context.paths.volume_data(name)) {
        Ok(usage) => Some(usage.bytes),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(volume = name, error = &error as &dyn std::error::Error, "cannot be measured");
            }
            None
        }
    }
}
