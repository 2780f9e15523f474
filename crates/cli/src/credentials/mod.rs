//! Credentials for registries, where docker and podman keep them: config.json and credential helpers.
//!
//! They belong to the user, not to the daemon: each pull and push takes along those of its registry and no others.
//! Programs that know the file find in it what they expect, and what they have put there stays.

mod error;
mod file;
mod helper;
mod lookup;
mod store;

pub use error::CredentialsError;
pub use lookup::{auth_for, registry_auth};
pub use store::{Kept, Store};
