//! Images as lists and inspections show them.

use ross_api::v1::{
    CommitContainerRequest, HistoryEntry, ImageConfig, ImageSummary, ImportOptions, InspectImageResponse,
    LayerInfo, Platform, load_images_response::Loaded,
};
use ross_engine::model::{CommitRequest, ImportRequest, Timestamp};
use ross_image::{History, Image};
use ross_types::ImageRef;

use tonic::Status;

use super::time;
use crate::status::invalid;

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

/// One line of a list, by these of its references; `size` is that of its files.
pub fn summary(image: &Image, references: &[&ImageRef], containers: u32, size: u64) -> ImageSummary {
    let platform = &image.record.platform;
    ImageSummary {
        id: image.record.id.to_string(),
        repo_tags: tags(references.iter().copied()),
        repo_digests: digests(image, references),
        created: created(image.record.created.as_ref()),
        size_bytes: size,
        containers,
        labels: image.config.config.labels.clone().into_iter().collect(),
        platform: Some(Platform {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone().unwrap_or_default(),
        }),
    }
}

/// One image in full; `sizes` are those of the files of its layers.
pub fn inspection(image: &Image, containers: u32, sizes: &[u64]) -> InspectImageResponse {
    let defaults = &image.config.config;
    let references: Vec<_> = image.record.references.iter().collect();
    InspectImageResponse {
        summary: Some(summary(image, &references, containers, sizes.iter().sum())),
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
            on_build: defaults.on_build.clone(),
            healthcheck: defaults.healthcheck.as_ref().map(|health| health.test.clone()).unwrap_or_default(),
        }),
        author: image.config.author.clone(),
        history: history(&image.config.history, sizes),
        raw_config: image.raw_config.clone().into(),
        comment: image.config.history.last().map(|step| step.comment.clone()).unwrap_or_default(),
        pulled_at: Some(time::message(Timestamp::from_unix_nanos(image.record.pulled_at))),
    }
}

/// The steps of a history, each with the size of the layer it made. A history may be missing, or shorter than the
/// layers: nobody checks it.
fn history(steps: &[History], sizes: &[u64]) -> Vec<HistoryEntry> {
    let mut sizes = sizes.iter();
    let step = |step: &History| {
        let size = if step.empty_layer { None } else { sizes.next() };
        entry(step, size.copied().unwrap_or(0))
    };
    steps.iter().map(step).collect()
}

fn entry(entry: &History, size: u64) -> HistoryEntry {
    HistoryEntry {
        created: created(entry.created.as_ref()),
        created_by: entry.created_by.clone(),
        comment: entry.comment.clone(),
        empty_layer: entry.empty_layer,
        size_bytes: size,
    }
}

/// A tag that is to lead to an image; none when the text is empty.
fn tag(text: &str) -> Result<Option<ImageRef>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let reference: ImageRef = text.parse().map_err(|error| invalid("reference", error))?;
    if reference.digest().is_some() {
        return Err(invalid(
            "reference",
            format!("`{text}` has a digest: give a name with or without a tag"),
        ));
    }
    Ok(Some(reference))
}

/// How to make an image of a container.
pub fn commit(request: CommitContainerRequest) -> Result<CommitRequest, Status> {
    Ok(CommitRequest {
        reference: tag(&request.reference)?,
        author: request.author,
        message: request.message,
        changes: request.changes,
        pause: !request.no_pause,
    })
}

/// How to make an image of an archive.
pub fn import(options: ImportOptions) -> Result<ImportRequest, Status> {
    let platform = match options.platform.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| invalid("platform", error))?),
    };
    Ok(ImportRequest {
        reference: tag(&options.reference)?,
        message: options.message,
        changes: options.changes,
        platform,
    })
}

/// An image that came out of an archive, by the names it has there.
pub fn loaded(loaded: &ross_image::Loaded) -> Loaded {
    Loaded { id: loaded.image.record.id.to_string(), references: tags(&loaded.names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_and_sizes() {
        let steps = |empty: &[bool]| -> Vec<History> {
            empty.iter().map(|empty| History { empty_layer: *empty, ..History::default() }).collect()
        };
        let check = |empty: &[bool], sizes: &[u64], expected: &[u64]| {
            let found: Vec<u64> = history(&steps(empty), sizes).iter().map(|step| step.size_bytes).collect();
            assert_eq!(found, expected, "{empty:?} {sizes:?}");
        };
        check(&[false, true, false], &[5, 7], &[5, 0, 7]);
        check(&[false, false], &[5], &[5, 0]);
        check(&[true], &[5], &[0]);
        check(&[], &[5], &[]);
    }

    #[test]
    fn tags() {
        assert_eq!(tag("").unwrap(), None);
        assert_eq!(tag("a:1").unwrap().unwrap().familiar(), "a:1");
        for bad in ["A", &format!("a@sha256:{}", "ab".repeat(32))] {
            assert_eq!(tag(bad).unwrap_err().code(), tonic::Code::InvalidArgument, "{bad}");
        }
    }
}
