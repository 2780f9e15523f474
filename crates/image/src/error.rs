//! Why an operation of the image store failed.

use ross_types::{Digest, ErrorKind};

use crate::content::ContentError;
use crate::load::ArchiveError;
use crate::manifest::ManifestError;
use crate::record::RecordsError;
use crate::registry::RegistryError;

/// A failure of the image store. Print the chain of sources: each link adds what it knows and repeats nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pull failed; the source says of what.
    #[error("pull {reference}")]
    Pull {
        /// The reference in its familiar form.
        reference: String,
        /// What failed.
        source: Box<Error>,
    },
    /// A push failed; the source says of what.
    #[error("push {reference}")]
    Push {
        /// The reference in its familiar form.
        reference: String,
        /// What failed.
        source: Box<Error>,
    },
    /// A save failed; the source says of what.
    #[error("save")]
    Save(#[source] Box<Error>),
    /// A load failed; the source says of what.
    #[error("load the archive")]
    Load(#[source] Box<Error>),
    /// A layer could not be fetched or unpacked.
    #[error("layer {digest}")]
    Layer {
        /// The digest of its blob.
        digest: Digest,
        /// What failed.
        source: Box<Error>,
    },
    /// The registry's answer, or the lack of one.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A manifest, index or configuration that ross cannot use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The blob store.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// An archive that is no image.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Unpacking a layer.
    #[error(transparent)]
    Unpack(#[from] crate::layer::LayerError),
    /// A container's files.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::SnapshotError),
    /// No image goes by this name or id.
    #[error("no such image: {0}")]
    NotFound(String),
    /// More than one image has an id that begins like this.
    #[error("image id `{0}` is ambiguous: more than one image has an id that begins so; give more digits")]
    Ambiguous(String),
    /// A name that cannot name an image.
    #[error("`{0}` names no image: give name[:tag], name@digest or an image id")]
    InvalidName(String),
    /// A tag was to be set to something that is no tag.
    #[error("`{0}` cannot be a tag: give a name without a digest")]
    InvalidTag(String),
    /// A push was to go to a digest.
    #[error("`{0}` cannot be pushed to: the digest comes from what is pushed; give a name with a tag")]
    PushByDigest(String),
    /// The blob of a layer that is here is not, and cannot be had.
    #[error(
        "its blob is not kept here, because the layer came in another one, and it cannot be fetched again; remove the \
         images that share the layer and pull this one"
    )]
    BlobGone(#[source] Option<Box<Error>>),
    /// An archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] std::io::Error),
    /// Something that cannot be searched for.
    #[error("`{term}` cannot be searched for: {reason}")]
    InvalidTerm {
        /// What was typed.
        term: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The image cannot be removed as asked.
    #[error("image {image} cannot be removed: {reason}")]
    InUse {
        /// The image, as the caller named it.
        image: String,
        /// What stands against it, and what to do.
        reason: String,
    },
    /// A task of the store ended without an answer.
    #[error("image store: a task ended early")]
    TaskLost(#[source] tokio::task::JoinError),
}

impl Error {
    /// What the caller may do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pull { source, .. }
            | Self::Push { source, .. }
            | Self::Save(source)
            | Self::Load(source)
            | Self::Layer { source, .. } => source.kind(),
            Self::Registry(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Content(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Records(error) => error.kind(),
            Self::Unpack(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Ambiguous(_)
            | Self::InvalidName(_)
            | Self::InvalidTag(_)
            | Self::PushByDigest(_)
            | Self::InvalidTerm { .. } => ErrorKind::InvalidArgument,
            Self::Write(source) => crate::layer::kind_of_io(source),
            Self::InUse { .. } | Self::BlobGone(_) => ErrorKind::FailedPrecondition,
            Self::TaskLost(_) => ErrorKind::Internal,
        }
    }
}
