//! Pools of connections: plain HTTP, TLS, and one for each registry with certificates of its own.
//!
//! Each is made at the first address that needs it: the system's root certificates take time and memory. What is for
//! one registry alone (its authorities, the certificate it is shown) is never used with another.

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use ross_types::RegistryHost;

use super::endpoint::is_loopback;
use super::{RegistryConfig, RegistryError};

/// What connections have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    tls: bool,
    /// Never by a proxy.
    local: bool,
    /// The registry whose certificates they use.
    registry: Option<RegistryHost>,
}

/// All pools.
#[derive(Debug, Default)]
pub(super) struct Connections {
    clients: Mutex<HashMap<Kind, Client>>,
}

impl Connections {
    /// The pool for `url`.
    pub(super) fn client(
        &self,
        config: &RegistryConfig,
        object: &str,
        url: &Url,
    ) -> Result<Client, RegistryError> {
        let tls = url.scheme() == "https";
        let own = config.hosts.certificates_for(url).filter(|_| tls);
        let kind = Kind { tls, local: is_loopback(url), registry: own.map(|(name, _)| name.clone()) };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        crypto();
        let mut builder = Client::builder()
            .user_agent(concat!("ross/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(config.parallel_layers);
        if kind.local {
            // A proxy named in the environment is no way to this machine; docker knows that too.
            builder = builder.no_proxy();
        }
        builder = match own {
            Some((_, host)) => host.equip(builder),
            None if tls => builder,
            None => builder.tls_certs_only([]),
        };
        let client = builder.build().map_err(|error| RegistryError::of_transport(object, error))?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

/// Chooses the cryptography of TLS.
pub(super) fn crypto() {
    static CHOSEN: Once = Once::new();
    // The first caller in the process decides; all of ross decides for ring.
    CHOSEN.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
