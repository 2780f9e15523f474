//! Images: from a registry or an archive to layers on disk that a container's root is stacked from.
//!
//! Invariants: a blob is visible under `blobs/` only when its size and digest are right and its bytes are durable;
//! a layer only when its diff id is; a record only when all layers it names are. Everything else lives in
//! staging directories that [`ImageStore::open`] clears. Nothing here knows of containers.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod commit;
mod content;
mod error;
mod image;
pub mod layer;
mod load;
mod manifest;
mod progress;
mod pull;
mod record;
mod registry;
pub mod snapshot;
mod store;

pub use commit::{NewImage, StagedLayer};
pub use content::ContentError;
pub use error::Error;
pub use image::{Image, ImageUse, Loaded, Pulled, Removed};
pub use load::ArchiveError;
#[doc(hidden)]
pub use manifest::fuzz as fuzz_manifest;
pub use manifest::{ContainerDefaults, Healthcheck, History, ImageConfig, ManifestError, RootFs};
pub use progress::{LayerState, ProgressSink, PullEvent};
pub use record::{ImageRecord, ImageRecords, LayerRecord, RecordsError};
pub use registry::{Credentials, RegistryConfig, RegistryError};
pub use store::{DiskUse, Hold, ImageDiskUse, ImageStore, LayerUse, Pruned, StoreConfig};
