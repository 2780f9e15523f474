//! Mounts, bounds, rights, log and health check of a container: each from its message and back.

use ross_api::v1::{
    Device, DeviceThrottle, Healthcheck, LogOptions, Mount, Resources, SecurityOptions, Ulimit, mount::Type,
};
use ross_engine::model::{self, MountKind};
use tonic::Status;

use super::time::{span, span_message};
use crate::status::{invalid, of_engine};

/// A mount of a request.
pub fn mount(mount: Mount) -> Result<model::Mount, Status> {
    if !mount.target.starts_with('/') || mount.target.trim_matches('/').is_empty() {
        return Err(invalid("mounts.target", format!("`{}` is no absolute path below /", mount.target)));
    }
    let kind = match mount.r#type() {
        Type::Bind if !mount.source.starts_with('/') => {
            return Err(invalid(
                "mounts.source",
                format!("`{}` is no absolute path of the host", mount.source),
            ));
        }
        Type::Bind => MountKind::Bind {
            source: mount.source,
            create_source: mount.create_source,
            non_recursive: mount.non_recursive,
            propagation: mount.propagation.parse().map_err(|error| of_engine(&error))?,
        },
        Type::Volume => MountKind::Volume {
            anonymous: mount.source.is_empty(),
            name: mount.source,
            no_copy: mount.no_copy,
            labels: mount.labels.into_iter().collect(),
        },
        Type::Tmpfs => MountKind::Tmpfs {
            size: mount.tmpfs_size_bytes,
            mode: mount.tmpfs_mode,
            options: mount.tmpfs_options,
        },
        Type::Image if mount.source.is_empty() => return Err(invalid("mounts.source", "name an image")),
        Type::Image => MountKind::Image { reference: mount.source },
        Type::Unspecified => return Err(invalid("mounts.type", "say bind, volume, tmpfs or image")),
    };
    Ok(model::Mount { kind, target: mount.target, read_only: mount.read_only })
}

/// A mount as a message.
pub fn mount_message(mount: &model::Mount) -> Mount {
    let mut message = Mount { target: mount.target.clone(), read_only: mount.read_only, ..Mount::default() };
    match &mount.kind {
        MountKind::Bind { source, create_source, non_recursive, propagation } => {
            message.set_type(Type::Bind);
            message.source.clone_from(source);
            message.create_source = *create_source;
            message.non_recursive = *non_recursive;
            message.propagation = propagation.as_str().to_owned();
        }
        MountKind::Volume { name, no_copy, labels, anonymous: _ } => {
            message.set_type(Type::Volume);
            message.source.clone_from(name);
            message.no_copy = *no_copy;
            message.labels = labels.clone().into_iter().collect();
        }
        MountKind::Tmpfs { size, mode, options } => {
            message.set_type(Type::Tmpfs);
            message.tmpfs_size_bytes = *size;
            message.tmpfs_mode = *mode;
            message.tmpfs_options.clone_from(options);
        }
        MountKind::Image { reference } => {
            message.set_type(Type::Image);
            message.source.clone_from(reference);
        }
    }
    message
}

/// Bounds of a request.
pub fn resources(limits: Resources) -> Result<model::Resources, Status> {
    let blkio_weight =
        u16::try_from(limits.blkio_weight).ok().filter(|weight| *weight == 0 || (10..=1000).contains(weight));
    let blkio_weight = blkio_weight.ok_or_else(|| {
        invalid("resources.blkio_weight", format!("{} is not within 10 to 1000", limits.blkio_weight))
    })?;
    Ok(model::Resources {
        nano_cpus: limits.nano_cpus,
        cpu_shares: limits.cpu_shares,
        cpu_period_us: limits.cpu_period_us,
        cpu_quota_us: limits.cpu_quota_us,
        cpuset_cpus: limits.cpuset_cpus,
        cpuset_mems: limits.cpuset_mems,
        memory: limits.memory_bytes,
        memory_reservation: limits.memory_reservation_bytes,
        memory_swap: limits.memory_swap_bytes,
        pids_limit: limits.pids_limit,
        blkio_weight,
        io_limits: limits.io_limits.into_iter().map(throttle).collect(),
        devices: limits.devices.into_iter().map(device).collect(),
        device_cgroup_rules: limits.device_cgroup_rules,
        cgroup_parent: limits.cgroup_parent,
    })
}

fn throttle(limit: DeviceThrottle) -> model::DeviceThrottle {
    let DeviceThrottle { path, read_bps, write_bps, read_iops, write_iops } = limit;
    model::DeviceThrottle { path, read_bps, write_bps, read_iops, write_iops }
}

fn device(device: Device) -> model::Device {
    let Device { host_path, container_path, permissions } = device;
    model::Device { host_path, container_path, permissions }
}

/// Bounds as a message.
pub fn resources_message(limits: &model::Resources) -> Resources {
    let throttle = |limit: &model::DeviceThrottle| DeviceThrottle {
        path: limit.path.clone(),
        read_bps: limit.read_bps,
        write_bps: limit.write_bps,
        read_iops: limit.read_iops,
        write_iops: limit.write_iops,
    };
    let device = |device: &model::Device| Device {
        host_path: device.host_path.clone(),
        container_path: device.container_path.clone(),
        permissions: device.permissions.clone(),
    };
    Resources {
        nano_cpus: limits.nano_cpus,
        cpu_shares: limits.cpu_shares,
        cpu_period_us: limits.cpu_period_us,
        cpu_quota_us: limits.cpu_quota_us,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        memory_bytes: limits.memory,
        memory_reservation_bytes: limits.memory_reservation,
        memory_swap_bytes: limits.memory_swap,
        pids_limit: limits.pids_limit,
        blkio_weight: limits.blkio_weight.into(),
        io_limits: limits.io_limits.iter().map(throttle).collect(),
        devices: limits.devices.iter().map(device).collect(),
        device_cgroup_rules: limits.device_cgroup_rules.clone(),
        cgroup_parent: limits.cgroup_parent.clone(),
    }
}

/// Rights of a request.
pub fn security(security: SecurityOptions) -> model::SecurityOptions {
    model::SecurityOptions {
        privileged: security.privileged,
        read_only_rootfs: security.read_only_rootfs,
        no_new_privileges: security.no_new_privileges,
        cap_add: security.cap_add,
        cap_drop: security.cap_drop,
        seccomp: security.seccomp_profile.as_str().into(),
        apparmor_profile: security.apparmor_profile,
        selinux_labels: security.selinux_labels,
        unmask_system_paths: security.unmask_system_paths,
    }
}

/// Rights as a message.
pub fn security_message(security: &model::SecurityOptions) -> SecurityOptions {
    SecurityOptions {
        privileged: security.privileged,
        read_only_rootfs: security.read_only_rootfs,
        no_new_privileges: security.no_new_privileges,
        cap_add: security.cap_add.clone(),
        cap_drop: security.cap_drop.clone(),
        seccomp_profile: security.seccomp.as_str().to_owned(),
        apparmor_profile: security.apparmor_profile.clone(),
        selinux_labels: security.selinux_labels.clone(),
        unmask_system_paths: security.unmask_system_paths,
    }
}

/// How a request wants its log kept.
pub fn log(log: LogOptions) -> Result<model::LogOptions, Status> {
    Ok(model::LogOptions {
        driver: log.driver.parse().map_err(|error| of_engine(&error))?,
        max_size: log.max_size_bytes,
        max_files: log.max_files,
        options: log.options.into_iter().collect(),
    })
}

/// The same as a message.
pub fn log_message(log: &model::LogOptions) -> LogOptions {
    LogOptions {
        driver: log.driver.as_str().to_owned(),
        max_size_bytes: log.max_size,
        max_files: log.max_files,
        options: log.options.clone().into_iter().collect(),
    }
}

/// A probe of a request.
pub fn healthcheck(health: Healthcheck) -> Result<model::Healthcheck, Status> {
    let known = match health.test.first().map(String::as_str) {
        None => true,
        Some("NONE") => health.test.len() == 1,
        Some("CMD") => health.test.len() > 1,
        Some("CMD-SHELL") => health.test.len() == 2,
        Some(_) => false,
    };
    if !known {
        return Err(invalid("healthcheck.test", "expected [NONE], [CMD, program, …] or [CMD-SHELL, line]"));
    }
    Ok(model::Healthcheck {
        test: health.test,
        interval: span("healthcheck.interval", health.interval)?,
        timeout: span("healthcheck.timeout", health.timeout)?,
        start_period: span("healthcheck.start_period", health.start_period)?,
        start_interval: span("healthcheck.start_interval", health.start_interval)?,
        retries: health.retries,
    })
}

/// A probe as a message.
pub fn healthcheck_message(health: &model::Healthcheck) -> Healthcheck {
    Healthcheck {
        test: health.test.clone(),
        interval: span_message(health.interval),
        timeout: span_message(health.timeout),
        start_period: span_message(health.start_period),
        start_interval: span_message(health.start_interval),
        retries: health.retries,
    }
}

/// A resource limit of a request.
pub fn ulimit(limit: Ulimit) -> Result<model::Ulimit, Status> {
    let Ulimit { name, soft, hard } = limit;
    let bound = |value: i64| if value < 0 { i64::MAX } else { value };
    if soft < -1 || hard < -1 || bound(soft) > bound(hard) {
        return Err(invalid("ulimits", format!("{name}: soft limit {soft}, hard limit {hard}")));
    }
    Ok(model::Ulimit { name, soft, hard })
}
