//! A pull from its reference to its record: what is there, what must be fetched, and which names it gets.

use std::sync::Arc;

use ross_types::{ImageRef, Platform};

use super::{Order, assemble, resolve};
use crate::error::Error;
use crate::image::Pulled;
use crate::progress::{ProgressSink, PullEvent};
use crate::registry::Credentials;
use crate::store::Inner;

pub(crate) async fn pull(
    inner: &Arc<Inner>,
    reference: &ImageRef,
    platform: &Platform,
    credentials: Option<Credentials>,
    progress: ProgressSink,
) -> Result<Pulled, Error> {
    progress(PullEvent::Resolving);
    let repository = inner.registries.repository(reference, credentials)?;
    let (digest, resolved) = resolve::resolve(inner, &repository, reference, platform).await?;
    progress(PullEvent::Manifest { digest: digest.clone() });
    // As in docker, a digest beside a tag decides, and the tag is not set.
    let mut references = vec![(reference.with_digest(digest.clone()), digest.clone())];
    if reference.digest().is_none() {
        references.push((reference.clone(), digest.clone()));
    }
    let order = Order { resolved, repository: Some(repository), references, progress: progress.clone() };
    let (image, known) = assemble(inner, order).await?;
    progress(PullEvent::Done);
    Ok(Pulled { image, updated: !known, digest })
}
