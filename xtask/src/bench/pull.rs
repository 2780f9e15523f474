//! Pull and unpack from a registry on loopback, nothing there before: by each engine, and by skopeo + umoci.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rootfs_fixtures::{Compression, Image, Registry};

use super::engines::{self, Engine};
use super::sample::{Contender, command, compare};
use super::{Place, report};
use crate::host;

/// Size of the first image.
const DEBIAN_MEGABYTES: usize = 120;
/// Small files of the second image.
const SMALL_FILES: usize = 30_000;
/// The third image. The peers cannot read the sparse files and zstd layers of the many-layers fixture.
const LAYERS: usize = 40;
const FILES_OF_LAYER: usize = 250;

pub fn measure(place: &Place) -> Result<String> {
    let registry = Registry::start(&place.folder("registry")?)?;
    let engines = engines::start_all(place);
    let files = (FILES_OF_LAYER / place.scale).max(1);
    let layers = rootfs_fixtures::layers_of_small_files(LAYERS, files);
    let reference = push(&layers, &registry, "bench/layers")?;
    let mut text = table(place, &engines, &format!("{LAYERS} layers of {files} small files"), &reference)?;
    text.push_str(&small_files(place, &registry, &engines)?);
    text.push_str(&debian_like(place, &registry, &engines)?);
    Ok(text)
}

/// The Debian-like image, by everyone.
pub fn debian_like(place: &Place, registry: &Registry, engines: &[Engine]) -> Result<String> {
    let reference = push_debian_like(place, registry)?;
    let megabytes = DEBIAN_MEGABYTES / place.scale;
    table(place, engines, &format!("a Debian-like image of eight layers, {megabytes} MB"), &reference)
}

/// The image of many small files, by everyone.
pub fn small_files(place: &Place, registry: &Registry, engines: &[Engine]) -> Result<String> {
    let files = (SMALL_FILES / place.scale).max(1);
    let image = rootfs_fixtures::many_small_files(files, Compression::Gzip);
    let reference = push(&image, registry, "bench/files")?;
    drop(image);
    table(place, engines, &format!("{files} small files"), &reference)
}

/// Puts the Debian-like image into the registry; what it is called.
pub fn push_debian_like(place: &Place, registry: &Registry) -> Result<String> {
    let image = rootfs_fixtures::debian_like(DEBIAN_MEGABYTES / place.scale, Compression::Gzip);
    push(&image, registry, "bench/debian")
}

fn push(image: &Image, registry: &Registry, repository: &str) -> Result<String> {
    rootfs_fixtures::push(image, &registry.address(), repository, "1")?;
    Ok(format!("{}/{repository}:1", registry.address()))
}

fn table(place: &Place, engines: &[Engine], image: &str, reference: &str) -> Result<String> {
    let mut contenders: Vec<Contender<'_>> = engines
        .iter()
        .map(|engine| Contender {
            name: engine.name.to_owned(),
            before: Box::new(|| Ok(())),
            run: Box::new(|| engine.pull(reference)),
            after: Box::new(|| engine.remove(reference)),
        })
        .collect();
    if let (Some(skopeo), Some(umoci)) = (host::find("skopeo"), host::find("umoci")) {
        let dir = place.folder("umoci")?;
        contenders.push(skopeo_and_umoci(skopeo, umoci, &dir, reference));
    }
    let measured = compare(contenders, place.samples);
    let text = report::table(&format!("pull and unpack: {image}"), &measured, "ross") + "\n";
    // It may be an hour to the next in the test machine.
    println!("{text}");
    Ok(text)
}

fn skopeo_and_umoci<'a>(skopeo: PathBuf, umoci: PathBuf, dir: &Path, reference: &'a str) -> Contender<'a> {
    let (layout, bundle, log) = (dir.join("layout"), dir.join("bundle"), dir.join("log"));
    let cleaned = [layout.clone(), bundle.clone()];
    Contender {
        name: "skopeo + umoci".to_owned(),
        before: Box::new(|| Ok(())),
        run: Box::new(move || {
            copy(&skopeo, reference, &layout, &log)?;
            unpack(&umoci, &layout, &bundle, &log)
        }),
        after: Box::new(move || {
            for path in &cleaned {
                fs::remove_dir_all(path).with_context(|| format!("remove {}", path.display()))?;
            }
            Ok(())
        }),
    }
}

/// Copies an image of a loopback registry into an OCI layout, as its tag `1`.
pub fn copy(skopeo: &Path, reference: &str, layout: &Path, log: &Path) -> Result<()> {
    command(copying(skopeo, reference, layout), log)
}

/// [`copy`], to be run.
pub fn copying(skopeo: &Path, reference: &str, layout: &Path) -> Command {
    let mut copy = Command::new(skopeo);
    copy.args(["--insecure-policy", "copy", "--src-tls-verify=false", &format!("docker://{reference}")]);
    copy.arg(format!("oci:{}:1", layout.display()));
    copy
}

/// Unpacks the tag `1` of an OCI layout.
pub fn unpack(umoci: &Path, layout: &Path, bundle: &Path, log: &Path) -> Result<()> {
    command(unpacking(umoci, layout, bundle), log)
}

/// [`unpack`], to be run.
pub fn unpacking(umoci: &Path, layout: &Path, bundle: &Path) -> Command {
    let mut unpack = Command::new(umoci);
    unpack.arg("unpack").arg("--image").arg(format!("{}:1", layout.display())).arg(bundle);
    unpack
}
