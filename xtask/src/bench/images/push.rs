//! Push of a pulled image into an empty registry.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rootfs_fixtures::Registry;

use super::super::engines::Engine;
use super::super::sample::{Contender, compare};
use super::super::{Place, report};

pub fn measure(place: &Place, engines: &[Engine], reference: &str) -> Result<String> {
    let dir = place.folder("pushed")?;
    let target = RefCell::new(None);
    let contenders = engines.iter().map(|engine| contender(engine, reference, &dir, &target));
    let measured = compare(contenders.collect(), place.samples);
    for engine in engines {
        engine.remove(reference).ok();
    }
    Ok(report::table("push: the Debian-like image into an empty registry", &measured, "ross") + "\n")
}

fn contender<'a>(
    engine: &'a Engine,
    reference: &'a str,
    dir: &'a Path,
    target: &'a RefCell<Option<Registry>>,
) -> Contender<'a> {
    let name = || -> Result<String> {
        let registry = target.borrow();
        Ok(format!("{}/bench/pushed:1", registry.as_ref().context("no registry to push to")?.address()))
    };
    Contender {
        name: engine.name.to_owned(),
        before: Box::new(move || {
            fs::create_dir_all(dir)?;
            *target.borrow_mut() = Some(Registry::start(dir)?);
            engine.pull(reference)?;
            engine.tag(reference, &name()?)
        }),
        run: Box::new(move || engine.push(&name()?)),
        after: Box::new(move || {
            let removed = engine.remove(&name()?);
            target.borrow_mut().take();
            fs::remove_dir_all(dir)?;
            removed
        }),
    }
}
