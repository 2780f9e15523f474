//! The door to all registries: one pool of connections, one configuration.

use std::sync::Arc;

use ross_types::{ImageRef, RegistryHost};

use super::client::HttpClient;
use super::login::login;
use super::source::Access;
use super::{Credentials, RegistryConfig, RegistryError, Repository};

/// The way to all registries.
#[derive(Debug)]
pub(crate) struct Registries {
    http: Arc<HttpClient>,
}

impl Registries {
    pub(crate) fn new(config: RegistryConfig) -> Self {
        Self { http: Arc::new(HttpClient::new(config)) }
    }

    /// The repository of `reference`, to fetch from.
    pub(crate) fn repository(
        &self,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Result<Arc<Repository>, RegistryError> {
        Repository::new(self.http.clone(), reference, &Access::Pull, credentials).map(Arc::new)
    }

    /// See [`login`](super::login::login).
    pub(crate) async fn login(
        &self,
        registry: &RegistryHost,
        credentials: &Credentials,
    ) -> Result<Option<String>, RegistryError> {
        login(&self.http, registry, credentials).await
    }

    /// The repository of `reference`, to push to; blobs may be mounted from `others` on the same registry.
    pub(crate) fn repository_for_push(
        &self,
        reference: &ImageRef,
        credentials: Option<Credentials>,
        others: Vec<String>,
    ) -> Result<Arc<Repository>, RegistryError> {
        Repository::new(self.http.clone(), reference, &Access::Push(others), credentials).map(Arc::new)
    }

    pub(super) fn http(&self) -> Arc<HttpClient> {
        self.http.clone()
    }

    pub(crate) fn config(&self) -> &RegistryConfig {
        &self.http.config
    }
}
