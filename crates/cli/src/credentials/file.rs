//! docker's config.json: the credentials in it, and the helpers that keep others.
//!
//! Keys: `auths` by registry (`auth`, base64 of `user:password`; `identitytoken`; `registrytoken`), `credsStore`, and
//! `credHelpers` by registry. All else in it is other programs' and written back as it was read. The file is replaced by
//! one rename, readable for its owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ross_api::v1::RegistryAuth;
use ross_types::RegistryHost;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize as _;
use serde_json::{Map, Value, json};

use super::CredentialsError;

/// Docker Hub's key, as docker has it.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The file as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    path: PathBuf,
    content: Map<String, Value>,
}

/// The name of `registry` in the file, and to helpers.
pub fn key_of(registry: &RegistryHost) -> &str {
    if registry.is_docker_hub() { DOCKER_HUB_KEY } else { registry.as_str() }
}

/// Whether `key` stands for the whole of `registry`: with or without a scheme, and with docker's paths of old, but
/// without podman's names of repositories.
fn names(key: &str, registry: &RegistryHost) -> bool {
    let address = key.split_once("://").map_or(key, |(_, address)| address);
    let path = address.split_once('/').map_or("", |(_, path)| path.trim_end_matches('/'));
    matches!(path, "" | "v1" | "v2") && key.parse::<RegistryHost>().is_ok_and(|host| host == *registry)
}

impl ConfigFile {
    /// Reads the file; one that is not there is empty.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let content = match fs::read(path) {
            Ok(text) if text.trim_ascii().is_empty() => Map::new(),
            Ok(text) => serde_json::from_slice(&text).map_err(|error| CredentialsError::Malformed {
                path: path.to_owned(),
                reason: format!("no JSON object: {error}"),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(source) => return Err(CredentialsError::File { path: path.to_owned(), source }),
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Reads the file, changes it, and writes it if that made a difference. Of several at once each sees what those
    /// before it wrote.
    pub fn update<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        // A link stays one, and what it leads to is replaced.
        let target = fs::read_link(path).ok();
        let path = match (&target, path.parent()) {
            (Some(target), Some(directory)) => directory.join(target),
            _ => path.to_owned(),
        };
        let failed = |source: io::Error| CredentialsError::File { path: path.clone(), source };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = File::open(directory).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let before = Self::read(&path)?;
        let mut after = before.clone();
        let answer = change(&mut after)?;
        if after != before {
            after.write(directory).map_err(failed)?;
        }
        Ok(answer)
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.content.serialize(&mut serde_json::Serializer::with_formatter(&mut text, tabs))?;
        text.push(b'\n');
        let temporary = directory.join(format!(".config.json.{}.tmp", std::process::id()));
        let written = self.write_as(&temporary, &text);
        if written.is_err() {
            // What is told is why it could not be written.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        File::open(directory)?.sync_all()
    }

    fn write_as(&self, temporary: &Path, text: &[u8]) -> io::Result<()> {
        // Of a process of this number that was killed in the middle.
        let _ = fs::remove_file(temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        if let Ok(before) = fs::metadata(&self.path) {
            // What belongs to another user stays theirs, where that can be had.
            let _ = std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()));
        }
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(temporary, &self.path)
    }

    fn malformed(&self, reason: impl Into<String>) -> CredentialsError {
        CredentialsError::Malformed { path: self.path.clone(), reason: reason.into() }
    }

    /// The object under `key`; none where there is nothing.
    fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>, CredentialsError> {
        match self.content.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.malformed(format!("`{key}` is no object"))),
        }
    }

    /// What is under `key` for `registry`; its own key goes before others that mean the same.
    fn entry(&self, key: &str, registry: &RegistryHost) -> Result<Option<(&str, &Value)>, CredentialsError> {
        let Some(object) = self.object(key)? else { return Ok(None) };
        let own = object.get_key_value(key_of(registry));
        let found = own.or_else(|| object.iter().find(|(name, _)| names(name, registry)));
        Ok(found.map(|(name, value)| (name.as_str(), value)))
    }

    /// The helper that keeps the credentials of `registry`; none when the file itself does.
    pub fn helper(&self, registry: &RegistryHost) -> Result<Option<&str>, CredentialsError> {
        let (key, value) = match self.entry("credHelpers", registry)? {
            Some((name, value)) => (format!("credHelpers.{name}"), Some(value)),
            None => ("credsStore".to_owned(), self.content.get("credsStore")),
        };
        match value {
            None | Some(Value::Null) => Ok(None),
            // As in docker, nothing is the file itself.
            Some(Value::String(name)) => Ok(Some(name.as_str()).filter(|name| !name.is_empty())),
            Some(_) => Err(self.malformed(format!("`{key}` is no string"))),
        }
    }

    /// The credentials of `registry` in the file.
    pub fn auth(&self, registry: &RegistryHost) -> Result<Option<RegistryAuth>, CredentialsError> {
        let Some((name, entry)) = self.entry("auths", registry)? else { return Ok(None) };
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut auth = RegistryAuth {
            username: text("username"),
            password: text("password"),
            identity_token: text("identitytoken"),
            registry_token: text("registrytoken"),
        };
        let packed = text("auth");
        if !packed.is_empty() {
            let (username, password) = unpack(&packed).ok_or_else(|| {
                self.malformed(format!("`auths.{name}.auth` is not USER:PASSWORD in base64"))
            })?;
            (auth.username, auth.password) = (username, password);
        }
        Ok(Some(auth).filter(|auth| *auth != RegistryAuth::default()))
    }

    /// Keeps `auth` for `registry`, in place of what there was.
    pub fn set(&mut self, registry: &RegistryHost, auth: &RegistryAuth) -> Result<(), CredentialsError> {
        let packed = STANDARD.encode(format!("{}:{}", auth.username, auth.password));
        let mut entry = json!({ "auth": packed });
        if !auth.identity_token.is_empty() {
            entry["identitytoken"] = auth.identity_token.clone().into();
        }
        self.put(registry, entry)
    }

    /// Notes, as docker does, that there are credentials for `registry`, which a helper keeps.
    pub fn set_kept_elsewhere(&mut self, registry: &RegistryHost) -> Result<(), CredentialsError> {
        self.put(registry, json!({}))
    }

    fn put(&mut self, registry: &RegistryHost, entry: Value) -> Result<(), CredentialsError> {
        self.forget(registry)?;
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        auths[key_of(registry)] = entry;
        Ok(())
    }

    /// Forgets the credentials of `registry`, under all its names; says whether there were any.
    pub fn forget(&mut self, registry: &RegistryHost) -> Result<bool, CredentialsError> {
        self.object("auths")?;
        let Some(Value::Object(auths)) = self.content.get_mut("auths") else { return Ok(false) };
        let before = auths.len();
        auths.retain(|name, _| !names(name, registry));
        Ok(auths.len() < before)
    }

    /// All registries that it has credentials of, or a helper for; and the helper for the others.
    pub fn registries(&self) -> Result<(Vec<RegistryHost>, Option<&str>), CredentialsError> {
        let mut found = Vec::new();
        for key in ["auths", "credHelpers"] {
            let names = self.object(key)?.into_iter().flat_map(Map::keys);
            found.extend(names.filter_map(|name| name.parse::<RegistryHost>().ok()));
        }
        let store = self.content.get("credsStore").and_then(Value::as_str);
        Ok((found, store.filter(|name| !name.is_empty())))
    }
}

fn unpack(packed: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(packed).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Some programs have padded it so.
    Some((username.to_owned(), password.trim_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests;
