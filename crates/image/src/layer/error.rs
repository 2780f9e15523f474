//! What can go wrong with a layer, each naming the layer and, where there is one, the entry.

use std::io;
use std::path::PathBuf;

use ross_types::{DiffId, Digest, ErrorKind};

use super::LayerKey;

/// A layer could not be unpacked, found or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The archive is not a well-formed tar stream.
    #[error("layer {layer}: archive at byte {offset}: {flaw}")]
    Archive {
        /// The layer.
        layer: DiffId,
        /// Position in the uncompressed stream.
        offset: u64,
        /// What is wrong there.
        flaw: ArchiveFlaw,
    },
    /// An entry of the archive is refused.
    #[error("layer {layer}: entry `{entry}`: {flaw}")]
    Entry {
        /// The layer.
        layer: DiffId,
        /// The entry's name as the archive has it, made printable.
        entry: String,
        /// Why it is refused.
        flaw: EntryFlaw,
    },
    /// The layer asks for more than [`super::UnpackLimits`] allow.
    #[error("layer {layer}: entry `{entry}`: more than {limit} {of}")]
    Limit {
        /// The layer.
        layer: DiffId,
        /// The entry at which the bound was passed.
        entry: String,
        /// The bound.
        limit: u64,
        /// What is bounded.
        of: &'static str,
    },
    /// The uncompressed stream is not what the image's configuration says.
    #[error("layer {expected}: content has diff id {actual}")]
    DiffId {
        /// As the image has it.
        expected: DiffId,
        /// As the stream has it.
        actual: Digest,
    },
    /// The stream broke off.
    #[error("layer {layer}: cannot read its content")]
    Read {
        /// The layer.
        layer: DiffId,
        /// The reader's own error.
        source: io::Error,
    },
    /// The kernel refused to make an entry.
    #[error("layer {layer}: entry `{entry}`: cannot {action}")]
    Create {
        /// The layer.
        layer: DiffId,
        /// The entry's name, made printable.
        entry: String,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file of the layer store itself cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Store {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A layer's `layer.json` is not one this version of ross wrote or understands.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why it is refused.
        reason: String,
    },
    /// No such layer.
    #[error("layer {0} does not exist")]
    NotFound(LayerKey),
}

/// What is wrong with a tar stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the text of each variant is its documentation")]
pub enum ArchiveFlaw {
    #[error("the stream ends in the middle of an entry")]
    Truncated,
    #[error("the header's checksum does not match")]
    Checksum,
    #[error("the header's {0} field is not a number in range")]
    Number(&'static str),
    #[error("a {0} header of {1} bytes is larger than 1 MiB")]
    HeaderTooLarge(&'static str, u64),
    #[error("the extended header is malformed")]
    Pax,
    #[error("the extended header gives no valid {0}")]
    PaxValue(&'static str),
    #[error("the extended header says {pax} bytes and the header {header} bytes")]
    SizeConflict { pax: u64, header: u64 },
    #[error("two {0} headers for one entry")]
    Repeated(&'static str),
    #[error("a {0} header without an entry after it")]
    Dangling(&'static str),
    #[error("the sparse map is malformed")]
    SparseMap,
    #[error("data after the end of the archive")]
    TrailingData,
}

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the text of each variant is its documentation")]
pub enum EntryFlaw {
    #[error("the name is empty")]
    EmptyName,
    #[error("the name has a `..` in it")]
    ParentInName,
    #[error("the name has a zero byte in it")]
    ZeroInName,
    #[error("a component of the name is longer than 255 bytes")]
    ComponentTooLong,
    #[error("the name is longer than 4095 bytes")]
    NameTooLong,
    #[error("the name is the layer's root, which can only be a directory")]
    RootIsNoDirectory,
    #[error("`{0}` on its way is not a directory")]
    ParentIsNoDirectory(String),
    #[error("the symbolic link `{0}` on its way leads out of the layer")]
    LinkEscapes(String),
    #[error("too many symbolic links on its way")]
    TooManyLinks,
    #[error("the symbolic link has no target or one longer than 4095 bytes")]
    LinkTarget,
    #[error("hard link to `{target}`: {flaw}")]
    HardLink { target: String, flaw: Box<EntryFlaw> },
    #[error("there is no such file in this layer or below it")]
    Missing,
    #[error("it is a directory")]
    IsDirectory,
    #[error("it is the entry itself")]
    IsItself,
    #[error("a whiteout of nothing, of `.` or of `..`")]
    Whiteout,
    #[error("character device 0:0 means a whiteout on disk and cannot come from an archive")]
    WhiteoutDevice,
    #[error("device number {0}:{1} is out of range")]
    DeviceNumber(u64, u64),
    #[error("entries of type `{0}` are not supported")]
    Type(char),
    #[error("owner {0} is out of range")]
    Owner(i64),
    #[error("extended attribute `{0}` is too long")]
    AttributeTooLong(String),
}

impl LayerError {
    /// The kind of this failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Archive { .. } | Self::DiffId { .. } | Self::Record { .. } => ErrorKind::DataLoss,
            Self::Entry { .. } => ErrorKind::InvalidArgument,
            Self::Limit { .. } => ErrorKind::ResourceExhausted,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => ErrorKind::DataLoss,
                io::ErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
                _ => ErrorKind::Unavailable,
            },
            Self::Create { source, .. } | Self::Store { source, .. } => kind_of_io(source),
        }
    }
}

/// The kind of a failure of a local file.
pub(crate) fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Internal,
    }
}
