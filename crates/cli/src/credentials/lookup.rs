//! The credentials that a pull or push takes along.

use ross_api::v1::RegistryAuth;
use ross_types::{ImageRef, RegistryHost};

use super::{CredentialsError, Store};
use crate::streams::Streams;

/// The credentials for the registry of `reference`, a name as it was typed. What keeps them from being found is a
/// warning: many images want none.
pub async fn auth_for(reference: &str, streams: &Streams) -> Option<RegistryAuth> {
    registry_auth(reference.parse::<ImageRef>().ok()?.registry(), streams).await
}

/// The credentials for `registry`, the same way.
pub async fn registry_auth(registry: &str, streams: &Streams) -> Option<RegistryAuth> {
    let registry: RegistryHost = registry.parse().ok()?;
    let found = match Store::of_process() {
        Ok(store) => store.get(&registry).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(auth) => auth,
        Err(CredentialsError::NoPlace) => None,
        Err(error) => {
            streams.stderr.say(format_args!("warning: {registry} is asked without credentials: {error}"));
            None
        }
    }
}
