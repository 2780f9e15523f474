//! Pull and unpack from a registry on loopback, nothing there before: by each engine, and by skopeo + umoci.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rootfs_fixtures::{Compression, Registry};

use super::engines;
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
    let images = [
        (
            "pull and unpack: a Debian-like image of eight layers",
            "bench/debian",
            rootfs_fixtures::debian_like(DEBIAN_MEGABYTES, Compression::Gzip),
        ),
        (
            "pull and unpack: 30,000 small files",
            "bench/files",
            rootfs_fixtures::many_small_files(SMALL_FILES, Compression::Gzip),
        ),
        (
            "pull and unpack: 40 layers of 250 small files",
            "bench/layers",
            rootfs_fixtures::layers_of_small_files(LAYERS, FILES_OF_LAYER),
        ),
    ];
    let engines = engines::start_all(place);
    let mut text = String::new();
    for (title, repository, image) in images {
        rootfs_fixtures::push(&image, &registry.address(), repository, "1")?;
        drop(image);
        let reference = format!("{}/{repository}:1", registry.address());
        let mut contenders: Vec<Contender<'_>> = engines
            .iter()
            .map(|engine| Contender {
                name: engine.name.to_owned(),
                before: Box::new(|| Ok(())),
                run: Box::new(|| engine.pull(&reference)),
                after: Box::new(|| engine.remove(&reference)),
            })
            .collect();
        if let (Some(skopeo), Some(umoci)) = (host::find("skopeo"), host::find("umoci")) {
            let dir = place.folder("umoci")?;
            contenders.push(skopeo_and_umoci(skopeo, umoci, &dir, &reference));
        }
        let measured = compare(contenders, place.samples);
        text.push_str(&report::table(title, &measured, "ross"));
        text.push('\n');
    }
    Ok(text)
}

fn skopeo_and_umoci<'a>(skopeo: PathBuf, umoci: PathBuf, dir: &Path, reference: &'a str) -> Contender<'a> {
    let (layout, bundle, log) = (dir.join("layout"), dir.join("bundle"), dir.join("log"));
    let cleaned = [layout.clone(), bundle.clone()];
    Contender {
        name: "skopeo + umoci".to_owned(),
        before: Box::new(|| Ok(())),
        run: Box::new(move || {
            let mut copy = Command::new(&skopeo);
            copy.args([
                "--insecure-policy",
                "copy",
                "--src-tls-verify=false",
                &format!("docker://{reference}"),
            ]);
            copy.arg(format!("oci:{}:1", layout.display()));
            command(copy, &log)?;
            let mut unpack = Command::new(&umoci);
            unpack.arg("unpack").arg("--image").arg(format!("{}:1", layout.display())).arg(&bundle);
            command(unpack, &log)
        }),
        after: Box::new(move || {
            for path in &cleaned {
                std::fs::remove_dir_all(path).with_context(|| format!("remove {}", path.display()))?;
            }
            Ok(())
        }),
    }
}
