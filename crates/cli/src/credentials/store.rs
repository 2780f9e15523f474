//! Where the credentials of this user are: a config.json, with the helpers it names.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use ross_api::v1::RegistryAuth;
use ross_types::RegistryHost;

use super::CredentialsError;
use super::file::{ConfigFile, key_of};
use super::helper::Helper;

/// All credentials of a user.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// Who keeps what was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The file, for everybody to read who may read it.
    InFile(PathBuf),
    /// A helper.
    ByHelper,
}

impl Store {
    /// That of this process: `$REGISTRY_AUTH_FILE`, or `config.json` in `$DOCKER_CONFIG`, or in `.docker` at home.
    pub fn of_process() -> Result<Self, CredentialsError> {
        Self::found(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn found(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, CredentialsError> {
        let file = variable("REGISTRY_AUTH_FILE").map(PathBuf::from);
        let docker =
            || variable("DOCKER_CONFIG").map(|directory| PathBuf::from(directory).join("config.json"));
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".docker/config.json"));
        let path = file.or_else(docker).or_else(home).ok_or(CredentialsError::NoPlace)?;
        Ok(Self { path })
    }

    /// The credentials for `registry`.
    pub async fn get(&self, registry: &RegistryHost) -> Result<Option<RegistryAuth>, CredentialsError> {
        let file = ConfigFile::read(&self.path)?;
        match file.helper(registry)? {
            Some(name) => Helper::named(name).get(key_of(registry)).await,
            None => file.auth(registry),
        }
    }

    /// Keeps `auth` for `registry`, and nothing of what was kept for it before.
    pub async fn keep(&self, registry: &RegistryHost, auth: &RegistryAuth) -> Result<Kept, CredentialsError> {
        let file = ConfigFile::read(&self.path)?;
        match file.helper(registry)? {
            Some(name) => {
                Helper::named(name).store(key_of(registry), auth).await?;
                ConfigFile::update(&self.path, |file| file.set_kept_elsewhere(registry))?;
                Ok(Kept::ByHelper)
            }
            None => {
                ConfigFile::update(&self.path, |file| file.set(registry, auth))?;
                Ok(Kept::InFile(self.path.clone()))
            }
        }
    }

    /// Forgets the credentials for `registry`; says whether there were any.
    pub async fn erase(&self, registry: &RegistryHost) -> Result<bool, CredentialsError> {
        let file = ConfigFile::read(&self.path)?;
        let mut erased = false;
        if let Some(name) = file.helper(registry)? {
            let helper = Helper::named(name);
            // Not every helper says of itself that there was nothing to erase.
            erased = helper.get(key_of(registry)).await?.is_some();
            if erased {
                helper.erase(key_of(registry)).await?;
            }
        }
        Ok(ConfigFile::update(&self.path, |file| file.forget(registry))? || erased)
    }

    /// The registries that there are, or may be, credentials for.
    pub async fn registries(&self) -> Result<BTreeSet<RegistryHost>, CredentialsError> {
        let file = ConfigFile::read(&self.path)?;
        let (found, store) = file.registries()?;
        let mut registries = BTreeSet::from_iter(found);
        if let Some(name) = store {
            let servers = Helper::named(name).list().await?;
            registries.extend(servers.iter().filter_map(|server| server.parse::<RegistryHost>().ok()));
        }
        Ok(registries)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn places() {
        let check = |set: &[(&str, &str)], expected: Option<&str>| {
            let found = Store::found(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            });
            assert_eq!(
                found.ok().as_ref().map(|store| store.path.as_path()),
                expected.map(Path::new),
                "{set:?}"
            );
        };
        let home = ("HOME", "/home/ada");
        check(&[], None);
        check(&[home], Some("/home/ada/.docker/config.json"));
        check(&[home, ("DOCKER_CONFIG", "/d")], Some("/d/config.json"));
        check(&[home, ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/a.json")], Some("/a.json"));
    }
}
