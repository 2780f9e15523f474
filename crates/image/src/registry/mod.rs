//! Registries.

mod config;

pub use config::{Credentials, RegistryConfig};
