//! Removing all images that nothing uses, and the beginnings of downloads that nobody goes on with.
//!
//! One at a time, each under the lock of removals and deleted before the next: a pull does not wait for all of them,
//! and the disk gets room from the first on.

use std::sync::Arc;

use ross_types::{Digest, ImageRef};

use super::Inner;
use super::image_store::image_of;
use super::lease::{Fate, Swept};
use super::remove::wants_of;
use crate::durable::Step;
use crate::error::Error;
use crate::image::{Image, ImageUse, Removed};

/// What a prune came to.
#[derive(Debug, Default)]
pub struct Pruned {
    /// What went, in order.
    pub removed: Vec<Removed>,
    /// Bytes of blobs and of the content of layers that were given back.
    pub bytes: u64,
    /// Images and beginnings that are still here, or not all of their files gone: what, and why.
    pub failed: Vec<(String, Error)>,
}

pub(super) fn prune(
    inner: &Arc<Inner>,
    wanted: &dyn Fn(&Image) -> bool,
    in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    let candidates = inner.config.records.images()?;
    for id in candidates.into_iter().map(|record| record.id) {
        if let Err(error) = one(inner, &id, wanted, in_use, &mut pruned) {
            pruned.failed.push((format!("image {id}"), error));
        }
    }
    Ok(pruned)
}

/// Removes beginnings of downloads that nobody goes on with.
pub(super) fn prune_beginnings(inner: &Inner) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    for hex in inner.blobs.beginnings()?.into_iter().map(|(hex, _)| hex) {
        let held = inner.leases.lock();
        if held.has_blob(&hex) {
            continue;
        }
        let given_up = inner.blobs.give_up(&hex);
        drop(held);
        match given_up {
            // The last descriptor: its bytes go here, without the lock.
            Ok(gone) => {
                pruned.bytes += gone.and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
            }
            Err(error) => pruned.failed.push((format!("the beginning of blob {hex}"), error.into())),
        }
    }
    Ok(pruned)
}

/// Removes the image `id` if it is still there, wanted gone and used by nobody.
fn one(
    inner: &Inner,
    id: &Digest,
    wanted: &dyn Fn(&Image) -> bool,
    in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
    pruned: &mut Pruned,
) -> Result<(), Error> {
    let held = inner.leases.lock();
    let Some(record) = inner.config.records.images()?.into_iter().find(|record| record.id == *id) else {
        return Ok(());
    };
    let image = image_of(inner, record);
    if held.has_image(id) || in_use(id).is_some() || !wanted(&image) {
        return Ok(());
    }
    Step::RecordRemove.run(|| inner.config.records.remove_image(id))?;
    let untagged = image.record.references.iter().map(ImageRef::familiar).map(Removed::Untagged);
    pruned.removed.extend(untagged);
    pruned.removed.push(Removed::Deleted(id.clone()));
    let swept = held.collect(inner, &wants_of(&image.record), Fate::Remove);
    drop(held);
    pruned.bytes += swept.as_ref().map_or(0, Swept::bytes);
    // The image is gone; what stays of its files is swept when the store is opened next.
    swept.and_then(Swept::delete)
}
