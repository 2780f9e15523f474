//! How registries are reached, and the secrets that open them.

use std::fmt;
use std::time::Duration;

use super::Hosts;

/// How to reach registries.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Registries (host and optional port, as in a reference) that are spoken to over plain HTTP. Loopback
    /// addresses and `localhost` always are.
    pub insecure: Vec<String>,
    /// Registries with a configuration of their own, which is asked first.
    pub hosts: Hosts,
    /// Attempts for one request that fails in a way that may pass, the first one included.
    pub attempts: u32,
    /// The delay before the second attempt; it doubles with each, with jitter, up to `backoff_max`.
    pub backoff: Duration,
    /// The longest delay between attempts, also of one that a registry asks for by `Retry-After`.
    pub backoff_max: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a response's headers may take, and each single read of its body.
    pub response_timeout: Duration,
    /// A body that brings fewer than `stall_bytes` within this time counts as stalled.
    pub stall_window: Duration,
    /// See `stall_window`.
    pub stall_bytes: u64,
    /// Layers of one pull that are fetched at the same time.
    pub parallel_layers: usize,
    /// Blobs of one push that are sent at the same time.
    pub parallel_uploads: usize,
    /// A larger blob is sent in chunks of so many bytes.
    pub upload_chunk: u64,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            hosts: Hosts::default(),
            attempts: 5,
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
            response_timeout: Duration::from_secs(30),
            stall_window: Duration::from_secs(30),
            stall_bytes: 8 * 1024,
            parallel_layers: 3,
            parallel_uploads: 5,
            upload_chunk: 64 * 1024 * 1024,
        }
    }
}

/// What a user shows to a registry. Its `Debug` form never has the secret in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name with a password or access token.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token of an OAuth2 token service (docker's `identitytoken`).
    IdentityToken(String),
    /// A bearer token that the registry takes as it is (docker's `registrytoken`).
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => {
                out.debug_struct("Basic").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => out.write_str("IdentityToken(..)"),
            Self::RegistryToken(_) => out.write_str("RegistryToken(..)"),
        }
    }
}
