//! Blobs that stay while somebody reads them, whatever is removed meanwhile.

use std::sync::Arc;

use super::remove::wants_of;
use super::{Inner, Lease, Wants};
use crate::error::Error;
use crate::record::ImageRecord;

/// Images whose blobs are leased.
pub(crate) struct LeasedImages {
    /// Those that were chosen.
    pub(crate) chosen: Vec<ImageRecord>,
    /// All there were at that moment.
    pub(crate) all: Vec<ImageRecord>,
    pub(crate) lease: Arc<Lease>,
}

/// Leases the blobs of the images that `choose` takes from all records. Their removal goes on as ever; what it leaves
/// goes with the lease.
pub(crate) fn lease_images(
    inner: &Arc<Inner>,
    choose: impl FnOnce(&[ImageRecord]) -> Result<Vec<ImageRecord>, Error>,
) -> Result<LeasedImages, Error> {
    let mut held = inner.leases.lock();
    let all = inner.config.records.images()?;
    let chosen = choose(&all)?;
    let blobs = chosen.iter().flat_map(|record| wants_of(record).blobs).collect();
    let wants = Wants { blobs, ..Wants::default() };
    held.take(&wants);
    drop(held);
    let (lease, _) = Lease::of_taken(inner, wants);
    // Of no use to anybody, once no record names it any more.
    lease.remove_surplus();
    Ok(LeasedImages { chosen, all, lease })
}
