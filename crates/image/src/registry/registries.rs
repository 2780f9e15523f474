//! The door to all registries: one pool of connections, one configuration.

use std::sync::Arc;

use ross_types::ImageRef;

use super::client::HttpClient;
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

    /// The repository of `reference`.
    pub(crate) fn repository(
        &self,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Result<Arc<Repository>, RegistryError> {
        Repository::new(self.http.clone(), reference, credentials).map(Arc::new)
    }

    /// The repository of `reference`, to push to; blobs may be mounted from `others` on the same registry.
    pub(crate) fn repository_for_push(
        &self,
        reference: &ImageRef,
        credentials: Option<Credentials>,
        others: &[String],
    ) -> Result<Arc<Repository>, RegistryError> {
        let repository = Repository::new(self.http.clone(), reference, credentials)?;
        Ok(Arc::new(repository.for_push(others)))
    }

    pub(super) fn http(&self) -> Arc<HttpClient> {
        self.http.clone()
    }

    pub(crate) fn config(&self) -> &RegistryConfig {
        &self.http.config
    }
}
