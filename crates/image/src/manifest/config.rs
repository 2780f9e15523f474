//! The image configuration: what a container made from the image starts with.
//!
//! Source: OCI image specification, `config.md`, with Docker's additions (health check, shell, on-build).
//! As lenient as Docker is: `null` stands for an empty value everywhere, unknown properties are passed over. The
//! bytes of a configuration are kept as they came; this is a reading of them, never written back.

use std::collections::BTreeMap;

use ross_types::{DiffId, ErrorKind, Platform};
use serde::{Deserialize, Deserializer};

use super::ManifestError;

/// A configuration larger than this is refused, in bytes.
pub const MAX_CONFIG_SIZE: u64 = 8 * 1024 * 1024;

/// The most layers an image may have: what the kernel's overlay can stack is below that.
pub const MAX_LAYERS: usize = 500;

fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A set written as an object with empty objects for values, as Go encodes `map[string]struct{}`.
fn keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(from)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

/// An image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 time of creation.
    #[serde(default)]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, deserialize_with = "nullable")]
    pub author: String,
    /// GOARCH; empty where the maker did not say.
    #[serde(default, deserialize_with = "nullable")]
    pub architecture: String,
    /// GOOS; empty where the maker did not say.
    #[serde(default, deserialize_with = "nullable")]
    pub os: String,
    /// CPU variant; empty where there is none.
    #[serde(default, deserialize_with = "nullable")]
    pub variant: String,
    /// Defaults of a container.
    #[serde(default, deserialize_with = "nullable")]
    pub config: ContainerDefaults,
    /// The layers by content.
    #[serde(default, deserialize_with = "nullable")]
    pub rootfs: RootFs,
    /// How each layer came to be, oldest first.
    #[serde(default, deserialize_with = "nullable")]
    pub history: Vec<History>,
}

/// What a container made from the image gets unless its creator says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerDefaults {
    /// `user`, `uid`, `user:group` or `uid:gid`; empty is root.
    #[serde(default, deserialize_with = "nullable")]
    pub user: String,
    /// `port` or `port/protocol`.
    #[serde(default, deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// `NAME=value`.
    #[serde(default, deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(default, deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// Arguments of the entry point, or the program where there is none.
    #[serde(default, deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// Paths that hold data of their own.
    #[serde(default, deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// The current directory; empty is `/`.
    #[serde(default, deserialize_with = "nullable")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops it, by name or number; empty is SIGTERM.
    #[serde(default, deserialize_with = "nullable")]
    pub stop_signal: String,
    /// Seconds to wait after that signal.
    #[serde(default)]
    pub stop_timeout: Option<i64>,
    /// How its health is found out.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// The shell of the build's shell-form commands.
    #[serde(default, deserialize_with = "nullable")]
    pub shell: Vec<String>,
    /// Instructions for a build on top of this image.
    #[serde(default, deserialize_with = "nullable")]
    pub on_build: Vec<String>,
}

/// Docker's health check; times in nanoseconds, 0 for Docker's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and arguments, or `CMD-SHELL` and a command line.
    #[serde(default, deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(default, deserialize_with = "nullable")]
    pub interval: i64,
    /// For one check.
    #[serde(default, deserialize_with = "nullable")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(default, deserialize_with = "nullable")]
    pub start_period: i64,
    /// Between two checks in that period.
    #[serde(default, deserialize_with = "nullable")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(default, deserialize_with = "nullable")]
    pub retries: i64,
}

/// The layers of an image by content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Digests of the uncompressed archives, lowest first.
    #[serde(default, deserialize_with = "nullable")]
    pub diff_ids: Vec<DiffId>,
}

/// How one layer came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct History {
    /// RFC 3339 time.
    #[serde(default)]
    pub created: Option<String>,
    /// The command that made it.
    #[serde(default, deserialize_with = "nullable")]
    pub created_by: String,
    /// Who ran it.
    #[serde(default, deserialize_with = "nullable")]
    pub author: String,
    /// Free text.
    #[serde(default, deserialize_with = "nullable")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(default, deserialize_with = "nullable")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is larger than [`MAX_CONFIG_SIZE`], is no JSON object of this form, or names more than
    /// [`MAX_LAYERS`] layers.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_CONFIG_SIZE {
            return Err(ManifestError::new(
                ErrorKind::ResourceExhausted,
                format!("image configuration: larger than {MAX_CONFIG_SIZE} bytes"),
            ));
        }
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::malformed("image configuration", error))?;
        if config.rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(ManifestError::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "image configuration: {} layers are more than the {MAX_LAYERS} ross takes",
                    config.rootfs.diff_ids.len()
                ),
            ));
        }
        Ok(config)
    }

    /// What the image says it is for; `None` where it does not say.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        if self.os.is_empty() || self.architecture.is_empty() {
            return None;
        }
        Some(super::platform_of(&self.os, &self.architecture, &self.variant))
    }
}
