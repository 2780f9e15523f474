//! Images: from a registry or an archive to layers on disk that a container's root is stacked from.
//!
//! Invariants: a blob is visible under `blobs/` only when its size and digest are right and its bytes are durable;
//! a layer only when its diff id is; a record only when all layers it names are. Everything else lives in
//! staging directories that [`ImageStore::open`] clears. Nothing here knows of containers.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod commit;
mod content;
mod durable;
mod error;
mod fault;
mod image;
pub mod layer;
mod load;
mod manifest;
mod progress;
mod pull;
mod push;
mod record;
mod registry;
mod save;
pub mod snapshot;
mod store;
mod verify;

pub use commit::{NewImage, StagedLayer};
pub use content::ContentError;
pub use durable::Step;
pub use error::Error;
pub use fault::Moment;
#[cfg(feature = "faults")]
pub use fault::{Action, arm, disarm};
pub use image::{Image, ImageUse, Loaded, Pulled, Pushed, Removed};
pub use load::ArchiveError;
#[doc(hidden)]
pub use manifest::fuzz as fuzz_manifest;
pub use manifest::{ContainerDefaults, Healthcheck, History, ImageConfig, ManifestError, RootFs};
pub use progress::{LayerState, ProgressSink, PullEvent, PushEvent, PushSink, PushState};
pub use record::{ImageRecord, ImageRecords, LayerRecord, RecordsError};
pub use registry::{
    Credentials, HostOptions, Hosts, InvalidHost, RegistryConfig, RegistryError, SearchResult,
};
pub use save::Saving;
pub use store::{DiskUse, Hold, ImageDiskUse, ImageStore, LayerUse, Pruned, StoreConfig};
pub use verify::{Finding, Mended, Subject, Verified, VerifyEvent, VerifyOrder, VerifySink};
