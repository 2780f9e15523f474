//! The nouns every part of ross shares: ids, digests, image references, platforms, error kinds.
//!
//! Each is a newtype whose only constructors check, so a value that exists is valid. No I/O, no policy.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod container;
mod digest;
mod error_kind;
mod platform;
mod reference;
mod registry_host;

pub use container::{ContainerId, ContainerName, InvalidContainerId, InvalidContainerName};
pub use digest::{ChainId, DiffId, Digest, DigestAlgorithm, InvalidDigest};
pub use error_kind::ErrorKind;
pub use platform::{InvalidPlatform, Platform};
pub use reference::{ImageRef, InvalidImageRef};
pub use registry_host::{InvalidRegistryHost, RegistryHost};
