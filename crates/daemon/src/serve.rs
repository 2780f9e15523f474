//! The daemon from start to end: engine, socket, services, signals.
//!
//! The socket appears only once the engine has found its containers again, so whoever reaches it is answered.

use std::time::Duration;

use anyhow::Context as _;
use ross_api::v1::FILE_DESCRIPTOR_SET;
use ross_api::v1::container_service_server::ContainerServiceServer;
use ross_api::v1::image_service_server::ImageServiceServer;
use ross_api::v1::ross_server::RossServer;
use ross_engine::{Engine, EngineConfig, OpenFiles};
use ross_image::RegistryConfig;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::config::Config;
use crate::notify;
use crate::services::{Containers, Daemon, Images};
use crate::socket::Socket;
use crate::stop::{self, Stop};

/// How long calls in flight may take to end once the daemon was told to.
const GRACE: Duration = Duration::from_secs(10);

/// The largest request taken: a seccomp profile or many flags; archives come in pieces.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// Bytes of a stream that may be under way before the reader has taken them.
const WINDOW_BYTES: u32 = 1 << 20;

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config, open_files: OpenFiles) -> anyhow::Result<()> {
    // Caught from here on: a signal while the engine opens ends the daemon right after.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let engine = open_engine(&config, open_files).await?;
    let (socket, listener) = Socket::listen(&config.socket)?;
    let listener = UnixListener::from_std(listener)?;
    let (stopper, stop) = stop::channel();
    let router = router(&engine, &config, stop.clone()).await?;
    let mut told = stop.clone();
    let serving = router
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move { told.stopped().await });
    let mut serving = tokio::spawn(serving);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        root = %config.root.display(),
        socket = %config.socket.display(),
        "rossd is ready"
    );
    notify::ready();
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping; containers go on running"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping; containers go on running"),
        ended = &mut serving => {
            ended.context("the server's task ended")?.context("serve")?;
        }
    }
    notify::stopping();
    drop(socket);
    stopper.stop();
    if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
        tracing::warn!(seconds = GRACE.as_secs(), "some calls did not end in time and were cut off");
        serving.abort();
    }
    engine.shutdown().await;
    tracing::info!("rossd has stopped");
    Ok(())
}

async fn open_engine(config: &Config, open_files: OpenFiles) -> anyhow::Result<Engine> {
    let registries = RegistryConfig {
        insecure: config.insecure_registries.clone(),
        hosts: config.registries.clone(),
        ..RegistryConfig::default()
    };
    let engine = EngineConfig {
        root: config.root.clone(),
        state: config.state.clone(),
        shim: config.shim.clone(),
        registries,
        default_subnet: config.default_subnet,
        open_files: Some(open_files),
    };
    Engine::open(engine).await.map_err(|error| anyhow::anyhow!("open the engine: {}", error.sentence()))
}

async fn router(engine: &Engine, config: &Config, stop: Stop) -> anyhow::Result<Router> {
    let daemon =
        RossServer::new(Daemon::new(engine.clone(), config)).max_decoding_message_size(MAX_REQUEST_BYTES);
    let images = ImageServiceServer::new(Images::new(engine.clone(), stop.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let containers = ContainerServiceServer::new(Containers::new(engine.clone(), stop))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<RossServer<Daemon>>().await;
    health.set_serving::<ImageServiceServer<Images>>().await;
    health.set_serving::<ContainerServiceServer<Containers>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("describe the services")?;
    Ok(Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .add_service(daemon)
        .add_service(images)
        .add_service(containers)
        .add_service(health_service)
        .add_service(reflection))
}
