//! The API as its own clients see it, where the command line does not reach.

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Flavour};
use ross_api::v1::image_service_client::ImageServiceClient;
use ross_api::v1::import_image_request::Part;
use ross_api::v1::ross_client::RossClient;
use ross_api::v1::{
    BuildImageRequest, EventsRequest, HealthRequest, ImportImageRequest, ImportOptions, LoadImagesRequest,
    PruneRequest, VersionRequest, health_response,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::harness::{Bed, Case};

pub const CASES: &[Case] = &[
    Case { name: "api/health-and-version", needs: &[], run: health },
    Case { name: "api/not-yet", needs: &[], run: not_yet },
    Case { name: "api/an-archive-that-breaks-off", needs: &[], run: broken_off },
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

/// The parts of these archives are archives, too; only their senders know that more was to come.
fn broken_off(bed: &mut Bed) -> Result<()> {
    let before = bed.ross(&["images", "-a", "-q"])?.ok()?.stdout;
    let tar = rootfs_fixtures::archive(&[rootfs_fixtures::Entry::file("part", "of more")]);
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?.docker_archive("broken:1");
    on_channel(bed, async |channel| {
        let mut images = ImageServiceClient::new(channel);
        let load = |last| tokio_stream::once(LoadImagesRequest { chunk: image.clone().into(), last });
        breaks_off(images.load_images(load(false)).await)?;
        let options = ImportOptions { reference: "broken:2".into(), ..ImportOptions::default() };
        let import = |last| {
            let options = ImportImageRequest { part: Some(Part::Options(options.clone())), last: false };
            let chunk = ImportImageRequest { part: Some(Part::Chunk(tar.clone().into())), last };
            tokio_stream::iter([options, chunk])
        };
        breaks_off(images.import_image(import(false)).await)?;
        let whole = images.import_image(import(true)).await?.into_inner();
        ensure!(whole.id.starts_with("sha256:"), "{whole:?}");
        Ok(())
    })?;
    bed.ross(&["rmi", "broken:2"])?.ok()?;
    let after = bed.ross(&["images", "-a", "-q"])?.ok()?.stdout;
    ensure!(before == after, "images before: {before}after: {after}");
    Ok(())
}

fn breaks_off<T>(answer: Result<T, Status>) -> Result<()> {
    let Err(status) = answer else { anyhow::bail!("a part was taken for the whole") };
    ensure!(status.message().contains("the archive breaks off"), "{status:?}");
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
