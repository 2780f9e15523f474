//! The API as its own clients see it, where the command line does not reach.

use anyhow::{Context, Result, ensure};
use ross_api::v1::image_service_client::ImageServiceClient;
use ross_api::v1::ross_client::RossClient;
use ross_api::v1::{
    BuildImageRequest, EventsRequest, HealthRequest, PruneRequest, VersionRequest, health_response,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::harness::{Bed, Case};

pub const CASES: &[Case] = &[
    Case { name: "api/health-and-version", needs: &[], run: health },
    Case { name: "api/not-yet", needs: &[], run: not_yet },
];

/// Carries out `call` on a connection to the bed's daemon.
fn on_channel<T>(bed: &mut Bed, call: impl AsyncFnOnce(Channel) -> Result<T>) -> Result<T> {
    let host = bed.daemon()?.host();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = Endpoint::from_shared(host.clone())?.connect().await;
        call(channel.with_context(|| format!("connect to {host}"))?).await
    })
}

fn health(bed: &mut Bed) -> Result<()> {
    on_channel(bed, async |channel| {
        let mut ross = RossClient::new(channel);
        let health = ross.health(HealthRequest {}).await?.into_inner();
        ensure!(health.status() != health_response::Status::Unspecified, "{health:?}");
        let version = ross.version(VersionRequest {}).await?.into_inner();
        ensure!(!version.version.is_empty() && version.runtime_spec_version.starts_with("1."), "{version:?}");
        Ok(())
    })
}

/// What is to come says so, in a sentence with the way around it.
fn not_yet(bed: &mut Bed) -> Result<()> {
    on_channel(bed, async |channel| {
        let mut ross = RossClient::new(channel.clone());
        refused("events", ross.events(EventsRequest::default()).await)?;
        let networks = PruneRequest { networks: true, ..PruneRequest::default() };
        refused("pruning networks", ross.prune(networks).await)?;
        let mut images = ImageServiceClient::new(channel);
        let build = tokio_stream::once(BuildImageRequest::default());
        refused("building", images.build_image(build).await)
    })?;
    bed.ross(&["build", "."])?.complains(&["building", "not supported yet"])?;
    Ok(())
}

fn refused<T>(what: &str, answer: Result<T, Status>) -> Result<()> {
    let Err(status) = answer else { anyhow::bail!("{what} was not refused") };
    ensure!(status.code() == Code::Unimplemented, "{what}: {status:?}");
    ensure!(
        status.message().contains(what) && status.message().contains("not supported yet: "),
        "{what}: {status:?}"
    );
    Ok(())
}
