//! The documents of an archive that say which images are in it.
//!
//! Sources: OCI image specification, `image-layout.md`; `manifest.json` and `repositories` of docker save.

use std::collections::BTreeMap;

use ross_types::{Digest, ImageRef, Platform};
use serde_json::{Value, json};

use crate::manifest::{Manifest, OCI_INDEX};

/// An image of an archive.
#[derive(Debug)]
pub(super) struct Saved {
    /// The digest of its manifest.
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    /// The size of its manifest in bytes.
    pub(super) size: u64,
    pub(super) platform: Platform,
    pub(super) names: Vec<ImageRef>,
}

/// The member that has a blob.
pub(super) fn member_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// All documents, by the names of their members.
pub(super) fn documents(images: &[Saved]) -> BTreeMap<String, Vec<u8>> {
    let mut documents = BTreeMap::new();
    let mut add = |name: &str, document: Value| {
        documents.insert(name.to_owned(), document.to_string().into_bytes());
    };
    add("oci-layout", json!({"imageLayoutVersion": "1.0.0"}));
    let entries: Vec<Value> = images.iter().flat_map(entries).collect();
    add("index.json", json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}));
    add("manifest.json", images.iter().map(of_docker).collect());
    let repositories = repositories(images);
    if !repositories.is_empty() {
        add("repositories", json!(repositories));
    }
    documents
}

/// An entry of the index for each name, as containerd writes it; one for an image without.
fn entries(image: &Saved) -> Vec<Value> {
    let mut platform = json!({"architecture": image.platform.architecture, "os": image.platform.os});
    if let Some(variant) = &image.platform.variant {
        platform["variant"] = json!(variant);
    }
    let entry = json!({
        "mediaType": image.manifest.media_type,
        "digest": image.digest.to_string(),
        "size": image.size,
        "platform": platform,
    });
    if image.names.is_empty() {
        return vec![entry];
    }
    let named = |name: &ImageRef| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({
            "io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.tag(),
        });
        entry
    };
    image.names.iter().map(named).collect()
}

fn of_docker(image: &Saved) -> Value {
    let names: Vec<String> = image.names.iter().map(ImageRef::familiar).collect();
    let layers: Vec<String> = image.manifest.layers.iter().map(|layer| member_of(&layer.digest)).collect();
    json!({
        "Config": member_of(&image.manifest.config.digest),
        "RepoTags": (!names.is_empty()).then_some(names),
        "Layers": layers,
    })
}

/// By repository and tag the uppermost layer, for readers of long ago.
fn repositories(images: &[Saved]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for image in images {
        let Some(top) = image.manifest.layers.last() else { continue };
        for name in &image.names {
            let tag = name.tag().unwrap_or_default().to_owned();
            repositories.entry(name.familiar_name()).or_default().insert(tag, top.digest.hex().to_owned());
        }
    }
    repositories
}
