//! What takes the disk: sums as docker shows them, and each object.

use jiff::Timestamp;
use ross_api::v1::DiskUsageResponse;
use ross_api::v1::disk_usage_response::Kind;

use super::image::id;
use super::table::{shorten, table};
use super::units::{ago, decimal_size};

const NONE: &str = "<none>";
const COMMAND_LENGTH: usize = 20;

/// A row for each kind of object.
pub fn sums(usage: &DiskUsageResponse) -> String {
    let title = |kind: &Kind| match kind.name.as_str() {
        "images" => "Images".to_owned(),
        "containers" => "Containers".to_owned(),
        "volumes" => "Local Volumes".to_owned(),
        other => other.to_owned(),
    };
    let rows: Vec<Vec<String>> = usage
        .kinds
        .iter()
        .map(|kind| {
            let percent = (kind.reclaimable_bytes * 100).checked_div(kind.size_bytes);
            let share = percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
            vec![
                title(kind),
                kind.total.to_string(),
                kind.active.to_string(),
                decimal_size(kind.size_bytes),
                format!("{}{share}", decimal_size(kind.reclaimable_bytes)),
            ]
        })
        .collect();
    table(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], &rows)
}

/// A table for each kind of object.
pub fn objects(usage: &DiskUsageResponse, now: Timestamp) -> String {
    let images = usage.images.iter().flat_map(|image| {
        let none = vec![format!("{NONE}:{NONE}")];
        let names = if image.repo_tags.is_empty() { none } else { image.repo_tags.clone() };
        names.into_iter().map(|name| {
            let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, NONE));
            vec![
                repository.to_owned(),
                tag.to_owned(),
                id(&image.id, false).to_owned(),
                ago(image.created.as_ref(), now),
                decimal_size(image.size_bytes),
                decimal_size(image.shared_bytes),
                decimal_size(image.size_bytes.saturating_sub(image.shared_bytes)),
                image.containers.to_string(),
            ]
        })
    });
    let containers = usage.containers.iter().map(|container| {
        vec![
            id(&container.id, false).to_owned(),
            container.image.clone(),
            format!("\"{}\"", shorten(&container.command, COMMAND_LENGTH)),
            container.volumes.to_string(),
            decimal_size(container.size_bytes),
            ago(container.created.as_ref(), now),
            container.status.clone(),
            container.name.clone(),
        ]
    });
    let volumes = usage
        .volumes
        .iter()
        .map(|volume| vec![volume.name.clone(), volume.links.to_string(), decimal_size(volume.size_bytes)]);
    let of_images =
        ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"];
    let of_containers =
        ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
    format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}",
        table(&of_images, &images.collect::<Vec<_>>()),
        table(&of_containers, &containers.collect::<Vec<_>>()),
        table(&["VOLUME NAME", "LINKS", "SIZE"], &volumes.collect::<Vec<_>>()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ross_api::v1::disk_usage_response::{Image, Volume};

    #[test]
    fn shows() {
        let kind = |name: &str, size_bytes, reclaimable_bytes| Kind {
            name: name.to_owned(),
            total: 3,
            active: 1,
            size_bytes,
            reclaimable_bytes,
        };
        let image = |tags: &[&str]| Image {
            id: format!("sha256:{}", "ab".repeat(32)),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            size_bytes: 3_000_000,
            shared_bytes: 1_000_000,
            ..Image::default()
        };
        let usage = DiskUsageResponse {
            kinds: vec![kind("images", 2_000_000, 500_000), kind("volumes", 0, 0)],
            images: vec![image(&["127.0.0.1:5000/a:1"]), image(&[])],
            volumes: vec![Volume { name: "data".to_owned(), links: 2, size_bytes: 5 }],
            ..DiskUsageResponse::default()
        };
        assert_eq!(
            sums(&usage),
            "TYPE            TOTAL   ACTIVE   SIZE   RECLAIMABLE\n\
             Images          3       1        2MB    500kB (25%)\n\
             Local Volumes   3       1        0B     0B\n"
        );
        let text = objects(&usage, Timestamp::UNIX_EPOCH);
        for part in [
            "127.0.0.1:5000/a   1",
            "<none>             <none>",
            "3MB    1MB           2MB",
            "data          2       5B",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }
}
