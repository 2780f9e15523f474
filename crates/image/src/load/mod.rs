//! Loading images from an archive: an OCI layout or a docker archive, plain or packed.
//!
//! The archive is read once, as a stream, into staging files; then its images are put together like pulled
//! ones, with blobs from disk instead of from a registry. Nothing an archive says becomes a path.

mod archive;
mod error;
mod images;
mod members;

pub(crate) use archive::load;
pub use error::ArchiveError;
