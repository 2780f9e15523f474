//! What can go wrong when files become an archive.

use std::io;

use ross_types::ErrorKind;

use crate::layer::{kind_of_io, name};

/// Files that could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file could not be read.
    #[error("cannot {action} `{path}`")]
    Read {
        /// What was tried.
        action: &'static str,
        /// The path in the root that is packed, made printable.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// A name that means something else in a layer.
    #[error(
        "`{0}` cannot be part of a layer: a name that begins with `.wh.` says there that a file is removed"
    )]
    Reserved(String),
    /// More than ross packs.
    #[error("`{path}`: more than {limit} {of}")]
    Limit {
        /// The path at which the bound was passed, made printable.
        path: String,
        /// The bound.
        limit: u64,
        /// What is bounded.
        of: &'static str,
    },
}

impl PackError {
    pub(super) fn read(action: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Read { action, path: shown(path), source: source.into() }
    }

    pub(super) fn limit(path: &[u8], limit: u64, of: &'static str) -> Self {
        Self::Limit { path: shown(path), limit, of }
    }

    /// The kind of this failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Write(source) if source.kind() == io::ErrorKind::BrokenPipe => ErrorKind::Cancelled,
            Self::Read { source, .. } | Self::Write(source) => kind_of_io(source),
            Self::Reserved(_) => ErrorKind::FailedPrecondition,
            Self::Limit { .. } => ErrorKind::ResourceExhausted,
        }
    }
}

/// A path as people know it: absolute.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", name::show(path))
}
