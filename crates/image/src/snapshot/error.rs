//! What can go wrong with a snapshot.

use std::io;
use std::path::PathBuf;

use ross_types::ErrorKind;

use crate::layer::{LayerError, LayerKey, PackError, kind_of_io};

/// A snapshot could not be prepared, mounted, measured or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A layer it stands on is not there.
    #[error("layer {0} does not exist")]
    MissingLayer(LayerKey),
    /// A layer it stands on cannot be used.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Its files could not be made an archive.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// More layers than overlay takes.
    #[error("{0} layers are more than overlay can stack")]
    TooManyLayers(usize),
    /// The kernel refused.
    #[error("cannot {action} {}", path.display())]
    Kernel {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl SnapshotError {
    /// The kind of this failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::MissingLayer(_) => ErrorKind::NotFound,
            Self::Layer(error) => error.kind(),
            Self::Pack(error) => error.kind(),
            Self::TooManyLayers(_) => ErrorKind::InvalidArgument,
            Self::Kernel { source, .. } => kind_of_io(source),
        }
    }
}
