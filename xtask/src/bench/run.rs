//! `run --rm busybox true` by each engine, with its defaults and without a network.

use anyhow::{Context, Result};
use rootfs_fixtures::{Compression, Flavour, Registry};

use super::engines::{self, Engine, Kind};
use super::sample::{Contender, compare};
use super::{Place, report};

const REPOSITORY: &str = "bench/busybox";

pub fn measure(place: &Place) -> Result<String> {
    let registry = Registry::start(&place.folder("registry")?)?;
    rootfs_fixtures::push(
        &rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?,
        &registry.address(),
        REPOSITORY,
        "1",
    )?;
    let image = format!("{}/{REPOSITORY}:1", registry.address());
    let engines = engines::start_all(place);
    for engine in &engines {
        engine.pull(&image).with_context(|| format!("{} pull", engine.name))?;
    }
    drop(registry);
    let mut text = String::new();
    for (title, network) in
        [("`run --rm busybox true`, default network", false), ("the same without a network", true)]
    {
        let contenders = engines
            .iter()
            // ctr's containers have no network unless a CNI configuration is written for them.
            .filter(|engine| network || engine.kind != Kind::Containerd)
            .map(|engine| contender(engine, &image, network))
            .collect();
        text.push_str(&report::table(title, &compare(contenders, place.samples), "ross"));
        text.push('\n');
    }
    Ok(text)
}

fn contender<'a>(engine: &'a Engine, image: &'a str, no_network: bool) -> Contender<'a> {
    let mut round = 0_u32;
    Contender::plain(&engine.title(), move || {
        round += 1;
        let name = format!("bench-{no_network}-{round}");
        let network: &[&str] = if no_network { &["--network", "none"] } else { &[] };
        match engine.kind {
            Kind::Containerd => engine.call(&["run", "--rm", image, &name, "/bin/true"]),
            _ => engine
                .call(&[&["run", "--rm"], engine.run_options(), network, &[image, "/bin/true"]].concat()),
        }
    })
}
