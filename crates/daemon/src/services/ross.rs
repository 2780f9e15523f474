//! Service `Ross`: the daemon itself.

use std::path::PathBuf;

use ross_api::v1::health_response::{Check, Status as HealthStatus};
use ross_api::v1::ross_server::Ross;
use ross_api::v1::{
    DiskUsageRequest, DiskUsageResponse, Event, EventsRequest, HealthRequest, HealthResponse, InfoRequest,
    InfoResponse, PruneRequest, PruneResponse, VersionRequest, VersionResponse,
};
use ross_engine::model::{ContainerState, Filter, ListQuery, PruneFilters, Timestamp};
use ross_engine::{Engine, EngineError};
use ross_types::Platform;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::convert;
use crate::host::{self, Cgroups};
use crate::peer::log_change;
use crate::status::{internal, invalid, of_engine, of_image, unimplemented};
use crate::stop::Answers;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The daemon.
#[derive(Debug)]
pub struct Daemon {
    engine: Engine,
    root: PathBuf,
    state: PathBuf,
}

impl Daemon {
    /// The service over `engine`.
    pub fn new(engine: Engine, config: &Config) -> Self {
        Self { engine, root: config.root.clone(), state: config.state.clone() }
    }

    async fn image_count(&self) -> Result<usize, Status> {
        let images = self.engine.images().clone();
        let listed = tokio::task::spawn_blocking(move || images.list()).await;
        let listed = listed.map_err(|error| internal(format!("list of images: {error}")))?;
        Ok(listed.map_err(|error| of_image(&error, "images"))?.len())
    }
}

fn check(name: &str, complaint: String) -> Check {
    Check { name: name.to_owned(), ok: complaint.is_empty(), message: complaint }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[tonic::async_trait]
impl Ross for Daemon {
    type EventsStream = Answers<Event>;

    async fn health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        let database = self.engine.check_database().await.err().map(|error| error.sentence());
        let images = self.image_count().await.err().map(|status| status.message().to_owned());
        let checks = vec![
            check("database", database.unwrap_or_default()),
            check("images", images.unwrap_or_default()),
            check("network", host::network_complaint()),
            check("cgroups", Cgroups::read().complaint()),
        ];
        let well = checks.iter().all(|check| check.ok);
        let status = if well { HealthStatus::Serving } else { HealthStatus::Degraded };
        Ok(Response::new(HealthResponse { status: status.into(), checks }))
    }

    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        let platform = Platform::host();
        let (kernel_version, _) = host::uname();
        Ok(Response::new(VersionResponse {
            version: VERSION.to_owned(),
            api_version: "v1".to_owned(),
            commit: option_env!("ROSS_COMMIT").unwrap_or_default().to_owned(),
            os: platform.os,
            architecture: platform.architecture,
            kernel_version,
            runtime_spec_version: ross_engine::OCI_VERSION.to_owned(),
        }))
    }

    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let all = ListQuery { all: true, ..ListQuery::default() };
        let containers = self.engine.list(all).await.map_err(|error| of_engine(&error))?;
        let in_state = |wanted: &[ContainerState]| {
            count(containers.iter().filter(|container| wanted.contains(&container.run.state)).count())
        };
        let running = in_state(&[ContainerState::Running, ContainerState::Restarting]);
        let paused = in_state(&[ContainerState::Paused]);
        let cgroups = Cgroups::read();
        let warnings = [cgroups.complaint(), host::network_complaint()];
        let (kernel_version, host_name) = host::uname();
        Ok(Response::new(InfoResponse {
            id: self.engine.id().to_owned(),
            host_name,
            operating_system: host::operating_system(),
            kernel_version,
            architecture: Platform::host().architecture,
            cpus: count(std::thread::available_parallelism().map_or(1, usize::from)),
            memory_bytes: host::memory_bytes(),
            root_dir: self.root.display().to_string(),
            state_dir: self.state.display().to_string(),
            containers: count(containers.len()),
            containers_running: running,
            containers_paused: paused,
            containers_stopped: count(containers.len()) - running - paused,
            images: count(self.image_count().await?),
            cgroup_version: cgroups.version.to_owned(),
            cgroup_controllers: cgroups.controllers,
            cgroup_driver: "cgroupfs".to_owned(),
            security_options: host::security_options(),
            warnings: warnings.into_iter().filter(|warning| !warning.is_empty()).collect(),
            server_version: VERSION.to_owned(),
        }))
    }

    async fn events(&self, _: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Err(unimplemented("the stream of events", "list containers, or wait for one"))
    }

    async fn disk_usage(
        &self,
        request: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        let usage = self.engine.disk_usage().await.map_err(|error| of_engine(&error))?;
        Ok(Response::new(convert::usage::disk_usage(&usage, request.get_ref().verbose)))
    }

    async fn prune(&self, request: Request<PruneRequest>) -> Result<Response<PruneResponse>, Status> {
        log_change(&request, "Prune", "");
        let request = request.into_inner();
        if request.networks {
            return Err(unimplemented("pruning networks", "ross removes those of its containers by itself"));
        }
        let filters: Vec<Filter> = request
            .filters
            .into_iter()
            .map(|filter| Filter { key: filter.key, values: filter.values })
            .collect();
        let failed = |error: EngineError| of_engine(&error);
        let filters = PruneFilters::parse(&filters, Timestamp::now()).map_err(failed)?;
        if request.volumes && filters.has_until() {
            return Err(invalid("filter", "`until` is no filter of volumes"));
        }
        let mut answer = PruneResponse::default();
        // Containers first: what they alone use is then used by nobody.
        if request.containers {
            let pruned = self.engine.prune_containers(filters.clone()).await.map_err(failed)?;
            answer.removed_containers = pruned.removed.iter().map(ToString::to_string).collect();
            answer.reclaimed_bytes += pruned.bytes;
            answer.failures.extend(pruned.failed);
        }
        if request.volumes {
            // From here on a failure does not make what went before unsaid.
            match self.engine.prune_volumes(request.all_volumes, filters.clone()).await {
                Ok(pruned) => {
                    answer.removed_volumes = pruned.removed;
                    answer.reclaimed_bytes += pruned.bytes;
                    answer.failures.extend(pruned.failed);
                }
                Err(error) => answer.failures.push(error.sentence()),
            }
        }
        if request.images {
            match self.engine.prune_images(request.all_images, filters).await {
                Ok(pruned) => convert::usage::pruned_images(&mut answer, pruned),
                Err(error) => answer.failures.push(error.sentence()),
            }
        }
        Ok(Response::new(answer))
    }
}
