//! What a push is about: an image with its manifest, kept from being removed, and what is known of its blobs.

use std::collections::HashSet;
use std::sync::Arc;

use ross_types::{Digest, ImageRef};
use serde::Deserialize;

use crate::content::Hasher;
use crate::error::Error;
use crate::manifest::{self, Document, MAX_MANIFEST_SIZE, Manifest, ManifestError, is_foreign};
use crate::record::ImageRecord;
use crate::store::{Inner, Lease, LeasedImages, lease_images};

/// Repositories that a registry is asked to take a blob from, before it is sent.
const MAX_OTHERS: usize = 3;

/// An image to push.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) record: ImageRecord,
    pub(super) manifest: Manifest,
    pub(super) raw_manifest: Vec<u8>,
    /// Layers that are not for registries.
    foreign: HashSet<Digest>,
    /// Other repositories of the registry, each with the blobs that it had.
    others: Vec<(String, HashSet<Digest>)>,
    #[expect(dead_code, reason = "held for what its drop does")]
    lease: Arc<Lease>,
}

/// The part of a manifest that only a push looks at.
#[derive(Deserialize)]
struct Sources {
    layers: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    digest: Digest,
    #[serde(default, rename = "mediaType")]
    media_type: String,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl Subject {
    /// The image that `reference` leads to. Blocks on the disk.
    pub(super) fn find(inner: &Arc<Inner>, reference: &ImageRef) -> Result<Self, Error> {
        let leads = |record: &&ImageRecord| record.references.contains(reference);
        let none = || Error::NotFound(reference.familiar());
        let LeasedImages { chosen, all, lease } =
            lease_images(inner, |records| Ok(vec![records.iter().find(leads).cloned().ok_or_else(none)?]))?;
        let record = chosen.into_iter().next().ok_or_else(none)?;
        let raw_manifest = inner.blobs.read(&record.manifest, MAX_MANIFEST_SIZE)?;
        let Document::Manifest(manifest) = manifest::parse(&raw_manifest, Some(&record.media_type))? else {
            let text = format!("manifest {}: it is an index, of which no image was made", record.manifest);
            return Err(ManifestError::new(ross_types::ErrorKind::DataLoss, text).into());
        };
        let foreign = foreign_layers(&raw_manifest);
        let others = others(&all, reference);
        Ok(Self { record, manifest, raw_manifest, foreign, others, lease })
    }

    pub(super) fn is_foreign(&self, digest: &Digest) -> bool {
        self.foreign.contains(digest)
    }

    /// Repositories of the same registry that have the blob `digest`, as far as is known here.
    pub(super) fn others_with(&self, digest: &Digest) -> Vec<String> {
        let having = self.others.iter().filter(|(_, blobs)| blobs.contains(digest));
        having.take(MAX_OTHERS).map(|(name, _)| name.clone()).collect()
    }

    /// All repositories that may be asked for any of its blobs.
    pub(super) fn others(&self) -> Vec<String> {
        let blobs: Vec<&Digest> =
            self.manifest.layers.iter().chain([&self.manifest.config]).map(|blob| &blob.digest).collect();
        let mut all: Vec<String> = blobs.into_iter().flat_map(|digest| self.others_with(digest)).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Layers of which the manifest says that they are got elsewhere, as docker has it for those that may not be
/// distributed.
fn foreign_layers(raw_manifest: &[u8]) -> HashSet<Digest> {
    let Ok(sources) = serde_json::from_slice::<Sources>(raw_manifest) else { return HashSet::new() };
    let is_foreign = |layer: &Source| {
        is_foreign(&layer.media_type) && layer.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    };
    sources.layers.into_iter().filter(is_foreign).map(|layer| layer.digest).collect()
}

/// Other repositories of the registry of `reference` that images here were pulled from or pushed to. Those pulled from
/// it come first: a digest beside a name says that the registry has it, a tag only that somebody gave the name.
fn others(records: &[ImageRecord], reference: &ImageRef) -> Vec<(String, HashSet<Digest>)> {
    let mut others: Vec<(String, HashSet<Digest>)> = Vec::new();
    for record in records {
        let names = record.references.iter().filter(|name| name.digest().is_some());
        for name in names.filter(|name| name.registry() == reference.registry()) {
            let other = name.repository();
            if other == reference.repository() {
                continue;
            }
            let blobs = record.layers.iter().map(|layer| layer.blob.clone()).chain([record.id.clone()]);
            match others.iter_mut().find(|(known, _)| known == other) {
                Some((_, known)) => known.extend(blobs),
                None => others.push((other.to_owned(), blobs.collect())),
            }
        }
    }
    others
}

/// The image's own digest of its manifest, as a check on what is sent.
pub(super) fn digest_of(subject: &Subject) -> Digest {
    Hasher::digest(subject.record.manifest.algorithm(), &subject.raw_manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LayerRecord;
    use ross_types::{ChainId, DiffId, Platform};

    #[test]
    fn foreign() {
        let digest = |byte: u8| Digest::sha256([byte; 32]);
        let layer = |byte: u8, kind: &str, urls: &str| {
            format!(r#"{{"mediaType":"{kind}","digest":"{}","size":1{urls}}}"#, digest(byte))
        };
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let open = "application/vnd.oci.image.layer.v1.tar";
        let closed = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        let urls = r#","urls":["https://x/y"]"#;
        let layers = [
            layer(1, foreign, urls),
            layer(2, foreign, ""),
            layer(3, open, urls),
            layer(4, closed, urls),
            layer(5, closed, r#","urls":[]"#),
        ];
        let manifest = format!(r#"{{"layers":[{}]}}"#, layers.join(","));
        let found = foreign_layers(manifest.as_bytes());
        assert_eq!(found, HashSet::from([digest(1), digest(4)]));
        assert!(foreign_layers(b"{").is_empty());
    }

    #[test]
    fn where_blobs_may_be_mounted_from() {
        let blob = |byte: u8| Digest::sha256([byte; 32]);
        let record = |id: u8, references: &[String]| ImageRecord {
            id: blob(id),
            manifest: blob(id + 100),
            media_type: String::new(),
            platform: Platform::host(),
            layers: vec![LayerRecord {
                diff_id: DiffId(blob(1)),
                chain_id: ChainId(blob(1)),
                blob: blob(1),
                size: 1,
                key: String::new(),
            }],
            size: 0,
            created: None,
            pulled_at: 0,
            references: references.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let pulled = |name: &str| format!("{name}@{}", blob(9));
        let records = [
            record(10, &[pulled("r.example/a"), pulled("r.example/b"), "r.example/tagged-only:1".into()]),
            record(11, &[pulled("other.example/c"), pulled("r.example/target"), pulled("r.example/b")]),
        ];
        let found = others(&records, &"r.example/target:1".parse().unwrap());
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[0].1, HashSet::from([blob(1), blob(10)]));
        assert_eq!(found[1].1, HashSet::from([blob(1), blob(10), blob(11)]));
    }
}
