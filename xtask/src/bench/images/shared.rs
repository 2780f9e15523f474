//! Ten images that share their lower layers, one after another.

use anyhow::Result;
use rootfs_fixtures::{Compression, Flavour, Image, Layer, Registry, small_files};
use serde_json::json;

use super::super::engines::Engine;
use super::super::sample::{Contender, compare};
use super::super::{Place, report};

const IMAGES: usize = 10;
const SHARED_LAYERS: usize = 4;
const FILES_OF_LAYER: usize = 1000;

pub fn measure(place: &Place, registry: &Registry, engines: &[Engine]) -> Result<String> {
    let layer = |name: String, files| Layer::new(&small_files(&name, files), Compression::Gzip);
    let below: Vec<Layer> = (0..SHARED_LAYERS).map(|n| layer(format!("below{n}"), FILES_OF_LAYER)).collect();
    let mut references = Vec::new();
    for number in 0..IMAGES {
        let own = layer(format!("own{number}"), FILES_OF_LAYER / 10);
        let layers = below.iter().cloned().chain([own]).collect();
        let image = Image::new(layers, &json!({"Cmd": ["/bin/true"]}), Flavour::Oci);
        let repository = format!("bench/shared{number}");
        rootfs_fixtures::push(&image, &registry.address(), &repository, "1")?;
        references.push(format!("{}/{repository}:1", registry.address()));
    }
    let references = &references;
    let contenders = engines.iter().map(|engine| Contender {
        name: engine.name.to_owned(),
        before: Box::new(|| Ok(())),
        run: Box::new(|| references.iter().try_for_each(|reference| engine.pull(reference))),
        after: Box::new(|| references.iter().try_for_each(|reference| engine.remove(reference))),
    });
    let measured = compare(contenders.collect(), place.samples);
    let title = format!("pull: {IMAGES} images that share {SHARED_LAYERS} of their 5 layers");
    Ok(report::table(&title, &measured, "ross") + "\n")
}
