//! Containers as JSON, with stable keys in snake_case.

use prost_types::{Duration, Timestamp};
use ross_api::v1::{
    ContainerState, ContainerStatus, ContainerSummary, CreateContainerRequest, Healthcheck,
    InspectContainerResponse, LogOptions, Mount, NetworkOptions, NetworkStatus, PortMapping, Resources,
    SecurityOptions, mount::Type,
};
use serde_json::{Value, json};

use super::units::{moment, rfc3339};

/// One line of `ps`.
pub fn summary(container: &ContainerSummary) -> Value {
    json!({
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "image_id": container.image_id,
        "command": container.command,
        "created": time(container.created.as_ref()),
        "state": state(container.state()),
        "status": container.status,
        "exit_code": container.exit_code,
        "ports": ports(&container.ports),
        "labels": container.labels,
        "network_mode": container.network_mode,
        "ipv4_address": container.ipv4_address,
        "size_rw_bytes": container.size_rw_bytes,
        "size_root_bytes": container.size_root_bytes,
    })
}

/// One container in full.
pub fn inspection(container: &InspectContainerResponse) -> Value {
    let summary = container.summary.clone().unwrap_or_default();
    json!({
        "id": summary.id,
        "name": summary.name,
        "image": summary.image,
        "image_id": summary.image_id,
        "command": summary.command,
        "created": time(summary.created.as_ref()),
        "state": container.status.as_ref().map(status),
        "status": summary.status,
        "restart_count": container.restart_count,
        "config": container.config.as_ref().map(config),
        "network": container.network.as_ref().map(network),
        "log_path": container.log_path,
        "rootfs_path": container.rootfs_path,
        "hosts_path": container.hosts_path,
        "resolv_conf_path": container.resolv_conf_path,
        "exec_ids": container.exec_ids,
        "size_rw_bytes": summary.size_rw_bytes,
        "size_root_bytes": summary.size_root_bytes,
    })
}

/// The word for a state.
pub fn state(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Unspecified => "unknown",
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
        ContainerState::Removing => "removing",
    }
}

/// RFC 3339, or null.
pub fn time(time: Option<&Timestamp>) -> Value {
    time.and_then(moment).map_or(Value::Null, |moment| rfc3339(moment).into())
}

fn status(status: &ContainerStatus) -> Value {
    let now = status.state();
    json!({
        "status": state(now),
        "running": matches!(now, ContainerState::Running | ContainerState::Paused),
        "paused": now == ContainerState::Paused,
        "restarting": now == ContainerState::Restarting,
        "pid": status.pid,
        "exit_code": status.exit_code,
        "oom_killed": status.oom_killed,
        "error": status.error,
        "started_at": time(status.started_at.as_ref()),
        "finished_at": time(status.finished_at.as_ref()),
        "health": status.health,
    })
}

fn network(network: &NetworkStatus) -> Value {
    json!({
        "mode": network.mode,
        "namespace_path": network.namespace_path,
        "ipv4_address": network.ipv4_address,
        "ipv4_prefix_len": network.ipv4_prefix_len,
        "ipv4_gateway": network.ipv4_gateway,
        "mac_address": network.mac_address,
        "ports": ports(&network.ports),
    })
}

fn ports(ports: &[PortMapping]) -> Value {
    ports
        .iter()
        .map(|port| {
            json!({
                "host_ip": port.host_ip,
                "host_port": port.host_port,
                "container_port": port.container_port,
                "protocol": if port.protocol.is_empty() { "tcp" } else { &port.protocol },
            })
        })
        .collect()
}

fn config(config: &CreateContainerRequest) -> Value {
    json!({
        "image": config.image,
        "cmd": config.cmd,
        "entrypoint": config.entrypoint.as_ref().map(|entrypoint| &entrypoint.args),
        "env": config.env,
        "working_dir": config.working_dir,
        "user": config.user,
        "group_add": config.group_add,
        "hostname": config.hostname,
        "domainname": config.domainname,
        "labels": config.labels,
        "annotations": config.annotations,
        "tty": config.tty,
        "open_stdin": config.open_stdin,
        "stdin_once": config.stdin_once,
        "init": config.init,
        "stop_signal": config.stop_signal,
        "stop_timeout_secs": config.stop_timeout_secs,
        "auto_remove": config.auto_remove,
        "restart": config.restart.as_ref().map(|policy| json!({
            "name": policy.name,
            "max_retries": policy.max_retries,
        })),
        "network": config.network.as_ref().map(network_options),
        "extra_hosts": config.extra_hosts,
        "mounts": config.mounts.iter().map(mount).collect::<Value>(),
        "volumes_from": config.volumes_from,
        "shm_size_bytes": config.shm_size_bytes,
        "resources": config.resources.as_ref().map(resources),
        "ulimits": config.ulimits.iter().map(|limit| json!({
            "name": limit.name,
            "soft": limit.soft,
            "hard": limit.hard,
        })).collect::<Value>(),
        "oom_score_adj": config.oom_score_adj,
        "security": config.security.as_ref().map(security),
        "sysctls": config.sysctls,
        "log": config.log.as_ref().map(log),
        "healthcheck": config.healthcheck.as_ref().map(healthcheck),
        "pid_mode": config.pid_mode,
        "ipc_mode": config.ipc_mode,
        "uts_mode": config.uts_mode,
        "cgroupns_mode": config.cgroupns_mode,
        "userns_mode": config.userns_mode,
        "platform": config.platform,
    })
}

fn network_options(network: &NetworkOptions) -> Value {
    json!({
        "mode": network.mode,
        "ports": ports(&network.ports),
        "exposed_ports": network.exposed_ports,
        "publish_all": network.publish_all,
        "aliases": network.aliases,
        "ipv4_address": network.ipv4_address,
        "ipv6_address": network.ipv6_address,
        "mac_address": network.mac_address,
        "dns_servers": network.dns_servers,
        "dns_search": network.dns_search,
        "dns_options": network.dns_options,
    })
}

fn mount(mount: &Mount) -> Value {
    let kind = match mount.r#type() {
        Type::Unspecified => "",
        Type::Bind => "bind",
        Type::Volume => "volume",
        Type::Tmpfs => "tmpfs",
        Type::Image => "image",
    };
    json!({
        "type": kind,
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only,
        "propagation": mount.propagation,
        "create_source": mount.create_source,
        "non_recursive": mount.non_recursive,
        "no_copy": mount.no_copy,
        "tmpfs_size_bytes": mount.tmpfs_size_bytes,
        "tmpfs_mode": mount.tmpfs_mode,
        "tmpfs_options": mount.tmpfs_options,
        "labels": mount.labels,
    })
}

fn resources(limits: &Resources) -> Value {
    json!({
        "nano_cpus": limits.nano_cpus,
        "cpu_shares": limits.cpu_shares,
        "cpu_period_us": limits.cpu_period_us,
        "cpu_quota_us": limits.cpu_quota_us,
        "cpuset_cpus": limits.cpuset_cpus,
        "cpuset_mems": limits.cpuset_mems,
        "memory_bytes": limits.memory_bytes,
        "memory_reservation_bytes": limits.memory_reservation_bytes,
        "memory_swap_bytes": limits.memory_swap_bytes,
        "pids_limit": limits.pids_limit,
        "blkio_weight": limits.blkio_weight,
        "io_limits": limits.io_limits.iter().map(|limit| json!({
            "path": limit.path,
            "read_bps": limit.read_bps,
            "write_bps": limit.write_bps,
            "read_iops": limit.read_iops,
            "write_iops": limit.write_iops,
        })).collect::<Value>(),
        "devices": limits.devices.iter().map(|device| json!({
            "host_path": device.host_path,
            "container_path": device.container_path,
            "permissions": device.permissions,
        })).collect::<Value>(),
        "device_cgroup_rules": limits.device_cgroup_rules,
        "cgroup_parent": limits.cgroup_parent,
    })
}

fn security(security: &SecurityOptions) -> Value {
    json!({
        "privileged": security.privileged,
        "read_only_rootfs": security.read_only_rootfs,
        "no_new_privileges": security.no_new_privileges,
        "cap_add": security.cap_add,
        "cap_drop": security.cap_drop,
        "seccomp_profile": security.seccomp_profile,
        "apparmor_profile": security.apparmor_profile,
        "selinux_labels": security.selinux_labels,
        "unmask_system_paths": security.unmask_system_paths,
    })
}

fn log(log: &LogOptions) -> Value {
    json!({
        "driver": log.driver,
        "max_size_bytes": log.max_size_bytes,
        "max_files": log.max_files,
        "options": log.options,
    })
}

fn healthcheck(health: &Healthcheck) -> Value {
    json!({
        "test": health.test,
        "interval_seconds": seconds(health.interval.as_ref()),
        "timeout_seconds": seconds(health.timeout.as_ref()),
        "start_period_seconds": seconds(health.start_period.as_ref()),
        "start_interval_seconds": seconds(health.start_interval.as_ref()),
        "retries": health.retries,
    })
}

fn seconds(span: Option<&Duration>) -> Option<f64> {
    span.and_then(|span| std::time::Duration::try_from(*span).ok()).map(|span| span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspections_have_every_part() {
        let container = InspectContainerResponse {
            summary: Some(ContainerSummary { id: "ab".to_owned(), ..ContainerSummary::default() }),
            status: Some(ContainerStatus {
                state: ContainerState::Paused.into(),
                started_at: Some(Timestamp { seconds: 1, nanos: 5 }),
                ..ContainerStatus::default()
            }),
            config: Some(CreateContainerRequest {
                healthcheck: Some(Healthcheck {
                    interval: Some(Duration { seconds: 1, nanos: 500_000_000 }),
                    ..Healthcheck::default()
                }),
                mounts: vec![Mount { r#type: Type::Bind.into(), ..Mount::default() }],
                ..CreateContainerRequest::default()
            }),
            ..InspectContainerResponse::default()
        };
        let json = inspection(&container);
        assert_eq!(json["state"]["status"], "paused");
        assert_eq!((&json["state"]["running"], &json["state"]["paused"]), (&json!(true), &json!(true)));
        assert_eq!(json["state"]["started_at"], "1970-01-01T00:00:01.000000005Z");
        assert_eq!(json["state"]["finished_at"], Value::Null);
        assert_eq!(json["config"]["healthcheck"]["interval_seconds"], 1.5);
        assert_eq!(json["config"]["mounts"][0]["type"], "bind");
        assert_eq!(json["network"], Value::Null);
    }
}
