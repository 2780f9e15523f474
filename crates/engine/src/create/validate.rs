//! Everything about a configuration that can be known to be wrong before anything is made.
//!
//! Each refusal names the field. What this build cannot do is refused with a sentence, never passed over.

use std::collections::HashSet;

use crate::error::{EngineError, Result};
use crate::host::Host;
use crate::model::{ContainerConfig, MountKind, NamespaceMode, NetworkMode, RestartPolicy};
use crate::spec::{check_added, check_capability, check_device_rule, check_profile, rlimit_name};

/// Docker's: less than this cannot hold a process.
const MIN_MEMORY: u64 = 6 << 20;
const MAX_HOSTNAME: usize = 64;

/// Checks a configuration with the image's defaults filled in. Returns sentences about what is done without.
pub(super) fn validate(config: &ContainerConfig, host: &Host) -> Result<Vec<String>> {
    process(config)?;
    names(config)?;
    mounts(config)?;
    network(config)?;
    resources(config, host)?;
    security(config, host)?;
    log(config)?;
    not_yet(config)?;
    if config.auto_remove && config.restart != RestartPolicy::No {
        return Err(EngineError::invalid(
            "auto_remove",
            "a container cannot be restarted and removed when it ends",
        ));
    }
    Ok(warnings(config))
}

fn warnings(config: &ContainerConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.network.mode == NetworkMode::Host && !config.network.ports.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    if config
        .healthcheck
        .as_ref()
        .is_some_and(|health| health.test.first().is_some_and(|word| word != "NONE"))
    {
        warnings.push("The health check is kept and not run yet".to_owned());
    }
    if !config.log.options.is_empty() {
        let names: Vec<&str> = config.log.options.keys().map(String::as_str).collect();
        warnings.push(format!("Log options are kept and have no effect yet: {}", names.join(", ")));
    }
    warnings
}

fn no_nul<'a>(field: &str, texts: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match texts.into_iter().find(|text| text.contains('\0')) {
        Some(text) => Err(EngineError::invalid(field, format!("`{}` has a NUL in it", text.escape_debug()))),
        None => Ok(()),
    }
}

fn process(config: &ContainerConfig) -> Result<()> {
    let command = config.command();
    if command.first().is_none_or(String::is_empty) {
        return Err(EngineError::invalid("cmd", "no command specified, and the image has none"));
    }
    no_nul("cmd", &command)?;
    no_nul("env", &config.env)?;
    if let Some(entry) = config.env.iter().find(|entry| entry.starts_with('=')) {
        return Err(EngineError::invalid("env", format!("`{entry}` has no name")));
    }
    if !config.working_dir.starts_with('/') {
        let reason = format!("`{}` is not an absolute path", config.working_dir);
        return Err(EngineError::invalid("working_dir", reason));
    }
    no_nul("working_dir", [&config.working_dir])?;
    no_nul("user", [&config.user])?;
    for ulimit in &config.ulimits {
        rlimit_name(&ulimit.name)?;
        let bound = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
        if ulimit.soft < -1 || ulimit.hard < -1 || bound(ulimit.soft) > bound(ulimit.hard) {
            let reason = format!("{}: soft {} is above hard {}", ulimit.name, ulimit.soft, ulimit.hard);
            return Err(EngineError::invalid("ulimits", reason));
        }
    }
    if let Some(score) = config.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(EngineError::invalid("oom_score_adj", format!("{score} is not in -1000 to 1000")));
    }
    Ok(())
}

fn names(config: &ContainerConfig) -> Result<()> {
    let host_name = |field: &str, name: &str| {
        let fine = name.len() <= MAX_HOSTNAME
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if fine {
            return Ok(());
        }
        Err(EngineError::invalid(
            field,
            format!("`{name}` is not a host name of at most {MAX_HOSTNAME} characters"),
        ))
    };
    host_name("hostname", &config.hostname)?;
    host_name("domainname", &config.domainname)?;
    if !config.hostname.is_empty() && config.uts_mode != NamespaceMode::Private {
        return Err(EngineError::invalid("hostname", "it belongs to a UTS namespace of the container's own"));
    }
    Ok(())
}

fn mounts(config: &ContainerConfig) -> Result<()> {
    let mut targets = HashSet::new();
    for mount in &config.mounts {
        let target = mount.target.as_str();
        no_nul("mounts", [&mount.target])?;
        if !target.starts_with('/') || target.split('/').any(|part| part == "..") {
            return Err(EngineError::invalid(
                "mounts",
                format!("target `{target}` is not an absolute path without `..`"),
            ));
        }
        let clean: Vec<&str> = target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if clean.is_empty() {
            return Err(EngineError::invalid("mounts", "destination can't be '/'"));
        }
        if !targets.insert(clean) {
            return Err(EngineError::invalid("mounts", format!("Duplicate mount point: {target}")));
        }
        match &mount.kind {
            MountKind::Bind { source, .. } => {
                no_nul("mounts", [source])?;
                if !source.starts_with('/') {
                    return Err(EngineError::invalid(
                        "mounts",
                        format!("bind source `{source}` is not an absolute path"),
                    ));
                }
            }
            MountKind::Volume { name, .. } => crate::volumes::check_name(name)?,
            MountKind::Tmpfs { mode, options, .. } => {
                no_nul("mounts", options)?;
                if *mode > 0o7777 {
                    return Err(EngineError::invalid("mounts", format!("{mode:o} is no mode of a tmpfs")));
                }
            }
            MountKind::Image { .. } => return Err(EngineError::unimplemented("mounting an image")),
        }
    }
    Ok(())
}

fn network(config: &ContainerConfig) -> Result<()> {
    let network = &config.network;
    if let NetworkMode::Named(name) = &network.mode {
        let text = format!("network {name} not found: networks other than bridge, host and none come later");
        return Err(EngineError::new(ross_types::ErrorKind::NotFound, name, text));
    }
    if network.ports.iter().any(|port| port.container_port == 0) {
        return Err(EngineError::invalid("ports", "a container port is 1 to 65535"));
    }
    if network.mode != NetworkMode::Bridge {
        let of_bridge = [
            ("ipv4_address", network.ipv4_address.is_some()),
            ("mac_address", network.mac_address.is_some()),
        ];
        if let Some((field, _)) = of_bridge.iter().find(|(_, set)| *set) {
            return Err(EngineError::invalid(
                field,
                format!("it has no meaning in network mode {}", network.mode),
            ));
        }
    }
    if matches!(network.mode, NetworkMode::Container(_)) {
        let theirs = [
            ("ports", !network.ports.is_empty() || network.publish_all),
            ("dns_servers", !network.dns_servers.is_empty()),
            ("extra_hosts", !config.extra_hosts.is_empty()),
            ("hostname", !config.hostname.is_empty()),
        ];
        if let Some((field, _)) = theirs.iter().find(|(_, set)| *set) {
            let reason = "conflicting options: it belongs to the container whose network is joined";
            return Err(EngineError::invalid(field, reason));
        }
    }
    if !network.aliases.is_empty() {
        return Err(EngineError::invalid(
            "aliases",
            "network-scoped aliases are only supported for user-defined networks",
        ));
    }
    let search_ok =
        |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0');
    if let Some(bad) = network.dns_search.iter().chain(&network.dns_options).find(|name| !search_ok(name)) {
        return Err(EngineError::invalid(
            "dns",
            format!("`{}` is one word of resolv.conf", bad.escape_debug()),
        ));
    }
    Ok(())
}

fn resources(config: &ContainerConfig, host: &Host) -> Result<()> {
    let resources = &config.resources;
    let wants = [
        ("nano_cpus", "cpu", resources.nano_cpus != 0),
        ("cpu_shares", "cpu", resources.cpu_shares != 0),
        ("cpu_quota_us", "cpu", resources.cpu_quota_us != 0),
        ("cpuset_cpus", "cpuset", !resources.cpuset_cpus.is_empty()),
        ("cpuset_mems", "cpuset", !resources.cpuset_mems.is_empty()),
        ("memory_bytes", "memory", resources.memory != 0),
        ("memory_reservation_bytes", "memory", resources.memory_reservation != 0),
        ("memory_swap_bytes", "memory", resources.memory_swap != 0),
        ("pids_limit", "pids", resources.pids_limit > 0),
        ("blkio_weight", "io", resources.blkio_weight != 0),
        ("io_limits", "io", !resources.io_limits.is_empty()),
    ];
    if let Some((field, controller, _)) =
        wants.iter().find(|(_, controller, wanted)| *wanted && !host.has_controller(controller))
    {
        let text = format!(
            "{field} cannot be enforced: this host's cgroup v2 hierarchy has no {controller} controller"
        );
        return Err(EngineError::new(ross_types::ErrorKind::FailedPrecondition, *field, text));
    }
    if resources.nano_cpus != 0 && (resources.cpu_quota_us != 0 || resources.cpu_period_us != 0) {
        return Err(EngineError::invalid(
            "nano_cpus",
            "conflicting options: it cannot be set with a CPU quota or period",
        ));
    }
    let cpus = host.cpus() as u64;
    if resources.nano_cpus > cpus * 1_000_000_000 {
        return Err(EngineError::invalid("nano_cpus", format!("this host has only {cpus} CPUs")));
    }
    if resources.memory != 0 && resources.memory < MIN_MEMORY {
        return Err(EngineError::invalid("memory_bytes", "minimum memory limit allowed is 6MB"));
    }
    if i64::try_from(resources.memory).is_err() || i64::try_from(resources.memory_reservation).is_err() {
        return Err(EngineError::invalid("memory_bytes", "it is out of range"));
    }
    if resources.memory_swap > 0 {
        let swap = resources.memory_swap.unsigned_abs();
        if resources.memory == 0 {
            return Err(EngineError::invalid(
                "memory_swap_bytes",
                "you should always set the memory limit when using it",
            ));
        }
        if swap < resources.memory {
            return Err(EngineError::invalid(
                "memory_swap_bytes",
                "minimum memoryswap limit should be larger than memory limit",
            ));
        }
    }
    if resources.memory_swap < -1 {
        return Err(EngineError::invalid("memory_swap_bytes", "-1 is no bound; nothing is below it"));
    }
    if resources.memory != 0 && resources.memory_reservation > resources.memory {
        return Err(EngineError::invalid("memory_reservation_bytes", "it is above the memory limit"));
    }
    if resources.blkio_weight != 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return Err(EngineError::invalid("blkio_weight", "range of blkio weight is from 10 to 1000"));
    }
    if resources.cgroup_parent.split('/').any(|part| part == "..") {
        return Err(EngineError::invalid("cgroup_parent", "it has a `..` in it"));
    }
    for rule in &resources.device_cgroup_rules {
        check_device_rule(rule)?;
    }
    for device in &resources.devices {
        if device.permissions.chars().any(|c| !"rwm".contains(c)) {
            return Err(EngineError::invalid("devices", format!("`{}` is not of rwm", device.permissions)));
        }
    }
    Ok(())
}

fn security(config: &ContainerConfig, host: &Host) -> Result<()> {
    let security = &config.security;
    for name in security.cap_add.iter().chain(&security.cap_drop) {
        check_capability(name)?;
    }
    check_added(&security.cap_add, host)?;
    if let crate::model::SeccompProfile::Json(text) = &security.seccomp {
        check_profile(text)?;
    }
    for name in config.sysctls.keys() {
        let net = name.starts_with("net.");
        let ipc = ["kernel.msg", "kernel.shm", "kernel.sem", "fs.mqueue."]
            .iter()
            .any(|start| name.starts_with(start));
        let uts = name == "kernel.domainname";
        if !(net || ipc || uts) {
            return Err(EngineError::invalid(
                "sysctls",
                format!("sysctl '{name}' is not allowed: it belongs to no namespace"),
            ));
        }
        if net && config.network.mode == NetworkMode::Host || ipc && config.ipc_mode != NamespaceMode::Private
        {
            return Err(EngineError::invalid(
                "sysctls",
                format!("sysctl '{name}' not allowed in host namespace"),
            ));
        }
    }
    Ok(())
}

/// Options of the log besides its size and number of files.
fn log(config: &ContainerConfig) -> Result<()> {
    // Docker's, of its drivers json-file and none.
    const KNOWN: [&str; 8] =
        ["compress", "env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag"];
    match config.log.options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(key) => Err(EngineError::invalid("log option", format!("unknown log opt `{key}`"))),
        None => Ok(()),
    }
}

/// What this build has no way to do, each with its sentence.
fn not_yet(config: &ContainerConfig) -> Result<()> {
    let security = &config.security;
    let labels = security.selinux_labels.iter().any(|label| label != "disable");
    let absent = [
        ("an init process (--init)", config.init),
        ("user namespaces (--userns)", !matches!(config.userns_mode.as_str(), "" | "host")),
        ("IPv6 addresses on the default bridge", config.network.ipv6_address.is_some()),
        ("SELinux labels", labels),
        (
            "joining the IPC namespace of another container",
            matches!(config.ipc_mode, NamespaceMode::Container(_)),
        ),
        (
            "joining the cgroup namespace of another container",
            matches!(config.cgroupns_mode, NamespaceMode::Container(_)),
        ),
    ];
    match absent.iter().find(|(_, wanted)| *wanted) {
        Some((what, _)) => Err(EngineError::unimplemented(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mount, PortMapping, Protocol, Ulimit};

    fn base() -> ContainerConfig {
        ContainerConfig { cmd: vec!["true".into()], working_dir: "/".into(), ..ContainerConfig::default() }
    }

    fn refused(change: impl FnOnce(&mut ContainerConfig), names: &str) {
        let mut config = base();
        change(&mut config);
        let error = validate(&config, &Host::fake(&["cpu", "memory", "pids", "io", "cpuset"])).unwrap_err();
        assert!(error.sentence().contains(names), "`{}` does not name `{names}`", error.sentence());
    }

    fn tmpfs(target: &str) -> Mount {
        let kind = MountKind::Tmpfs { size: 0, mode: 0, options: Vec::new() };
        Mount { kind, target: target.into(), read_only: false }
    }

    #[test]
    fn fine() {
        assert!(validate(&base(), &Host::fake(&[])).unwrap().is_empty());
    }

    #[test]
    fn what_is_done_without_is_said() {
        let mut config = base();
        config.log.options.insert("tag".into(), "x".into());
        let warnings = validate(&config, &Host::fake(&[])).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("tag"), "{warnings:?}");
    }

    #[test]
    fn refusals_name_their_field() {
        refused(|c| c.cmd.clear(), "no command");
        refused(|c| c.cmd = vec![String::new()], "no command");
        refused(|c| c.cmd = vec!["a\0b".into()], "NUL");
        refused(|c| c.env = vec!["=x".into()], "env");
        refused(|c| c.working_dir = "relative".into(), "working_dir");
        refused(|c| c.hostname = "a b".into(), "hostname");
        refused(|c| c.mounts = vec![tmpfs("data")], "mounts");
        refused(|c| c.mounts = vec![tmpfs("/a/../b")], "mounts");
        refused(|c| c.mounts = vec![tmpfs("//")], "destination");
        refused(|c| c.mounts = vec![tmpfs("/a"), tmpfs("/a/")], "Duplicate mount point");
        refused(|c| c.network.mode = NetworkMode::Named("mine".into()), "mine");
        refused(
            |c| {
                c.network.ports = vec![PortMapping {
                    host_ip: None,
                    host_port: None,
                    container_port: 0,
                    protocol: Protocol::Tcp,
                }];
            },
            "ports",
        );
        refused(|c| c.resources.memory = 1024, "6MB");
        refused(|c| c.resources.memory_swap = 1 << 30, "memory limit");
        refused(|c| c.resources.nano_cpus = u64::MAX, "CPUs");
        refused(|c| c.resources.cgroup_parent = "/a/../..".into(), "cgroup_parent");
        refused(|c| c.resources.device_cgroup_rules = vec!["x 1:3 rwm".into()], "x 1:3");
        refused(|c| c.security.cap_add = vec!["FLY".into()], "FLY");
        refused(|c| c.ulimits = vec![Ulimit { name: "wings".into(), soft: 1, hard: 1 }], "wings");
        refused(|c| c.ulimits = vec![Ulimit { name: "nofile".into(), soft: 2, hard: 1 }], "nofile");
        refused(|c| drop(c.sysctls.insert("kernel.panic".into(), "1".into())), "kernel.panic");
        refused(|c| c.oom_score_adj = Some(2000), "oom_score_adj");
        refused(|c| c.init = true, "--init");
        refused(|c| drop(c.log.options.insert("nonsense".into(), "x".into())), "nonsense");
        refused(
            |c| {
                c.auto_remove = true;
                c.restart = RestartPolicy::Always;
            },
            "auto_remove",
        );
    }

    #[test]
    fn limits_need_their_controller() {
        let mut config = base();
        config.resources.memory = 64 << 20;
        let error = validate(&config, &Host::fake(&["cpu"])).unwrap_err();
        assert_eq!(error.kind(), ross_types::ErrorKind::FailedPrecondition);
        assert!(error.sentence().contains("memory_bytes") && error.sentence().contains("memory controller"));
    }
}
