//! What goes wrong between a client and a shim.

use std::io;
use std::path::PathBuf;

use ross_types::ErrorKind;

use crate::protocol::FrameError;

/// A failure to get an answer from a shim, or the shim's refusal.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The shim could not be connected to.
    #[error("connect to the shim at {}", path.display())]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the shim at {} was lost", path.display())]
    Lost {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The shim sent something that makes no sense here.
    #[error("talk to the shim at {}", path.display())]
    Protocol {
        /// Its socket.
        path: PathBuf,
        /// What.
        source: FrameError,
    },
    /// The shim answered that it did not do it.
    #[error("{text}")]
    Refused {
        /// The kind of the failure.
        kind: ErrorKind,
        /// Why.
        text: String,
    },
}

impl ClientError {
    /// Whether it says that there is no shim any more: nobody listens on its socket, or the socket is not there.
    /// A connection that broke does not say so by itself; connecting again does.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Connect { source, .. } if matches!(source.kind(), ConnectionRefused | NotFound))
    }

    /// What kind of failure it is. `Unavailable` means that the shim is gone or going.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Lost { .. } => ErrorKind::Unavailable,
            Self::Protocol { .. } => ErrorKind::Internal,
            Self::Refused { kind, .. } => *kind,
        }
    }
}
