//! `run` and `create`: the request that describes a container.

use ross_api::v1::{
    Command, CreateContainerRequest, Healthcheck, LogOptions, Mount, NetworkOptions, Resources,
    SecurityOptions,
};

use super::Surroundings;
use super::exec::environment;
use crate::args::{HealthArgs, LimitArgs, NetworkArgs, OptionArgs, SecurityArgs, StorageArgs};
use crate::failure::Failure;
use crate::value::device::{self, Speed};
use crate::value::security::{self, SecurityOption};
use crate::value::{
    BadValue, duration, each, env, flag, mount, number, optional, pair, port, restart, ulimit,
};

/// The request for a container of `image` that runs `command`.
pub fn create(
    options: &OptionArgs,
    image: &str,
    command: &[String],
    here: &Surroundings,
) -> Result<CreateContainerRequest, Failure> {
    refuse(options, image)?;
    let process = &options.process;
    let network = &options.network;
    let security = &options.security;
    let mut request = CreateContainerRequest {
        name: text(options.name.as_ref()),
        image: image.to_owned(),
        cmd: command.to_vec(),
        entrypoint: options.entrypoint.as_deref().map(entrypoint),
        env: environment(process, here)?,
        working_dir: text(process.workdir.as_ref()),
        user: text(process.user.as_ref()),
        hostname: text(network.hostname.as_ref()),
        domainname: text(network.domainname.as_ref()),
        labels: pair::map("--label", &options.labels, pair::label)?,
        tty: process.tty,
        open_stdin: process.interactive,
        stdin_once: process.interactive,
        stop_signal: text(options.stop_signal.as_ref()),
        stop_timeout_secs: options.stop_timeout,
        auto_remove: options.rm,
        restart: optional("--restart", options.restart.as_deref(), restart::parse)?,
        init: options.init,
        network: Some(network_options(network)?),
        mounts: mounts(&options.storage, here)?,
        resources: Some(resources(&options.limits, security)?),
        security: Some(security_options(security, options.storage.read_only, here)?),
        log: Some(log(options)?),
        healthcheck: healthcheck(&options.health)?,
        extra_hosts: each("--add-host", &network.add_host, pair::host)?,
        annotations: pair::map("--annotation", &options.annotations, pair::required)?,
        sysctls: pair::map("--sysctl", &security.sysctls, pair::required)?,
        shm_size_bytes: optional("--shm-size", options.storage.shm_size.as_deref(), number::bytes)?,
        ulimits: each("--ulimit", &options.limits.ulimits, ulimit::parse)?,
        oom_score_adj: options.limits.oom_score_adj,
        pid_mode: text(security.pid.as_ref()),
        ipc_mode: text(security.ipc.as_ref()),
        uts_mode: text(security.uts.as_ref()),
        cgroupns_mode: text(security.cgroupns.as_ref()),
        group_add: options.group_add.clone(),
        userns_mode: text(security.userns.as_ref()),
        platform: text(options.platform.as_ref()),
        volumes_from: options.storage.volumes_from.clone(),
    };
    for path in &options.label_files {
        let labels = env::file(&here.file("--label-file", path)?, &|_| Some(String::new()))
            .map_err(|reason| BadValue::new("--label-file", path, reason))?;
        for (key, value) in each("--label-file", &labels, pair::label)? {
            request.labels.entry(key).or_insert(value);
        }
    }
    Ok(request)
}

/// What can be seen to be wrong without a daemon.
fn refuse(options: &OptionArgs, image: &str) -> Result<(), Failure> {
    if image.is_empty() {
        return Err(Failure::Usage("the name of the image is empty".to_owned()));
    }
    if let Some(gpus) = &options.gpus {
        let reason = "ross cannot hand GPUs to containers: that needs the vendor's container toolkit, which it \
                      does not call yet; --device passes single device files";
        return Err(BadValue::new("--gpus", gpus, reason).into());
    }
    if let Some(adjustment) = options.limits.oom_score_adj
        && !(-1000..=1000).contains(&adjustment)
    {
        return Err(BadValue::new(
            "--oom-score-adj",
            &adjustment.to_string(),
            "it is not within -1000 to 1000",
        )
        .into());
    }
    if let Some(weight) = options.limits.blkio_weight
        && weight != 0
        && !(10..=1000).contains(&weight)
    {
        return Err(
            BadValue::new("--blkio-weight", &weight.to_string(), "it is not within 10 to 1000").into()
        );
    }
    if options.rm && options.restart.as_deref().is_some_and(|policy| policy != "no") {
        let reason =
            "--rm and --restart contradict each other: one removes the container, one starts it again";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let limits = &options.limits;
    if limits.cpus.is_some() && (limits.cpu_period.is_some() || limits.cpu_quota.is_some()) {
        return Err(Failure::Usage(
            "--cpus and --cpu-period or --cpu-quota contradict each other".to_owned(),
        ));
    }
    Ok(())
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}

fn entrypoint(program: &str) -> Command {
    let args = if program.is_empty() { Vec::new() } else { vec![program.to_owned()] };
    Command { args }
}

fn network_options(network: &NetworkArgs) -> Result<NetworkOptions, Failure> {
    let address =
        |name: &str, value: Option<&String>| optional(name, value.map(String::as_str), pair::address);
    Ok(NetworkOptions {
        mode: text(network.network.as_ref()),
        ports: each("--publish", &network.publish, port::publish)?.concat(),
        exposed_ports: each("--expose", &network.expose, port::expose)?.concat(),
        publish_all: network.publish_all,
        aliases: network.network_aliases.clone(),
        ipv4_address: address("--ip", network.ip.as_ref())?,
        ipv6_address: address("--ip6", network.ip6.as_ref())?,
        mac_address: text(network.mac_address.as_ref()),
        dns_servers: each("--dns", &network.dns, pair::address)?,
        dns_search: network.dns_search.clone(),
        dns_options: network.dns_options.clone(),
    })
}

fn mounts(storage: &StorageArgs, here: &Surroundings) -> Result<Vec<Mount>, Failure> {
    let mut mounts = each("--volume", &storage.volumes, |text| mount::volume(text, &here.directory))?;
    mounts.extend(each("--mount", &storage.mounts, |text| mount::mount(text, &here.directory))?);
    mounts.extend(each("--tmpfs", &storage.tmpfs, mount::tmpfs)?);
    for (index, one) in mounts.iter().enumerate() {
        if mounts[..index].iter().any(|other| other.target == one.target) {
            return Err(Failure::Usage(format!("two mounts have the target `{}`", one.target)));
        }
    }
    Ok(mounts)
}

fn resources(limits: &LimitArgs, security: &SecurityArgs) -> Result<Resources, Failure> {
    let throttles = [
        ("--device-read-bps", &limits.device_read_bps, Speed::ReadBytes),
        ("--device-write-bps", &limits.device_write_bps, Speed::WriteBytes),
        ("--device-read-iops", &limits.device_read_iops, Speed::Reads),
        ("--device-write-iops", &limits.device_write_iops, Speed::Writes),
    ];
    let mut io_limits = Vec::new();
    for (name, values, speed) in throttles {
        io_limits.extend(each(name, values, |text| device::throttle(text, speed))?);
    }
    Ok(Resources {
        nano_cpus: optional("--cpus", limits.cpus.as_deref(), number::cpus)?,
        cpu_shares: limits.cpu_shares.unwrap_or(0),
        cpu_period_us: limits.cpu_period.unwrap_or(0),
        cpu_quota_us: limits.cpu_quota.unwrap_or(0),
        cpuset_cpus: text(limits.cpuset_cpus.as_ref()),
        cpuset_mems: text(limits.cpuset_mems.as_ref()),
        memory_bytes: optional("--memory", limits.memory.as_deref(), number::bytes)?,
        memory_reservation_bytes: optional(
            "--memory-reservation",
            limits.memory_reservation.as_deref(),
            number::bytes,
        )?,
        memory_swap_bytes: optional(
            "--memory-swap",
            limits.memory_swap.as_deref(),
            number::bytes_or_unlimited,
        )?,
        pids_limit: limits.pids_limit.unwrap_or(0),
        blkio_weight: limits.blkio_weight.unwrap_or(0),
        io_limits: device::merge(io_limits),
        devices: each("--device", &security.devices, device::device)?,
        device_cgroup_rules: each("--device-cgroup-rule", &security.device_cgroup_rules, device::rule)?,
        cgroup_parent: text(limits.cgroup_parent.as_ref()),
    })
}

fn security_options(
    security: &SecurityArgs,
    read_only: bool,
    here: &Surroundings,
) -> Result<SecurityOptions, Failure> {
    let mut request = SecurityOptions {
        privileged: security.privileged,
        read_only_rootfs: read_only,
        cap_add: security.cap_add.clone(),
        cap_drop: security.cap_drop.clone(),
        ..SecurityOptions::default()
    };
    for typed in &security.security_options {
        match flag("--security-opt", typed, security::parse)? {
            SecurityOption::NoNewPrivileges(on) => request.no_new_privileges = on,
            SecurityOption::SeccompUnconfined => "unconfined".clone_into(&mut request.seccomp_profile),
            SecurityOption::SeccompDefault => request.seccomp_profile.clear(),
            SecurityOption::SeccompFile(path) => {
                let profile = here.file("--security-opt seccomp", &path)?;
                if let Err(error) = serde_json::from_str::<serde_json::Value>(&profile) {
                    return Err(
                        BadValue::new("--security-opt", typed, format!("it is not JSON: {error}")).into()
                    );
                }
                request.seccomp_profile = profile;
            }
            SecurityOption::AppArmor(profile) => request.apparmor_profile = profile,
            SecurityOption::SelinuxLabel(label) => request.selinux_labels.push(label),
            SecurityOption::UnmaskSystemPaths => request.unmask_system_paths = true,
        }
    }
    Ok(request)
}

fn log(options: &OptionArgs) -> Result<LogOptions, Failure> {
    let mut log = LogOptions { driver: text(options.log_driver.as_ref()), ..LogOptions::default() };
    for (typed, (key, value)) in
        options.log_options.iter().zip(each("--log-opt", &options.log_options, pair::required)?)
    {
        let bad = |reason: String| BadValue::new("--log-opt", typed, reason);
        match key.as_str() {
            "max-size" if value == "-1" => return Err(bad("logs are bounded: give a size".to_owned()).into()),
            "max-size" => log.max_size_bytes = number::bytes(&value).map_err(bad)?,
            "max-file" => match value.parse() {
                Ok(files) if files > 0 => log.max_files = files,
                _ => return Err(bad(format!("`{value}` is no number of files")).into()),
            },
            _ => {
                log.options.insert(key, value);
            }
        }
    }
    Ok(log)
}

fn healthcheck(health: &HealthArgs) -> Result<Option<Healthcheck>, Failure> {
    let timing = [
        &health.health_interval,
        &health.health_timeout,
        &health.health_start_period,
        &health.health_start_interval,
    ];
    let any = health.health_cmd.is_some()
        || health.health_retries.is_some()
        || timing.iter().any(|value| value.is_some());
    if health.no_healthcheck {
        if any {
            return Err(Failure::Usage(
                "--no-healthcheck and the --health flags contradict each other".to_owned(),
            ));
        }
        return Ok(Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() }));
    }
    if !any {
        return Ok(None);
    }
    let span = |name: &str, value: &Option<String>| -> Result<Option<prost_types::Duration>, Failure> {
        let Some(text) = value.as_deref() else { return Ok(None) };
        let span = flag(name, text, duration::parse)?;
        let too_long = |_| BadValue::new(name, text, "it is too long");
        Ok(Some(prost_types::Duration::try_from(span).map_err(too_long)?))
    };
    Ok(Some(Healthcheck {
        test: health.health_cmd.iter().flat_map(|line| ["CMD-SHELL".to_owned(), line.clone()]).collect(),
        interval: span("--health-interval", &health.health_interval)?,
        timeout: span("--health-timeout", &health.health_timeout)?,
        start_period: span("--health-start-period", &health.health_start_period)?,
        start_interval: span("--health-start-interval", &health.health_start_interval)?,
        retries: health.health_retries.unwrap_or(0),
    }))
}

#[cfg(test)]
mod tests;
