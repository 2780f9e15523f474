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
    let debian = pull::push_debian_like(place, &registry)?;
    add(&mut text, "unpack", present::measure(place, &engines, &debian));
    add(&mut text, "shared layers", shared::measure(place, &registry, &engines));
    add(&mut text, "what is there", again::measure(place, &registry, &engines, &debian));
    add(&mut text, "push", push::measure(place, &engines, &debian));
    // Daemons of their own, so that their peak is that of one pull.
    drop(engines);
    add(&mut text, "memory", memory::measure(place, &debian));
    Ok(text)
}

/// The push alone.
pub fn measure_push(place: &Place) -> Result<String> {
    let registry = Registry::start(&place.folder("registry")?)?;
    let engines = engines::start_all(place);
    push::measure(place, &engines, &pull::push_debian_like(place, &registry)?)
}

/// What is measured is told at once, and what is not does not take the rest along.
fn add(text: &mut String, what: &str, measured: Result<String>) {
    let measured = measured.unwrap_or_else(|error| format!("### {what}\n\nnot measured: {error:#}\n\n"));
    println!("{measured}");
    text.push_str(&measured);
}
