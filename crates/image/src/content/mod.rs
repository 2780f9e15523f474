//! Content: blobs by digest, and the staging area they come from.
//!
//! Invariants: a file under `blobs/` has the size and digest its name and descriptor say, and was durable before it
//! got that name; a name is durable after [`BlobStore::sync_names`]; a file under `ingest/` may be anything. Knows nothing of images, registries or layers.

mod counted;
mod error;
mod gate;
mod hasher;
mod ingest;
mod store;

pub(crate) use counted::Counted;
pub use error::ContentError;
pub(crate) use gate::{Gates, Pass};
pub(crate) use hasher::Hasher;
pub(crate) use ingest::Ingest;
pub(crate) use store::BlobStore;
