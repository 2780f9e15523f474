//! Images and the daemon as JSON, with stable keys in snake_case.

use ross_api::v1::{
    DiskUsageResponse, HealthResponse, HistoryEntry, ImageConfig, ImageSummary, InfoResponse,
    InspectImageResponse, PruneResponse, VersionResponse, health_response, search_images_response,
};
use serde_json::{Value, json};

use super::json::time;

/// One line of `images`.
pub fn summary(image: &ImageSummary) -> Value {
    json!({
        "id": image.id,
        "repo_tags": image.repo_tags,
        "repo_digests": image.repo_digests,
        "created": time(image.created.as_ref()),
        "size_bytes": image.size_bytes,
        "containers": image.containers,
        "labels": image.labels,
        "platform": platform(image),
    })
}

fn platform(image: &ImageSummary) -> Value {
    image.platform.as_ref().map_or(Value::Null, |platform| {
        json!({
            "os": platform.os,
            "architecture": platform.architecture,
            "variant": platform.variant,
        })
    })
}

/// One image in full.
pub fn inspection(image: &InspectImageResponse) -> Value {
    let summary = image.summary.clone().unwrap_or_default();
    json!({
        "id": summary.id,
        "repo_tags": summary.repo_tags,
        "repo_digests": summary.repo_digests,
        "created": time(summary.created.as_ref()),
        "size_bytes": summary.size_bytes,
        "containers": summary.containers,
        "platform": platform(&summary),
        "author": image.author,
        // An image of ross has none: what it stands on is its layers.
        "parent": "",
        "comment": image.comment,
        "architecture": summary.platform.as_ref().map(|platform| &platform.architecture),
        "variant": summary.platform.as_ref().map(|platform| &platform.variant),
        "os": summary.platform.as_ref().map(|platform| &platform.os),
        "rootfs": {
            "type": "layers",
            "layers": image.layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(),
        },
        "metadata": { "pulled_at": time(image.pulled_at.as_ref()) },
        "manifest_digest": image.manifest_digest,
        "manifest_media_type": image.manifest_media_type,
        "config": image.config.as_ref().map(config),
        "layers": image.layers.iter().map(|layer| json!({
            "diff_id": layer.diff_id,
            "blob_digest": layer.blob_digest,
            "compressed_bytes": layer.compressed_bytes,
        })).collect::<Value>(),
        "history": image.history.iter().map(step).collect::<Value>(),
    })
}

fn step(entry: &HistoryEntry) -> Value {
    json!({
        "created": time(entry.created.as_ref()),
        "created_by": entry.created_by,
        "comment": entry.comment,
        "empty_layer": entry.empty_layer,
        "size_bytes": entry.size_bytes,
    })
}

/// The history of an image, newest step first.
pub fn history(image: &InspectImageResponse) -> Value {
    image.history.iter().rev().map(step).collect()
}

/// What takes the disk.
pub fn disk_usage(usage: &DiskUsageResponse) -> Value {
    json!({
        "kinds": usage.kinds.iter().map(|kind| json!({
            "name": kind.name,
            "total": kind.total,
            "active": kind.active,
            "size_bytes": kind.size_bytes,
            "reclaimable_bytes": kind.reclaimable_bytes,
        })).collect::<Value>(),
        "images": usage.images.iter().map(|image| json!({
            "id": image.id,
            "repo_tags": image.repo_tags,
            "created": time(image.created.as_ref()),
            "size_bytes": image.size_bytes,
            "shared_bytes": image.shared_bytes,
            "unique_bytes": image.size_bytes.saturating_sub(image.shared_bytes),
            "containers": image.containers,
        })).collect::<Value>(),
        "containers": usage.containers.iter().map(|container| json!({
            "id": container.id,
            "name": container.name,
            "image": container.image,
            "command": container.command,
            "volumes": container.volumes,
            "size_bytes": container.size_bytes,
            "created": time(container.created.as_ref()),
            "status": container.status,
        })).collect::<Value>(),
        "volumes": usage.volumes.iter().map(|volume| json!({
            "name": volume.name,
            "links": volume.links,
            "size_bytes": volume.size_bytes,
        })).collect::<Value>(),
    })
}

/// What a prune removed.
pub fn pruned(pruned: &PruneResponse) -> Value {
    json!({
        "removed_containers": pruned.removed_containers,
        "removed_images": pruned.removed_images,
        "untagged_images": pruned.untagged_images,
        "removed_volumes": pruned.removed_volumes,
        "reclaimed_bytes": pruned.reclaimed_bytes,
        "failures": pruned.failures,
    })
}

fn config(config: &ImageConfig) -> Value {
    json!({
        "user": config.user,
        "env": config.env,
        "entrypoint": config.entrypoint,
        "cmd": config.cmd,
        "working_dir": config.working_dir,
        "exposed_ports": config.exposed_ports,
        "volumes": config.volumes,
        "labels": config.labels,
        "stop_signal": config.stop_signal,
        "shell": config.shell,
        "on_build": config.on_build,
        "healthcheck": config.healthcheck,
    })
}

/// One result of a search.
pub fn found(result: &search_images_response::Result) -> Value {
    json!({
        "name": result.name,
        "description": result.description,
        "stars": result.stars,
        "official": result.official,
    })
}

/// The health of the daemon.
pub fn health(health: &HealthResponse) -> Value {
    let status = match health.status() {
        health_response::Status::Unspecified => "unknown",
        health_response::Status::Serving => "serving",
        health_response::Status::Degraded => "degraded",
    };
    json!({
        "status": status,
        "checks": health.checks.iter().map(|check| json!({
            "name": check.name,
            "ok": check.ok,
            "message": check.message,
        })).collect::<Value>(),
    })
}

/// The versions of both sides.
pub fn version(client: &str, server: &VersionResponse) -> Value {
    json!({
        "client": { "version": client },
        "server": {
            "version": server.version,
            "api_version": server.api_version,
            "commit": server.commit,
            "os": server.os,
            "architecture": server.architecture,
            "kernel_version": server.kernel_version,
            "runtime_spec_version": server.runtime_spec_version,
        },
    })
}

/// The daemon and its host.
pub fn info(info: &InfoResponse) -> Value {
    json!({
        "id": info.id,
        "host_name": info.host_name,
        "operating_system": info.operating_system,
        "kernel_version": info.kernel_version,
        "architecture": info.architecture,
        "cpus": info.cpus,
        "memory_bytes": info.memory_bytes,
        "root_dir": info.root_dir,
        "state_dir": info.state_dir,
        "containers": info.containers,
        "containers_running": info.containers_running,
        "containers_paused": info.containers_paused,
        "containers_stopped": info.containers_stopped,
        "images": info.images,
        "cgroup_version": info.cgroup_version,
        "cgroup_controllers": info.cgroup_controllers,
        "cgroup_driver": info.cgroup_driver,
        "security_options": info.security_options,
        "warnings": info.warnings,
        "server_version": info.server_version,
    })
}
