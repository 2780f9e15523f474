//! Why an archive is no set of images.

use std::io;

use ross_types::{ErrorKind, ImageRef};

use crate::manifest::printable;

/// An archive that ross cannot load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It cannot be read, or is no archive.
    #[error("it cannot be read as a tar archive, plain or packed by gzip or zstd")]
    Read(#[source] io::Error),
    /// It has neither an index nor a manifest.
    #[error("it is neither an OCI layout (index.json) nor a docker archive (manifest.json)")]
    NoImages,
    /// It is of the first form that docker had.
    #[error(
        "it is of the form docker had before version 1.10 (repositories without manifest.json); load and save it with a \
         docker that is older than 28"
    )]
    Version1,
    /// A member is named that is not there.
    #[error("member `{}`: named in the archive and not in it", printable(.0))]
    Missing(String),
    /// A member is too large for what it is.
    #[error("member `{}`: larger than {limit} bytes", printable(.member))]
    TooLarge {
        /// Its name.
        member: String,
        /// The bound in bytes.
        limit: u64,
    },
    /// A member is not the JSON it should be.
    #[error("member `{}`: malformed", printable(.member))]
    Malformed {
        /// Its name.
        member: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// More members or bytes than any archive of images has.
    #[error("more than {limit} {of}")]
    Limit {
        /// The bound.
        limit: u64,
        /// What is bounded.
        of: &'static str,
    },
    /// An image's name in the archive is no reference.
    #[error("an image in it has an invalid name")]
    Name(#[source] <ImageRef as std::str::FromStr>::Err),
}

impl ArchiveError {
    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(_) | Self::Missing(_) | Self::Malformed { .. } => ErrorKind::DataLoss,
            Self::NoImages | Self::Name(_) => ErrorKind::InvalidArgument,
            Self::Version1 => ErrorKind::Unimplemented,
            Self::TooLarge { .. } | Self::Limit { .. } => ErrorKind::ResourceExhausted,
        }
    }
}
