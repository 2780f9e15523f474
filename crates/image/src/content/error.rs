//! What can go wrong with a blob.

use std::io;
use std::path::{Path, PathBuf};

use ross_types::{Digest, ErrorKind};

use crate::layer::kind_of_io;

/// A blob could not be stored or read, or is not what its digest says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// A file of the store.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The bytes are not those the digest names.
    #[error("blob {expected}: content has digest {actual}")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// There are more or fewer bytes than declared.
    #[error("blob {digest}: {actual} bytes where {expected} are declared")]
    Size {
        /// The blob.
        digest: Digest,
        /// As its descriptor says.
        expected: u64,
        /// As counted, up to where it was seen to be wrong.
        actual: u64,
    },
    /// The blob is not here.
    #[error("blob {0}: not on disk")]
    Missing(Digest),
    /// The blob is too large to be held in memory.
    #[error("blob {digest}: larger than the {limit} bytes ross takes for it")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// The bound in bytes.
        limit: u64,
    },
    /// The bytes stopped coming because whoever brought them gave up.
    #[error("blob {0}: stopped")]
    Stopped(Digest),
}

impl ContentError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// Whether the blob's bytes, not the store, are at fault.
    pub(crate) fn is_corruption(&self) -> bool {
        matches!(self, Self::Digest { .. } | Self::Size { .. })
    }

    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File { source, .. } => kind_of_io(source),
            Self::Digest { .. } | Self::Size { .. } => ErrorKind::DataLoss,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Stopped(_) => ErrorKind::Cancelled,
        }
    }
}
