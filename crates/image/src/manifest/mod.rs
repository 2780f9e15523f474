//! Manifests, indexes and configurations: untrusted JSON in, checked descriptors out. No I/O.

mod choose;
mod config;
mod document;
mod error;
mod fuzz;

pub(crate) use choose::{MAX_INDEX_DEPTH, choose, none_fits};
pub(crate) use config::MAX_CONFIG_SIZE;
pub use config::{ContainerDefaults, Healthcheck, History, ImageConfig, RootFs};
pub(crate) use document::{
    ACCEPT, Descriptor, Document, Entry, MAX_MANIFEST_SIZE, Manifest, OCI_INDEX, OCI_MANIFEST, is_foreign,
    parse, platform_of, printable,
};
pub use error::ManifestError;
pub use fuzz::fuzz;
