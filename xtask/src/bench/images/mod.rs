//! The image engine in full: pulls cold, with all blobs there, of images that share layers, of what is there already;
//! push; peak memory.

mod again;
mod memory;
mod present;
mod push;
mod shared;

use anyhow::Result;
use rootfs_fixtures::Registry;

use super::{Place, engines, pull};

pub fn measure(place: &Place) -> Result<String> {
    let registry = Registry::start(&place.folder("registry")?)?;
    let engines = engines::start_all(place);
    let mut text = pull::debian_like(place, &registry, &engines)?;
    text.push_str(&pull::small_files(place, &registry, &engines)?);
    let debian = pull::push_debian_like(&registry)?;
    text.push_str(&present::measure(place, &engines, &debian)?);
    text.push_str(&shared::measure(place, &registry, &engines)?);
    text.push_str(&again::measure(place, &registry, &engines, &debian)?);
    text.push_str(&push::measure(place, &engines, &debian)?);
    // Daemons of their own, so that their peak is that of one pull.
    drop(engines);
    text.push_str(&memory::measure(place, &debian)?);
    Ok(text)
}
