//! Images as lists and inspections show them.

use ross_api::v1::{
    HistoryEntry, ImageConfig, ImageSummary, InspectImageResponse, LayerInfo, Platform,
    load_images_response::Loaded,
};
use ross_engine::model::Timestamp;
use ross_image::{History, Image};
use ross_types::ImageRef;

use super::time;

fn created(text: Option<&String>) -> Option<prost_types::Timestamp> {
    text.and_then(|text| Timestamp::parse(text)).map(time::message)
}

/// Names with tags, in their familiar form.
fn tags<'a>(references: impl IntoIterator<Item = &'a ImageRef>) -> Vec<String> {
    let tagged = references.into_iter().filter(|reference| reference.digest().is_none());
    tagged.map(ImageRef::familiar).collect()
}

/// What registries know the image by, in the repositories of `shown`: a name given here has no digest there.
fn digests(image: &Image, shown: &[&ImageRef]) -> Vec<String> {
    let is_shown = |own: &&ImageRef| shown.iter().any(|one| one.familiar_name() == own.familiar_name());
    let pinned = image.record.references.iter().filter(is_shown);
    pinned.filter_map(|own| Some(format!("{}@{}", own.familiar_name(), own.digest()?))).collect()
}

/// One line of a list, by these of its references.
pub fn summary(image: &Image, references: &[&ImageRef], containers: u32) -> ImageSummary {
    let platform = &image.record.platform;
    ImageSummary {
        id: image.record.id.to_string(),
        repo_tags: tags(references.iter().copied()),
        repo_digests: digests(image, references),
        created: created(image.record.created.as_ref()),
        size_bytes: image.record.size,
        containers,
        labels: image.config.config.labels.clone().into_iter().collect(),
        platform: Some(Platform {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone().unwrap_or_default(),
        }),
    }
}

/// One image in full.
pub fn inspection(image: &Image, containers: u32) -> InspectImageResponse {
    let defaults = &image.config.config;
    let references: Vec<_> = image.record.references.iter().collect();
    InspectImageResponse {
        summary: Some(summary(image, &references, containers)),
        manifest_digest: image.record.manifest.to_string(),
        manifest_media_type: image.record.media_type.clone(),
        layers: image
            .record
            .layers
            .iter()
            .map(|layer| LayerInfo {
                diff_id: layer.diff_id.to_string(),
                blob_digest: layer.blob.to_string(),
                compressed_bytes: layer.size,
            })
            .collect(),
        config: Some(ImageConfig {
            user: defaults.user.clone(),
            env: defaults.env.clone(),
            entrypoint: defaults.entrypoint.clone(),
            cmd: defaults.cmd.clone(),
            working_dir: defaults.working_dir.clone(),
            exposed_ports: defaults.exposed_ports.clone(),
            volumes: defaults.volumes.clone(),
            labels: defaults.labels.clone().into_iter().collect(),
            stop_signal: defaults.stop_signal.clone(),
            shell: defaults.shell.clone(),
            healthcheck: defaults.healthcheck.as_ref().map(|health| health.test.clone()).unwrap_or_default(),
        }),
        author: image.config.author.clone(),
        history: image.config.history.iter().map(history).collect(),
        raw_config: image.raw_config.clone().into(),
    }
}

fn history(entry: &History) -> HistoryEntry {
    HistoryEntry {
        created: created(entry.created.as_ref()),
        created_by: entry.created_by.clone(),
        comment: entry.comment.clone(),
        empty_layer: entry.empty_layer,
    }
}

/// An image that came out of an archive, by the names it has there.
pub fn loaded(loaded: &ross_image::Loaded) -> Loaded {
    Loaded { id: loaded.image.record.id.to_string(), references: tags(&loaded.names) }
}
