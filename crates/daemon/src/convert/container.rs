//! Containers as lists and inspections show them.

use ross_api::v1::wait_container_request::Condition;
use ross_api::v1::{
    ContainerState, ContainerStatus, ContainerSummary, Filter, InspectContainerResponse,
    ListContainersRequest, WaitContainerRequest,
};
use ross_engine::model;
use tonic::Status;

use super::{create, network, time};
use crate::status::{invalid, of_engine};

/// Which containers a request wants.
pub fn list_query(request: ListContainersRequest) -> Result<model::ListQuery, Status> {
    let filter = |filter: Filter| model::Filter { key: filter.key, values: filter.values };
    let filters: Vec<model::Filter> = request.filters.into_iter().map(filter).collect();
    Ok(model::ListQuery {
        all: request.all,
        limit: request.limit,
        filters: model::ContainerFilters::parse(&filters).map_err(|error| of_engine(&error))?,
        size: request.size,
    })
}

/// What a request waits for.
pub fn wait_condition(request: &WaitContainerRequest) -> Result<model::WaitCondition, Status> {
    match Condition::try_from(request.condition) {
        Ok(Condition::Unspecified | Condition::NotRunning) => Ok(model::WaitCondition::NotRunning),
        Ok(Condition::NextExit) => Ok(model::WaitCondition::NextExit),
        Ok(Condition::Removed) => Ok(model::WaitCondition::Removed),
        Err(_) => Err(invalid("condition", format!("{} is none of those known", request.condition))),
    }
}

fn state(state: model::ContainerState) -> ContainerState {
    match state {
        model::ContainerState::Created => ContainerState::Created,
        model::ContainerState::Running => ContainerState::Running,
        model::ContainerState::Paused => ContainerState::Paused,
        model::ContainerState::Restarting => ContainerState::Restarting,
        model::ContainerState::Exited => ContainerState::Exited,
        model::ContainerState::Dead => ContainerState::Dead,
        model::ContainerState::Removing => ContainerState::Removing,
    }
}

/// One line of a list.
pub fn summary(container: &model::ContainerSummary) -> ContainerSummary {
    let address = container.network.ipv4_address.map(|ip| ip.to_string());
    ContainerSummary {
        id: container.id.to_string(),
        name: container.name.to_string(),
        image: container.image.clone(),
        image_id: container.image_id.to_string(),
        command: container.config.command(),
        created: Some(time::message(container.created)),
        state: state(container.run.state).into(),
        status: container.status.clone(),
        ports: network::listed_ports(&container.network, &container.config.network),
        labels: container.config.labels.clone().into_iter().collect(),
        network_mode: container.config.network.mode.to_string(),
        ipv4_address: address.unwrap_or_default(),
        size_rw_bytes: container.size_rw.unwrap_or(0),
        size_root_bytes: container.size_root.unwrap_or(0),
        exit_code: container.run.exited.code,
    }
}

/// One container in full.
pub fn inspection(details: &model::ContainerDetails) -> InspectContainerResponse {
    let container = &details.summary;
    let run = &container.run;
    InspectContainerResponse {
        summary: Some(summary(container)),
        config: Some(create::message(container.name.as_str(), &container.image, &container.config)),
        status: Some(ContainerStatus {
            state: state(run.state).into(),
            pid: run.pid,
            exit_code: run.exited.code,
            oom_killed: run.exited.oom_killed,
            error: run.exited.error.clone().unwrap_or_default(),
            started_at: run.started_at.map(time::message),
            finished_at: run.finished_at.map(time::message),
            health: String::new(),
        }),
        network: Some(network::status(&container.network)),
        log_path: details.log_path.display().to_string(),
        rootfs_path: details.rootfs_path.display().to_string(),
        hosts_path: details.hosts_path.display().to_string(),
        resolv_conf_path: details.resolv_conf_path.display().to_string(),
        exec_ids: details.exec_ids.iter().map(ToString::to_string).collect(),
        restart_count: run.restart_count,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ross_engine::model::{
        ContainerConfig, Exited, NetworkOptions, PortMapping, PortSpec, Protocol, Timestamp,
    };
    use ross_types::{ContainerId, Digest};

    use super::*;

    fn container() -> model::ContainerSummary {
        let mut config = ContainerConfig { cmd: vec!["x".to_owned()], ..ContainerConfig::default() };
        config.entrypoint = Some(vec!["init".to_owned()]);
        config.network = NetworkOptions {
            exposed_ports: vec![
                PortSpec { port: 80, protocol: Protocol::Tcp },
                PortSpec { port: 90, protocol: Protocol::Udp },
            ],
            ..NetworkOptions::default()
        };
        model::ContainerSummary {
            id: ContainerId::from_random([1; 32]),
            name: "web1".parse().unwrap(),
            image: "busybox".to_owned(),
            image_id: Digest::sha256([2; 32]),
            config: Arc::new(config),
            created: Timestamp::from_unix_nanos(1_000_000_005),
            run: model::Run {
                state: model::ContainerState::Exited,
                exited: Exited { code: 137, oom_killed: true, error: Some("why".to_owned()) },
                restart_count: 2,
                ..model::Run::default()
            },
            status: "Exited (137) 1 second ago".to_owned(),
            network: model::NetworkStatus {
                ports: vec![PortMapping {
                    host_ip: None,
                    host_port: Some(8080),
                    container_port: 80,
                    protocol: Protocol::Tcp,
                }],
                ..model::NetworkStatus::default()
            },
            size_rw: Some(7),
            size_root: None,
        }
    }

    #[test]
    fn summaries() {
        let shown = summary(&container());
        assert_eq!((shown.name.as_str(), shown.command.join(" ").as_str()), ("web1", "init x"));
        assert_eq!((shown.state(), shown.exit_code), (ContainerState::Exited, 137));
        assert_eq!((shown.size_rw_bytes, shown.size_root_bytes), (7, 0));
        assert_eq!(shown.network_mode, "bridge");
        let ports: Vec<(u32, u32)> = shown.ports.iter().map(|p| (p.host_port, p.container_port)).collect();
        assert_eq!(ports, [(8080, 80), (0, 90)]);
    }

    #[test]
    fn inspections() {
        let details = model::ContainerDetails {
            summary: container(),
            log_path: "/l".into(),
            rootfs_path: "/r".into(),
            hosts_path: "/h".into(),
            hostname_path: "/n".into(),
            resolv_conf_path: "/c".into(),
            exec_ids: vec![ContainerId::from_random([3; 32])],
        };
        let shown = inspection(&details);
        let status = shown.status.unwrap();
        assert!(status.oom_killed && status.started_at.is_none());
        assert_eq!((status.exit_code, status.error.as_str(), shown.restart_count), (137, "why", 2));
        assert_eq!((shown.log_path.as_str(), shown.exec_ids.len()), ("/l", 1));
        assert_eq!(shown.config.unwrap().entrypoint.unwrap().args, ["init"]);
    }

    #[test]
    fn conditions_and_queries() {
        let check = |condition: i32, expected: Option<model::WaitCondition>| {
            let request = WaitContainerRequest { container: String::new(), condition };
            assert_eq!(wait_condition(&request).ok(), expected, "{condition}");
        };
        check(0, Some(model::WaitCondition::NotRunning));
        check(2, Some(model::WaitCondition::NextExit));
        check(3, Some(model::WaitCondition::Removed));
        check(9, None);
        let filter = Filter { key: "colour".to_owned(), values: vec!["red".to_owned()] };
        let request = ListContainersRequest { filters: vec![filter], ..ListContainersRequest::default() };
        assert!(list_query(request).unwrap_err().message().contains("colour"));
    }
}
