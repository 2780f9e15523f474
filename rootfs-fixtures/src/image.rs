//! Images: layers with a configuration and a manifest.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::layer::{archive, sha256};
use crate::{Compression, Entry, Layer};

/// Whose media types an image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// OCI image manifest and index.
    Oci,
    /// Docker schema 2 manifest and manifest list.
    Docker,
}

/// An image, in memory.
#[derive(Debug, Clone)]
pub struct Image {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Its media types.
    pub flavour: Flavour,
    /// GOARCH.
    pub architecture: String,
}

/// A blob and its name.
#[derive(Debug, Clone, Copy)]
pub struct Blob<'i> {
    /// `sha256:…`
    pub digest: &'i str,
    /// Content.
    pub bytes: &'i [u8],
}

/// This machine's GOARCH.
#[must_use]
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Flavour {
    /// The manifest's media type.
    #[must_use]
    pub fn manifest_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// The media type of an index or manifest list.
    #[must_use]
    pub fn index_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    fn config_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer_type(self, compression: Compression) -> String {
        let base = match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar",
        };
        match (compression, self) {
            (Compression::None, _) => base.into(),
            (Compression::Zstd, Self::Oci) => format!("{base}+zstd"),
            (Compression::Zstd, Self::Docker) => format!("{base}.zstd"),
            (_, Self::Oci) => format!("{base}+gzip"),
            (_, Self::Docker) => format!("{base}.gzip"),
        }
    }
}

impl Image {
    /// An image of these layers for this machine; `config` is the `config` object, such as `{"Cmd": ["sh"]}`.
    #[must_use]
    pub fn new(layers: Vec<Layer>, config: &Value, flavour: Flavour) -> Self {
        Self::for_architecture(layers, config, flavour, host_architecture())
    }

    /// The same for another GOARCH.
    #[must_use]
    pub fn for_architecture(
        layers: Vec<Layer>,
        config: &Value,
        flavour: Flavour,
        architecture: &str,
    ) -> Self {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let history: Vec<Value> = (0..layers.len())
            .map(|index| json!({"created": CREATED, "created_by": format!("fixture layer {index}")}))
            .collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": CREATED, "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        })
        .to_string()
        .into_bytes();
        let described: Vec<Value> = layers
            .iter()
            .map(|layer| descriptor(&flavour.layer_type(layer.compression), &layer.digest, layer.blob.len()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": flavour.manifest_type(),
            "config": descriptor(flavour.config_type(), &sha256(&config), config.len()),
            "layers": described,
        })
        .to_string()
        .into_bytes();
        Self { layers, config, manifest, flavour, architecture: architecture.into() }
    }

    /// `sha256:…` of the configuration: the image's id.
    #[must_use]
    pub fn id(&self) -> String {
        sha256(&self.config)
    }

    /// `sha256:…` of the manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    /// The layers' blobs, lowest first.
    pub fn layer_blobs(&self) -> impl Iterator<Item = Blob<'_>> {
        self.layers.iter().map(|layer| Blob { digest: &layer.digest, bytes: &layer.blob })
    }

    /// Writes an OCI image layout.
    pub fn write_oci_layout(&self, dir: &Path, tag: &str) -> Result<()> {
        for (name, bytes) in self.oci_layout(tag) {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// An OCI image layout as one tar archive.
    #[must_use]
    pub fn oci_archive(&self, tag: &str) -> Vec<u8> {
        archive(&files(self.oci_layout(tag)))
    }

    /// What `docker save` writes.
    #[must_use]
    pub fn docker_archive(&self, reference: &str) -> Vec<u8> {
        let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
        let layer_name = |layer: &Layer| format!("{}/layer.tar", hex(&layer.diff_id));
        let config = format!("{}.json", hex(&self.id()));
        let names: Vec<String> = self.layers.iter().map(layer_name).collect();
        let manifest = json!([{"Config": config, "RepoTags": [reference], "Layers": names}]);
        let mut all = vec![(config, self.config.clone())];
        all.extend(self.layers.iter().map(|layer| (layer_name(layer), layer.tar.clone())));
        all.push(("manifest.json".into(), manifest.to_string().into_bytes()));
        archive(&files(all))
    }

    /// The manifest's descriptor in an index.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let mut value = descriptor(self.flavour.manifest_type(), &self.digest(), self.manifest.len());
        value["platform"] = json!({"os": "linux", "architecture": self.architecture});
        value
    }

    fn oci_layout(&self, tag: &str) -> Vec<(String, Vec<u8>)> {
        let blob = |digest: &str| digest.replacen("sha256:", "blobs/sha256/", 1);
        let mut described = self.descriptor();
        described["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({
            "schemaVersion": 2, "mediaType": Flavour::Oci.index_type(), "manifests": [described],
        });
        let mut all = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
            (blob(&self.digest()), self.manifest.clone()),
            (blob(&self.id()), self.config.clone()),
        ];
        all.extend(self.layers.iter().map(|layer| (blob(&layer.digest), layer.blob.clone())));
        all
    }
}

const CREATED: &str = "2023-11-14T22:13:20Z";

/// An index over images for several platforms.
#[must_use]
pub fn index(images: &[Image], flavour: Flavour) -> Vec<u8> {
    let manifests: Vec<Value> = images.iter().map(Image::descriptor).collect();
    json!({"schemaVersion": 2, "mediaType": flavour.index_type(), "manifests": manifests})
        .to_string()
        .into_bytes()
}

fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

fn files(all: Vec<(String, Vec<u8>)>) -> Vec<Entry> {
    all.into_iter().map(|(name, bytes)| Entry::file(name, bytes)).collect()
}
