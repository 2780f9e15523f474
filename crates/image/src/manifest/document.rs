//! Reading a manifest or an index.
//!
//! Sources: OCI image specification, `manifest.md` and `image-index.md`; distribution's `manifest-v2-2.md`.
//! CVE-2021-41190: a document that could be read both as a manifest and as an index is refused.

use ross_types::{Digest, ErrorKind, Platform};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ManifestError;
use super::config::MAX_LAYERS;

/// A manifest or index larger than this is refused, in bytes; registries have the same bound.
pub(crate) const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What ross can read, as an `Accept` header.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// An image's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

impl Manifest {
    /// The manifest as a document.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let descriptor = |of: &Descriptor| serde_json::json!({"mediaType": of.media_type, "digest": of.digest.to_string(), "size": of.size});
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": descriptor(&self.config),
            "layers": self.layers.iter().map(descriptor).collect::<Vec<_>>(),
        });
        document.to_string().into_bytes()
    }
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) descriptor: Descriptor,
    #[serde(default)]
    pub(crate) platform: Option<EntryPlatform>,
    #[serde(default)]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// What an index says of an image's platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct EntryPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl EntryPlatform {
    pub(crate) fn platform(&self) -> Platform {
        platform_of(&self.os, &self.architecture, self.variant.as_deref().unwrap_or_default())
    }
}

/// A platform in the form ross compares and shows; one that is no known form stays as it is, and matches nothing.
pub(crate) fn platform_of(os: &str, architecture: &str, variant: &str) -> Platform {
    let text = if variant.is_empty() {
        format!("{os}/{architecture}")
    } else {
        format!("{os}/{architecture}/{variant}")
    };
    text.parse().unwrap_or_else(|_| Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: (!variant.is_empty()).then(|| variant.to_owned()),
    })
}

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Vec<Entry>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Entry>>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Manifest,
    Index,
}

fn form_of(media_type: &str) -> Option<Form> {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(Form::Manifest),
        OCI_INDEX | DOCKER_LIST => Some(Form::Index),
        _ => None,
    }
}

fn is_schema1(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

/// Reads `bytes`, which came labelled as `label` (a `Content-Type`, or a descriptor's media type).
pub(crate) fn parse(bytes: &[u8], label: Option<&str>) -> Result<Document, ManifestError> {
    let refuse = |kind, text: String| Err(ManifestError::new(kind, text));
    if bytes.len() as u64 > MAX_MANIFEST_SIZE {
        return refuse(
            ErrorKind::ResourceExhausted,
            format!("manifest: larger than {MAX_MANIFEST_SIZE} bytes"),
        );
    }
    let label = label.map(|label| label.split(';').next().unwrap_or_default().trim()).unwrap_or_default();
    if is_schema1(label) {
        return refuse(ErrorKind::Unimplemented, SCHEMA1.to_owned());
    }
    let raw: Raw =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::malformed("manifest", error))?;
    let own = raw.media_type.as_deref().unwrap_or_default();
    if raw.fs_layers.is_some() || raw.schema_version == Some(1) || is_schema1(own) {
        return refuse(ErrorKind::Unimplemented, SCHEMA1.to_owned());
    }
    if raw.schema_version != Some(2) {
        return refuse(ErrorKind::DataLoss, "manifest: its schemaVersion is not 2".to_owned());
    }
    let shape = match (&raw.manifests, raw.config.is_some() || raw.layers.is_some()) {
        (Some(_), true) => {
            return refuse(
                ErrorKind::DataLoss,
                "manifest: it can be read as an image and as an index, which is a known deception".to_owned(),
            );
        }
        (Some(_), false) => Form::Index,
        (None, _) => Form::Manifest,
    };
    for media_type in [label, own] {
        if form_of(media_type).is_some_and(|form| form != shape) {
            return refuse(
                ErrorKind::DataLoss,
                format!("manifest: its media type says {media_type}, and its content is of another kind"),
            );
        }
    }
    if let Some(entries) = raw.manifests {
        return Ok(Document::Index(entries));
    }
    let (Some(config), Some(layers)) = (raw.config, raw.layers) else {
        let kind = if own.is_empty() { label } else { own };
        return refuse(
            ErrorKind::Unimplemented,
            format!(
                "manifest: it has no configuration and layers; `{}` is no container image",
                printable(kind)
            ),
        );
    };
    if !is_image_config(&config.media_type) {
        return refuse(
            ErrorKind::Unimplemented,
            format!(
                "manifest: this is an artifact of type `{}`, not a container image",
                printable(&config.media_type)
            ),
        );
    }
    if layers.len() > MAX_LAYERS {
        return refuse(
            ErrorKind::ResourceExhausted,
            format!("manifest: {} layers are more than the {MAX_LAYERS} ross takes", layers.len()),
        );
    }
    if let Some(strange) = layers.iter().find(|layer| !is_layer(&layer.media_type)) {
        return refuse(
            ErrorKind::Unimplemented,
            format!(
                "manifest: layer {} has type `{}`, which ross cannot unpack",
                strange.digest,
                printable(&strange.media_type)
            ),
        );
    }
    let media_type = [own, label].into_iter().find(|media_type| form_of(media_type).is_some());
    let media_type = media_type.unwrap_or(OCI_MANIFEST).to_owned();
    Ok(Document::Manifest(Manifest { media_type, config, layers }))
}

const SCHEMA1: &str = "manifest: it has Docker's schema 1, which was given up in 2017; \
    have the image pushed again by a current docker or podman";

/// Early builders left the configuration's type empty or generic, and docker takes them.
fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
            | "application/octet-stream"
            | ""
    )
}

/// The label only has to be that of some layer: how it is compressed is seen from its first bytes.
fn is_layer(media_type: &str) -> bool {
    let base = media_type.split('+').next().unwrap_or_default();
    let compression = media_type.get(base.len()..).unwrap_or_default();
    match base {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar" => {
            matches!(compression, "" | "+gzip" | "+zstd")
        }
        _ => matches!(
            media_type,
            "application/vnd.docker.image.rootfs.diff.tar"
                | "application/vnd.docker.image.rootfs.diff.tar.gzip"
                | "application/vnd.docker.image.rootfs.diff.tar.zstd"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
                | "application/octet-stream"
                | ""
        ),
    }
}

/// Whether a layer of this type is got elsewhere than at the registry, as those that may not be distributed.
pub(crate) fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
}

/// Text from outside, fit for a message.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(fill: &str) -> String {
        format!("sha256:{}", fill.repeat(32))
    }

    fn manifest(config_type: &str, layer_type: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config_type}","digest":"{}","size":2}},
            "layers":[{{"mediaType":"{layer_type}","digest":"{}","size":3,"urls":["x"]}}],"annotations":{{"a":"b"}}}}"#,
            digest("aa"),
            digest("bb")
        )
    }

    const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    #[test]
    fn reads_manifests() {
        let check = |config_type: &str, layer_type: &str, label: Option<&str>, shown: &str| {
            let document = parse(manifest(config_type, layer_type).as_bytes(), label).unwrap();
            let Document::Manifest(manifest) = document else { panic!("an index?") };
            assert_eq!(manifest.media_type, shown);
            assert_eq!((manifest.config.size, manifest.layers[0].size), (2, 3));
        };
        check(OCI_CONFIG, OCI_GZIP, Some(OCI_MANIFEST), OCI_MANIFEST);
        check(OCI_CONFIG, OCI_GZIP, None, OCI_MANIFEST);
        check(OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd", Some("text/plain"), OCI_MANIFEST);
        let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let labelled = format!("{DOCKER_MANIFEST}; charset=utf-8");
        check("application/vnd.docker.container.image.v1+json", docker, Some(&labelled), DOCKER_MANIFEST);
    }

    #[test]
    fn refuses() {
        let check = |text: &str, label: Option<&str>, kind: ErrorKind, says: &str| {
            let error = parse(text.as_bytes(), label).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(says), "{error} should say {says}");
        };
        let good = manifest(OCI_CONFIG, OCI_GZIP);
        check("", None, ErrorKind::DataLoss, "malformed");
        check("[]", None, ErrorKind::DataLoss, "malformed");
        check("{}", None, ErrorKind::DataLoss, "schemaVersion");
        check(&"[".repeat(100_000), None, ErrorKind::DataLoss, "malformed");
        check(&" ".repeat(5 << 20), None, ErrorKind::ResourceExhausted, "larger");
        check(&good, Some(OCI_INDEX), ErrorKind::DataLoss, "another kind");
        check(
            r#"{"schemaVersion":2,"manifests":[]}"#,
            Some(DOCKER_MANIFEST),
            ErrorKind::DataLoss,
            "another kind",
        );
        check(&good.replacen('{', r#"{"manifests":[],"#, 1), None, ErrorKind::DataLoss, "deception");
        check(&good.replacen('{', r#"{"schemaVersion":2,"#, 1), None, ErrorKind::DataLoss, "malformed");
        check(&good.replace("\"size\":3", "\"size\":-3"), None, ErrorKind::DataLoss, "malformed");
        check(&good.replace("bbbb", "../.."), None, ErrorKind::DataLoss, "malformed");
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, None, ErrorKind::Unimplemented, "schema 1");
        check(
            "x",
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            ErrorKind::Unimplemented,
            "schema 1",
        );
        let helm = manifest("application/vnd.cncf.helm.config.v1+json", OCI_GZIP);
        check(&helm, None, ErrorKind::Unimplemented, "artifact of type `application/vnd.cncf.helm");
        let crypt = manifest(OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        check(&crypt, None, ErrorKind::Unimplemented, "cannot unpack");
        check(r#"{"schemaVersion":2}"#, None, ErrorKind::Unimplemented, "no container image");
        let layer = format!(r#"{{"mediaType":"{OCI_GZIP}","digest":"{}","size":3}}"#, digest("bb"));
        let many = good.replace(
            &good[good.find("\"layers\":[").unwrap() + 10..good.find("],").unwrap()],
            &vec![layer; 501].join(","),
        );
        check(&many, None, ErrorKind::ResourceExhausted, "501 layers");
    }
}
