//! Registries: manifests and blobs over the distribution API, from servers that may fail, stall or lie.
//!
//! Built on reqwest rather than on oci-client 0.18, of which nothing is left once correctness has had its say: it
//! follows redirects by reqwest's default policy (10 hops, https to http allowed, any address), keeps its HTTP client
//! to itself, has no retries and one fixed timeout policy, answers challenges from wherever they come, hands out no
//! error that says which status came with which Retry-After, and its types know digests and platforms as strings.
//! It also brings regex and chrono into a daemon that is to be small.
//!
//! Invariants: a request ends, whatever the other side does (every wait has a bound); no answer is held in
//! memory beyond its bound; credentials go to the registry and the token service it names, to nobody else; what is
//! handed out is not trusted: who takes it compares digests.

mod auth;
mod blob;
mod client;
mod config;
mod connections;
mod endpoint;
mod error;
mod hosts;
mod login;
mod payload;
mod publish;
mod registries;
mod repository;
mod search;
mod source;
mod token;
mod upload;

pub(crate) use blob::BlobStream;
pub use config::{Credentials, RegistryConfig};
pub use error::RegistryError;
pub use hosts::{HostOptions, Hosts, InvalidHost};
pub(crate) use registries::Registries;
pub(crate) use repository::{FetchedManifest, Repository};
pub use search::SearchResult;
pub(crate) use search::{MAX_RESULTS, Term};
pub(crate) use upload::{Upload, Uploaded};
