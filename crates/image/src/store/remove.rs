//! Removing images, by Docker's rules.
//!
//! A reference that is not the image's last is only taken off. The last one takes the image with it, unless a
//! container uses the image: then it needs `force`, and the image stays without a name for the container's sake. By
//! id, an image that several repositories refer to needs `force` as well, and a running container stands against it
//! in any case.

use std::sync::Arc;

use ross_types::{Digest, ImageRef};

use super::Inner;
use super::lease::{Fate, Held, Swept, Wants};
use super::names::{self, Named};
use crate::durable::Step;
use crate::error::Error;
use crate::image::{ImageUse, Removed};
use crate::layer::LayerKey;
use crate::record::ImageRecord;

/// What a record refers to.
pub(crate) fn wants_of(record: &ImageRecord) -> Wants {
    let mut blobs = vec![record.id.clone(), record.manifest.clone()];
    blobs.extend(record.layers.iter().map(|layer| layer.blob.clone()));
    // A key that is none was never written by ross, and names no layer to be removed.
    let layers = record.layers.iter().filter_map(|layer| layer.key.parse::<LayerKey>().ok()).collect();
    Wants { blobs, layers, image: None }
}

/// Whether all references are of one repository, with at most one tag among them.
fn is_single(references: &[ImageRef]) -> bool {
    let tags = references.iter().filter(|reference| reference.digest().is_none()).count();
    let first = references.first().map(ImageRef::familiar_name);
    tags <= 1 && references.iter().all(|reference| Some(reference.familiar_name()) == first)
}

pub(super) fn remove(
    inner: &Arc<Inner>,
    name: &str,
    force: bool,
    in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
) -> Result<Vec<Removed>, Error> {
    let held = inner.leases.lock();
    let (record, named) = names::find(inner.config.records.images()?, name)?;
    let mut removal = Removal { inner, held: &held, name, record, removed: Vec::new(), swept: None };
    match named {
        Named::Reference(reference) => removal.by_reference(&reference, force, in_use)?,
        Named::Id => removal.by_id(force, in_use)?,
    }
    let Removal { removed, swept, .. } = removal;
    drop(held);
    if let Some(Err(error)) = swept.map(Swept::delete) {
        // The image is gone; what stays of its files is swept when the store is opened next.
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot delete all of a removed image");
    }
    Ok(removed)
}

struct Removal<'a, 's> {
    inner: &'s Inner,
    held: &'a Held,
    name: &'a str,
    record: ImageRecord,
    removed: Vec<Removed>,
    swept: Option<Swept<'s>>,
}

impl Removal<'_, '_> {
    fn refuse(&self, reason: String) -> Error {
        Error::InUse { image: self.name.to_owned(), reason }
    }

    /// Takes these references off. The first is the one the user named: it goes last, so that what a crash interrupts
    /// can be asked for again.
    fn untag(&mut self, references: &[ImageRef]) -> Result<(), Error> {
        for reference in references.iter().rev() {
            Step::TagRemove.run(|| self.inner.config.records.remove_tag(reference))?;
        }
        self.removed.extend(references.iter().map(|reference| Removed::Untagged(reference.familiar())));
        Ok(())
    }

    /// Removes the image with all its references, `references` first among what is told, in one step: there is no
    /// moment at which it has lost its names and is still here.
    fn delete(&mut self, references: &[ImageRef]) -> Result<(), Error> {
        Step::RecordRemove.run(|| self.inner.config.records.remove_image(&self.record.id))?;
        self.removed.extend(references.iter().map(|reference| Removed::Untagged(reference.familiar())));
        self.removed.push(Removed::Deleted(self.record.id.clone()));
        self.swept = Some(self.held.collect(self.inner, &wants_of(&self.record), Fate::Remove)?);
        Ok(())
    }

    fn by_reference(
        &mut self,
        reference: &ImageRef,
        force: bool,
        in_use: &dyn Fn(&Digest) -> Option<ImageUse>,
    ) -> Result<(), Error> {
        let user = in_use(&self.record.id);
        let held = self.held.has_image(&self.record.id);
        if is_single(&self.record.references) && !force {
            if let Some(user) = &user {
                return Err(self.refuse(format!(
                    "it is in use by container {}; remove the container first, or use force to take only the name away",
                    user.container
                )));
            }
            if held {
                return Err(self.refuse(HELD.to_owned()));
            }
        }
        // Found by the digest of its manifest, the image goes by another digest reference of that repository.
        let own = self.record.references.iter().find(|own| *own == reference).or_else(|| {
            let same =
                |own: &&ImageRef| own.digest().is_some() && own.familiar_name() == reference.familiar_name();
            self.record.references.iter().find(same)
        });
        let own = own.cloned().ok_or_else(|| Error::NotFound(reference.familiar()))?;
        // A digest reference is made by pulling a tag of its repository, and goes with the last of them.
        let same = |other: &&ImageRef| **other != own && other.familiar_name() == own.familiar_name();
        let siblings: Vec<_> = self.record.references.iter().filter(same).cloned().collect();
        let takes_siblings =
            own.digest().is_none() && siblings.iter().all(|sibling| sibling.digest().is_some());
        let mut gone = vec![own];
        if takes_siblings {
            gone.extend(siblings);
        }
        if gone.len() < self.record.references.len() || user.is_some() || held {
            return self.untag(&gone);
        }
        self.delete(&gone)
    }

    fn by_id(&mut self, force: bool, in_use: &dyn Fn(&Digest) -> Option<ImageUse>) -> Result<(), Error> {
        let user = in_use(&self.record.id);
        match &user {
            Some(user) if user.running => {
                return Err(self.refuse(format!(
                    "it is in use by container {}, which runs; stop the container first",
                    user.container
                )));
            }
            Some(user) if !force => {
                return Err(self.refuse(format!(
                    "it is in use by container {}; remove the container first, or use force to take only the names away",
                    user.container
                )));
            }
            _ => {}
        }
        if self.held.has_image(&self.record.id) {
            return Err(self.refuse(HELD.to_owned()));
        }
        if !force && !is_single(&self.record.references) {
            let names: Vec<_> = self.record.references.iter().map(ImageRef::familiar).collect();
            let reason =
                format!("several names lead to it ({}); remove it by name, or use force", names.join(", "));
            return Err(self.refuse(reason));
        }
        let all = self.record.references.clone();
        if user.is_some() { self.untag(&all) } else { self.delete(&all) }
    }
}

const HELD: &str = "a container is being made from it right now";
