//! Images, as far as containers stand on them.

use std::collections::HashMap;
use std::sync::Arc;

use ross_image::{Credentials, Image, ImageStore, ImageUse, Removed, Verified, VerifyOrder, VerifySink};
use ross_types::{Digest, ErrorKind};

use super::Engine;
use crate::context::Context;
use crate::create::resolve_image;
use crate::error::{EngineError, Result};
use crate::model::EventKind;
use crate::task::blocking;

impl Engine {
    /// The images. Removal goes through [`Self::remove_image`], which knows what containers use.
    #[must_use]
    pub fn images(&self) -> &ImageStore {
        &self.context.images
    }

    /// The image by name, id or unambiguous id prefix.
    ///
    /// # Errors
    /// `No such image: x`, or an id prefix that is ambiguous.
    pub async fn image(&self, name: &str) -> Result<Image> {
        let (context, name) = (self.context.clone(), name.to_owned());
        blocking(move || resolve_image(&context, &name)).await
    }

    /// Removes a name of an image, and the image with its last name.
    ///
    /// # Errors
    /// When there is none, or a container uses it.
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<Vec<Removed>> {
        let (context, name) = (self.context.clone(), name.to_owned());
        blocking(move || {
            let in_use = |id: &Digest| user_of(&context, id);
            let removed = context.images.remove(&name, force, &in_use);
            context.db.keep_reserve();
            let removed = removed.map_err(|error| match error {
                ross_image::Error::NotFound(_) => {
                    EngineError::new(ErrorKind::NotFound, name.as_str(), format!("No such image: {name}"))
                }
                other => EngineError::new(other.kind(), name.as_str(), sentence(&other)),
            })?;
            for step in &removed {
                let (action, id) = match step {
                    Removed::Untagged(reference) => ("untag", reference.clone()),
                    Removed::Deleted(id) => ("delete", id.to_string()),
                };
                context.events.tell(EventKind::Image, action, &id, std::collections::BTreeMap::new());
            }
            Ok(removed)
        })
        .await
    }

    /// Holds images against their digests, all of them when none is named, and mends what is wrong if `repair`.
    ///
    /// # Errors
    /// When an image named is not there, or the records cannot be read; not that something is wrong.
    pub async fn verify_images(
        &self,
        images: Vec<String>,
        repair: bool,
        credentials: HashMap<String, Credentials>,
        sink: VerifySink,
    ) -> std::result::Result<Verified, ross_image::Error> {
        let context = self.context.clone();
        let in_use = Arc::new(move |id: &Digest| user_of(&context, id));
        self.images().verify(VerifyOrder { images, repair, credentials, in_use }, sink).await
    }
}

/// An error with its sources.
fn sentence(error: &dyn std::error::Error) -> String {
    let links = std::iter::successors(Some(error), |error| error.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The container that keeps an image from being removed; of several one that runs, which says more.
pub(super) fn user_of(context: &Context, id: &Digest) -> Option<ImageUse> {
    let views: Vec<_> = context.registry.all().iter().map(crate::container::Handle::view).collect();
    let mut using = views.iter().filter(|view| view.image_id == *id);
    let first = using.next()?;
    let shown = [first].into_iter().chain(using).find(|view| view.run.state.is_running()).unwrap_or(first);
    Some(ImageUse { container: shown.name.to_string(), running: shown.run.state.is_running() })
}
