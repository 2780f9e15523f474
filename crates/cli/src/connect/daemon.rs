//! The connection to a daemon, or why there is none.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::image_service_client::ImageServiceClient;
use ross_api::v1::ross_client::RossClient;
use tonic::transport::{Channel, Endpoint};

use super::{Host, autostart};
use crate::failure::Failure;
use crate::streams::Streams;

/// The largest answer read: an inspection or a list; streams come in small pieces.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Bytes of a stream that may be under way before the reader has taken them.
const WINDOW_BYTES: u32 = 1 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Daemon {
    channel: Channel,
}

impl Daemon {
    /// Connects, after starting a daemon if none listens where one is expected.
    pub async fn connect(host: &Host, streams: &Streams) -> Result<Self, Failure> {
        match Self::reach(host).await {
            Ok(daemon) => Ok(daemon),
            Err(Unreached::Absent) if autostart::is_allowed(host) => autostart::start(host, streams).await,
            Err(why) => Err(why.describe(host)),
        }
    }

    /// Connects to a daemon that listens already.
    pub(super) async fn reach(host: &Host) -> Result<Self, Unreached> {
        let endpoint = Endpoint::from_shared(host.uri())
            .map_err(|error| Unreached::Other(error.to_string()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(2 * WINDOW_BYTES);
        let channel = endpoint.connect().await.map_err(|error| Unreached::from_transport(&error))?;
        Ok(Self { channel })
    }

    /// The service of containers.
    pub fn containers(&self) -> ContainerServiceClient<Channel> {
        ContainerServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// The service of images.
    pub fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// The service of the daemon itself.
    pub fn ross(&self) -> RossClient<Channel> {
        RossClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum Unreached {
    /// No socket, or nobody behind it.
    Absent,
    Forbidden,
    Other(String),
}

impl Unreached {
    fn from_transport(error: &tonic::transport::Error) -> Self {
        let mut cause = error.source();
        let mut last = error.to_string();
        while let Some(error) = cause {
            last = error.to_string();
            match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Self::Absent,
                Some(io::ErrorKind::PermissionDenied) => return Self::Forbidden,
                _ => cause = error.source(),
            }
        }
        Self::Other(last)
    }

    /// The sentence for people.
    pub(super) fn describe(self, host: &Host) -> Failure {
        let path = host.path().display();
        Failure::Connect(match self {
            Self::Absent => {
                format!(
                    "no rossd is listening at {path}: start `rossd` as root, or name its socket with --host"
                )
            }
            Self::Forbidden => {
                format!("no access to {path}: run ross as root or as a member of the group ross")
            }
            Self::Other(why) => format!("cannot talk to rossd at {path}: {why}"),
        })
    }
}
