//! From a staged layer to a recorded image.

use std::sync::Arc;

use ross_types::{DiffId, Digest, DigestAlgorithm, ImageRef, Platform};

use super::{StagedLayer, config};
use crate::content::Hasher;
use crate::error::Error;
use crate::image::Image;
use crate::manifest::{
    self, ContainerDefaults, Descriptor, Document, ImageConfig, MAX_MANIFEST_SIZE, Manifest, ManifestError,
    OCI_MANIFEST,
};
use crate::pull::{Order, Resolved, assemble};
use crate::snapshot::check_depth;
use crate::store::{Inner, Lease, Wants, blocking};

/// An image to be made.
#[derive(Debug)]
pub struct NewImage {
    /// The image below; the caller [holds](crate::ImageStore::hold) it.
    pub base: Option<Image>,
    /// The layer on top; none when nothing was changed.
    pub layer: Option<StagedLayer>,
    /// What a container of it starts with.
    pub config: ContainerDefaults,
    /// RFC 3339 time of creation.
    pub created: String,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// By what command.
    pub created_by: String,
    /// What it is for, where there is no image below that says so.
    pub platform: Platform,
    /// The tag that leads to it from now on.
    pub reference: Option<ImageRef>,
}

/// Makes the image. When it fails, nothing of it is left when it returns.
pub(crate) async fn commit(inner: &Arc<Inner>, new: NewImage) -> Result<Image, Error> {
    if let Some(reference) = new.reference.as_ref().filter(|reference| reference.digest().is_some()) {
        return Err(Error::InvalidTag(reference.familiar()));
    }
    let staging = inner.clone();
    let (order, lease, released) = blocking(move || {
        let resolved = resolve(&staging, &new)?;
        let mut wants = Wants::default();
        wants.blobs.extend(new.layer.as_ref().map(|layer| layer.blob().0.clone()));
        // Leased before it can be seen, or it could be swept away before it is recorded.
        let (lease, released) = Lease::acquire(&staging, wants);
        // Never settled: what the image did not come to use goes, whether it was made or not.
        lease.remove_surplus();
        if let Some(layer) = &new.layer {
            layer.publish(&staging)?;
        }
        let digest = resolved.digest.clone();
        let references = new.reference.clone().map(|reference| (reference, digest)).into_iter().collect();
        let order = Order { resolved, repository: None, references, progress: Arc::new(|_| {}) };
        Ok((order, lease, released))
    })
    .await?;
    let made = assemble(inner, order).await;
    drop(lease);
    // An error says that the lease is gone, which is what is awaited.
    let _ = released.await;
    Ok(made?.0)
}

fn resolve(inner: &Inner, new: &NewImage) -> Result<Resolved, Error> {
    let mut layers = match &new.base {
        Some(base) => layers_of(inner, base)?,
        None => Vec::new(),
    };
    let mut diff_ids: Vec<DiffId> = match &new.base {
        Some(base) => base.config.rootfs.diff_ids.clone(),
        None => Vec::new(),
    };
    if let Some(layer) = &new.layer {
        let (digest, size) = layer.blob();
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
        layers.push(Descriptor { media_type, digest: digest.clone(), size });
        diff_ids.push(layer.diff_id().clone());
    }
    // No container could be made of it.
    check_depth(layers.len())?;
    let raw_config = config::config(new, &diff_ids);
    let config = ImageConfig::parse(&raw_config)?;
    let manifest = Manifest {
        media_type: OCI_MANIFEST.to_owned(),
        config: Descriptor {
            media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
            digest: sha256(&raw_config),
            size: raw_config.len() as u64,
        },
        layers,
    };
    let raw_manifest = manifest.to_json();
    Ok(Resolved::new(sha256(&raw_manifest), manifest, raw_manifest, config, raw_config)?)
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(DigestAlgorithm::Sha256, bytes)
}

/// The layers of an image as its manifest has them.
fn layers_of(inner: &Inner, base: &Image) -> Result<Vec<Descriptor>, Error> {
    let raw = inner.blobs.read(&base.record.manifest, MAX_MANIFEST_SIZE)?;
    match manifest::parse(&raw, Some(&base.record.media_type))? {
        Document::Manifest(manifest) => {
            let oci =
                |layer: Descriptor| Descriptor { media_type: config::layer_type(&layer.media_type), ..layer };
            Ok(manifest.layers.into_iter().map(oci).collect())
        }
        Document::Index(_) => {
            let text = format!("image {}: its manifest is an index", base.record.id);
            Err(ManifestError::new(ross_types::ErrorKind::DataLoss, text).into())
        }
    }
}
