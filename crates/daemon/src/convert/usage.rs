//! What takes the disk, and what was pruned, as messages.

use ross_api::v1::disk_usage_response::{Container, Image, Kind, Volume};
use ross_api::v1::{DiskUsageResponse, PruneResponse};
use ross_engine::model::{ContainerSummary, DiskUsage, MountKind, PrunedImages, Timestamp};
use ross_image::Removed;

use super::time;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The sums, and with `verbose` each object, the largest first.
pub fn disk_usage(usage: &DiskUsage, verbose: bool) -> DiskUsageResponse {
    let mut answer = DiskUsageResponse {
        kinds: vec![images(usage), containers(usage), volumes(usage)],
        ..Default::default()
    };
    if verbose {
        answer.images = usage.images.images.iter().map(|image| one_image(usage, image)).collect();
        answer.images.sort_by_key(|image| std::cmp::Reverse(image.size_bytes));
        answer.containers = usage.containers.iter().map(one_container).collect();
        answer.containers.sort_by_key(|container| std::cmp::Reverse(container.size_bytes));
        let volume = |volume: &ross_engine::model::VolumeUse| Volume {
            name: volume.name.clone(),
            links: volume.links,
            size_bytes: volume.bytes,
        };
        answer.volumes = usage.volumes.iter().map(volume).collect();
        answer.volumes.sort_by_key(|volume| std::cmp::Reverse(volume.size_bytes));
    }
    answer
}

fn images(usage: &DiskUsage) -> Kind {
    let used = |id: &ross_types::Digest| usage.image_uses.contains_key(id);
    Kind {
        name: "images".to_owned(),
        total: count(usage.images.images.len()),
        active: count(usage.images.images.iter().filter(|image| used(&image.record.id)).count()),
        size_bytes: usage.images.bytes(),
        reclaimable_bytes: usage.images.reclaimable(&used),
    }
}

fn containers(usage: &DiskUsage) -> Kind {
    let size = |container: &ContainerSummary| container.size_rw.unwrap_or(0);
    let runs = |container: &&ContainerSummary| {
        use ross_engine::model::ContainerState::Restarting;
        container.run.state.is_running() || container.run.state == Restarting
    };
    let all: u64 = usage.containers.iter().map(size).sum();
    let active: u64 = usage.containers.iter().filter(runs).map(size).sum();
    Kind {
        name: "containers".to_owned(),
        total: count(usage.containers.len()),
        active: count(usage.containers.iter().filter(runs).count()),
        size_bytes: all,
        reclaimable_bytes: all - active,
    }
}

fn volumes(usage: &DiskUsage) -> Kind {
    let unused = usage.volumes.iter().filter(|volume| volume.links == 0);
    Kind {
        name: "volumes".to_owned(),
        total: count(usage.volumes.len()),
        active: count(usage.volumes.iter().filter(|volume| volume.links > 0).count()),
        size_bytes: usage.volumes.iter().map(|volume| volume.bytes).sum(),
        reclaimable_bytes: unused.map(|volume| volume.bytes).sum(),
    }
}

fn one_image(usage: &DiskUsage, image: &ross_image::ImageDiskUse) -> Image {
    let tags = image.record.references.iter().filter(|reference| reference.digest().is_none());
    let created = image.record.created.as_ref().and_then(|text| Timestamp::parse(text));
    Image {
        id: image.record.id.to_string(),
        repo_tags: tags.map(ross_types::ImageRef::familiar).collect(),
        created: created.map(time::message),
        size_bytes: image.bytes,
        shared_bytes: image.shared,
        containers: usage.image_uses.get(&image.record.id).copied().unwrap_or(0),
    }
}

fn one_container(container: &ContainerSummary) -> Container {
    let volumes =
        container.config.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Volume { .. })).count();
    Container {
        id: container.id.to_string(),
        name: container.name.to_string(),
        image: container.image.clone(),
        command: container.config.command().join(" "),
        volumes: count(volumes),
        size_bytes: container.size_rw.unwrap_or(0),
        created: Some(time::message(container.created)),
        status: container.status.clone(),
    }
}

/// Adds what a prune of images came to.
pub fn pruned_images(answer: &mut PruneResponse, pruned: PrunedImages) {
    answer.reclaimed_bytes += pruned.bytes;
    answer.failures.extend(pruned.failed);
    for step in pruned.removed {
        match step {
            Removed::Untagged(name) => answer.untagged_images.push(name),
            Removed::Deleted(id) => answer.removed_images.push(id.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ross_engine::model::VolumeUse;
    use ross_image::{DiskUse, ImageDiskUse, ImageRecord, LayerUse};
    use ross_types::{Digest, Platform};

    use super::*;

    fn image(id: u8, bytes: u64, shared: u64) -> ImageDiskUse {
        let id = Digest::sha256([id; 32]);
        let record = ImageRecord {
            manifest: id.clone(),
            id,
            media_type: String::new(),
            platform: Platform::host(),
            layers: Vec::new(),
            size: 1,
            created: None,
            pulled_at: 0,
            references: Vec::new(),
        };
        ImageDiskUse { record, bytes, shared }
    }

    #[test]
    fn what_is_shared_counts_once_and_goes_with_its_last_image() {
        let ids = [Digest::sha256([1; 32]), Digest::sha256([2; 32])];
        let layer = |key: &str, bytes, images: &[Digest]| LayerUse {
            key: key.into(),
            bytes,
            images: images.to_vec(),
        };
        let usage = DiskUsage {
            images: DiskUse {
                images: vec![image(1, 111, 100), image(2, 1101, 100)],
                layers: vec![layer("a", 100, &ids), layer("b", 10, &ids[..1]), layer("c", 1000, &ids[1..])],
                begun: 0,
            },
            image_uses: HashMap::from([(ids[0].clone(), 3)]),
            containers: Vec::new(),
            volumes: vec![
                VolumeUse { name: "used".into(), links: 1, bytes: 5 },
                VolumeUse { name: "unused".into(), links: 0, bytes: 7 },
            ],
        };
        let answer = disk_usage(&usage, true);
        let sums: Vec<_> = answer
            .kinds
            .iter()
            .map(|kind| {
                (kind.name.as_str(), kind.total, kind.active, kind.size_bytes, kind.reclaimable_bytes)
            })
            .collect();
        assert_eq!(
            sums,
            [("images", 2, 1, 1112, 1001), ("containers", 0, 0, 0, 0), ("volumes", 2, 1, 12, 7)],
            "each image's own configuration is one byte here"
        );
        assert_eq!((answer.images[0].size_bytes, answer.images[1].containers), (1101, 3));
        assert_eq!(answer.volumes[0].name, "unused");
        assert!(disk_usage(&usage, false).images.is_empty());
    }
}
