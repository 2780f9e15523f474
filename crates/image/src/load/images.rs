//! Which images an archive has, and what they are called.
//!
//! Sources: OCI image specification, `image-layout.md` and `annotations.md`; docker's `manifest.json` of `docker save`.
//! Newer dockers write both; then the OCI side says what the images are and docker's what they are called.

use std::collections::BTreeMap;

use ross_types::{Digest, DigestAlgorithm, ErrorKind, ImageRef, Platform};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ArchiveError;
use super::members::Members;
use crate::content::{BlobStore, Hasher};
use crate::error::Error;
use crate::manifest::{
    self, Descriptor, Document, Entry, ImageConfig, MAX_CONFIG_SIZE, MAX_INDEX_DEPTH, MAX_MANIFEST_SIZE,
    Manifest, ManifestError, OCI_MANIFEST, choose,
};
use crate::pull::{Packing, Resolved};

/// An image of an archive; its layers are in the blob store already.
pub(super) struct Found {
    pub(super) resolved: Resolved,
    pub(super) names: Vec<ImageRef>,
}

/// One image of docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

fn json<T: DeserializeOwned>(members: &Members, name: &str) -> Result<T, Error> {
    let bytes = members.content(name, MAX_MANIFEST_SIZE)?;
    Ok(serde_json::from_slice(&bytes)
        .map_err(|source| ArchiveError::Malformed { member: name.to_owned(), source })?)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// The images of an archive. Their layers become blobs.
pub(super) fn images(members: &Members, blobs: &BlobStore) -> Result<Vec<Found>, Error> {
    let docker: Option<Vec<DockerImage>> =
        if members.has("manifest.json") { Some(json(members, "manifest.json")?) } else { None };
    if members.has("index.json") {
        let bytes = members.content("index.json", MAX_MANIFEST_SIZE)?;
        if let Document::Index(entries) = manifest::parse(&bytes, None)?
            && !entries.is_empty()
        {
            let docker = docker.as_deref().unwrap_or_default();
            return of_entries(members, blobs, &entries, docker);
        }
    }
    let Some(docker) = docker.filter(|images| !images.is_empty()) else {
        let old = members.has("repositories");
        return Err(if old { ArchiveError::Version1 } else { ArchiveError::NoImages }.into());
    };
    docker.iter().map(|image| of_docker(members, blobs, image)).collect()
}

/// The images of an index. One that has several names is in it several times.
fn of_entries(
    members: &Members,
    blobs: &BlobStore,
    entries: &[Entry],
    docker: &[DockerImage],
) -> Result<Vec<Found>, Error> {
    let mut images: Vec<Found> = Vec::new();
    for entry in entries {
        let found = of_layout(members, blobs, entry, docker)?;
        match images.iter_mut().find(|known| known.resolved.digest == found.resolved.digest) {
            Some(known) => {
                known.names.extend(found.names);
                known.names.sort();
                known.names.dedup();
            }
            None => images.push(found),
        }
    }
    Ok(images)
}

fn names<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<Vec<ImageRef>, ArchiveError> {
    let parsed: Result<Vec<ImageRef>, _> = texts.into_iter().map(|text| text.parse()).collect();
    let mut parsed = parsed.map_err(ArchiveError::Name)?;
    parsed.retain(|reference| reference.digest().is_none());
    Ok(parsed)
}

fn of_layout(
    members: &Members,
    blobs: &BlobStore,
    entry: &Entry,
    docker: &[DockerImage],
) -> Result<Found, Error> {
    let index = entry.descriptor.digest.clone();
    let (digest, raw, manifest) = manifest_of(members, &index, &entry.descriptor, 0)?;
    let raw_config = blob(members, &manifest.config, MAX_CONFIG_SIZE)?;
    let config = ImageConfig::parse(&raw_config)?;
    for layer in &manifest.layers {
        members.publish(blobs, &blob_name(&layer.digest), &layer.digest)?;
    }
    let mut names = annotated_names(entry.annotations.as_ref())?;
    let config_name = blob_name(&manifest.config.digest);
    for image in docker.iter().filter(|image| image.config == config_name) {
        names.extend(self::names(image.repo_tags.iter().flatten())?);
    }
    names.sort();
    names.dedup();
    let resolved = Resolved::new(digest, manifest, raw, config, raw_config)?;
    Ok(Found { resolved, names })
}

/// The full name that containerd and docker write; the standard's own, where it is a name rather than a bare tag.
fn annotated_names(annotations: Option<&BTreeMap<String, String>>) -> Result<Vec<ImageRef>, ArchiveError> {
    let Some(annotations) = annotations else { return Ok(Vec::new()) };
    if let Some(name) = annotations.get("io.containerd.image.name") {
        return names([name]);
    }
    let name = annotations.get("org.opencontainers.image.ref.name");
    names(name.filter(|name| name.contains([':', '/'])))
}

fn blob(members: &Members, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
    let name = blob_name(&descriptor.digest);
    let bytes = members.content(&name, limit)?;
    let actual = Hasher::digest(descriptor.digest.algorithm(), &bytes);
    if actual == descriptor.digest {
        Ok(bytes)
    } else {
        Err(crate::content::ContentError::Digest { expected: descriptor.digest.clone(), actual }.into())
    }
}

/// The manifest a descriptor leads to; of an index, the one for this host.
fn manifest_of(
    members: &Members,
    index: &Digest,
    descriptor: &Descriptor,
    depth: usize,
) -> Result<(Digest, Vec<u8>, Manifest), Error> {
    let bytes = blob(members, descriptor, MAX_MANIFEST_SIZE)?;
    let entries = match manifest::parse(&bytes, Some(&descriptor.media_type))? {
        Document::Manifest(manifest) => return Ok((descriptor.digest.clone(), bytes, manifest)),
        Document::Index(entries) => entries,
    };
    if depth >= MAX_INDEX_DEPTH {
        let text = format!("index {index}: more than {MAX_INDEX_DEPTH} indexes within each other");
        return Err(ManifestError::new(ErrorKind::DataLoss, text).into());
    }
    let chosen = choose(index, &entries, &Platform::host())?;
    let chosen = chosen.first().expect("what is chosen is never empty");
    manifest_of(members, &chosen.digest, chosen, depth + 1)
}

/// An image without a manifest gets one, made from what the archive has.
fn of_docker(members: &Members, blobs: &BlobStore, image: &DockerImage) -> Result<Found, Error> {
    let raw_config = members.content(&image.config, MAX_CONFIG_SIZE)?;
    let config = ImageConfig::parse(&raw_config)?;
    let mut layers = Vec::new();
    for name in image.layers.iter().flatten() {
        let (digest, size, packing) = members.identity(name)?;
        members.publish(blobs, name, &digest)?;
        // Seen from the content: the manifest is pushed as it is made here, and others go by its labels.
        let media_type = match packing {
            Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let media_type = media_type.to_owned();
        layers.push(Descriptor { media_type, digest, size });
    }
    let manifest = Manifest {
        media_type: OCI_MANIFEST.to_owned(),
        config: Descriptor {
            media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
            digest: Hasher::digest(DigestAlgorithm::Sha256, &raw_config),
            size: raw_config.len() as u64,
        },
        layers,
    };
    let raw = manifest.to_json();
    let digest = Hasher::digest(DigestAlgorithm::Sha256, &raw);
    let names = names(image.repo_tags.iter().flatten())?;
    Ok(Found { resolved: Resolved::new(digest, manifest, raw, config, raw_config)?, names })
}
