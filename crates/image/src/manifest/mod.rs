//! Manifests, indexes and configurations: untrusted JSON in, checked descriptors out. No I/O.

mod config;
mod error;

pub use config::{ContainerDefaults, Healthcheck, History, ImageConfig, RootFs};
pub use error::ManifestError;
