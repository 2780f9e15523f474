//! The request for a container: to the engine's model, and the model of one that exists back into a request.

use ross_api::v1::{Command, CreateContainerRequest, RestartPolicy, Ulimit};
use ross_engine::model::{self, ContainerConfig, CreateRequest};
use tonic::Status;

use super::exec::is_variable;
use super::{network, shape};
use crate::status::{invalid, of_engine};

/// What a request asks for.
pub fn request(request: CreateContainerRequest) -> Result<CreateRequest, Status> {
    if request.image.is_empty() {
        return Err(invalid("image", "name an image"));
    }
    let name = match request.name.strip_prefix('/').unwrap_or(&request.name) {
        "" => None,
        name => Some(name.parse().map_err(|error| invalid("name", error))?),
    };
    let platform = match request.platform.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| invalid("platform", error))?),
    };
    if let Some(variable) = request.env.iter().find(|variable| !is_variable(variable)) {
        return Err(invalid("env", format!("`{variable}` is not KEY=value")));
    }
    if !request.working_dir.is_empty() && !request.working_dir.starts_with('/') {
        return Err(invalid("working_dir", format!("`{}` is no absolute path", request.working_dir)));
    }
    if let Some(adjustment) = request.oom_score_adj
        && !(-1000..=1000).contains(&adjustment)
    {
        return Err(invalid("oom_score_adj", format!("{adjustment} is not within -1000 to 1000")));
    }
    let restart = request.restart.unwrap_or_default();
    let restart =
        model::RestartPolicy::parse(&restart.name, restart.max_retries).map_err(|e| of_engine(&e))?;
    if request.auto_remove && restart != model::RestartPolicy::No {
        return Err(invalid("auto_remove", "a container that is removed on its exit cannot be restarted"));
    }
    let stop_signal = match request.stop_signal.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| of_engine(&error))?),
    };
    let namespace = |text: &str| text.parse::<model::NamespaceMode>().map_err(|error| of_engine(&error));
    let config = ContainerConfig {
        cmd: request.cmd,
        entrypoint: request.entrypoint.map(|command| command.args),
        env: request.env,
        working_dir: request.working_dir,
        user: request.user,
        hostname: request.hostname,
        domainname: request.domainname,
        labels: request.labels.into_iter().collect(),
        tty: request.tty,
        open_stdin: request.open_stdin,
        stdin_once: request.stdin_once,
        stop_signal,
        stop_timeout: request.stop_timeout_secs,
        auto_remove: request.auto_remove,
        restart,
        init: request.init,
        network: network::options(request.network.unwrap_or_default())?,
        mounts: request.mounts.into_iter().map(shape::mount).collect::<Result<_, _>>()?,
        resources: shape::resources(request.resources.unwrap_or_default())?,
        security: shape::security(request.security.unwrap_or_default()),
        log: shape::log(request.log.unwrap_or_default())?,
        healthcheck: request.healthcheck.map(shape::healthcheck).transpose()?,
        extra_hosts: request
            .extra_hosts
            .iter()
            .map(|host| host.parse().map_err(|error| of_engine(&error)))
            .collect::<Result<_, _>>()?,
        annotations: request.annotations.into_iter().collect(),
        sysctls: request.sysctls.into_iter().collect(),
        shm_size: request.shm_size_bytes,
        ulimits: request.ulimits.into_iter().map(shape::ulimit).collect::<Result<_, _>>()?,
        oom_score_adj: request.oom_score_adj,
        pid_mode: namespace(&request.pid_mode)?,
        ipc_mode: namespace(&request.ipc_mode)?,
        uts_mode: namespace(&request.uts_mode)?,
        cgroupns_mode: namespace(&request.cgroupns_mode)?,
        userns_mode: request.userns_mode,
        group_add: request.group_add,
        volumes_from: request.volumes_from,
    };
    Ok(CreateRequest { name, image: request.image, platform, config })
}

/// The request that makes such a container, the image's defaults filled in.
pub fn message(name: &str, image: &str, config: &ContainerConfig) -> CreateContainerRequest {
    CreateContainerRequest {
        name: name.to_owned(),
        image: image.to_owned(),
        cmd: config.cmd.clone(),
        entrypoint: config.entrypoint.clone().map(|args| Command { args }),
        env: config.env.clone(),
        working_dir: config.working_dir.clone(),
        user: config.user.clone(),
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        labels: config.labels.clone().into_iter().collect(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        stop_signal: config.stop_signal.map(|signal| signal.to_string()).unwrap_or_default(),
        stop_timeout_secs: config.stop_timeout,
        auto_remove: config.auto_remove,
        restart: Some(RestartPolicy {
            name: config.restart.name().to_owned(),
            max_retries: config.restart.max_retries(),
        }),
        init: config.init,
        network: Some(network::options_message(&config.network)),
        mounts: config.mounts.iter().map(shape::mount_message).collect(),
        resources: Some(shape::resources_message(&config.resources)),
        security: Some(shape::security_message(&config.security)),
        log: Some(shape::log_message(&config.log)),
        healthcheck: config.healthcheck.as_ref().map(shape::healthcheck_message),
        extra_hosts: config.extra_hosts.iter().map(ToString::to_string).collect(),
        annotations: config.annotations.clone().into_iter().collect(),
        sysctls: config.sysctls.clone().into_iter().collect(),
        shm_size_bytes: config.shm_size,
        ulimits: config
            .ulimits
            .iter()
            .map(|limit| Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard })
            .collect(),
        oom_score_adj: config.oom_score_adj,
        pid_mode: config.pid_mode.to_string(),
        ipc_mode: config.ipc_mode.to_string(),
        uts_mode: config.uts_mode.to_string(),
        cgroupns_mode: config.cgroupns_mode.to_string(),
        group_add: config.group_add.clone(),
        userns_mode: config.userns_mode.clone(),
        platform: String::new(),
        volumes_from: config.volumes_from.clone(),
    }
}

#[cfg(test)]
mod tests;
