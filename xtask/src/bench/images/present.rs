//! Unpacking alone: every blob is here, and no layer.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

use super::super::engines::{Engine, Kind};
use super::super::sample::{Contender, compare};
use super::super::{Place, pull, report};
use crate::host;

pub fn measure(place: &Place, engines: &[Engine], reference: &str) -> Result<String> {
    let (skopeo, umoci) = (host::find("skopeo"), host::find("umoci"));
    let skopeo = skopeo.context("no skopeo here, which brings the blobs")?;
    let dir = place.folder("present")?;
    let layout = dir.join("layout");
    pull::copy(&skopeo, reference, &layout, &dir.join("log"))?;
    let mut contenders = vec![ross(place, &dir, &layout, reference)];
    contenders.extend(engines.iter().filter_map(|engine| peer(engine, reference)));
    if let Some(umoci) = umoci {
        let (bundle, log, layout) = (dir.join("bundle"), dir.join("log"), layout.clone());
        let made = bundle.clone();
        contenders.push(Contender {
            name: "umoci, from a layout".to_owned(),
            before: Box::new(|| Ok(())),
            run: Box::new(move || pull::unpack(&umoci, &layout, &bundle, &log)),
            after: Box::new(move || Ok(fs::remove_dir_all(&made)?)),
        });
    }
    let measured = compare(contenders, place.samples);
    Ok(report::table("unpack: the Debian-like image, its blobs all here", &measured, "ross") + "\n")
}

/// A daemon whose store has the blobs as a pull that was cut off leaves them: to be read and hashed again.
fn ross<'a>(place: &'a Place, dir: &Path, layout: &'a Path, reference: &'a str) -> Contender<'a> {
    let dir = dir.join("ross");
    let daemon: Rc<RefCell<Option<Engine>>> = Rc::default();
    let (running, ended, cleaned) = (daemon.clone(), daemon.clone(), dir.clone());
    Contender {
        name: "ross".to_owned(),
        before: Box::new(move || {
            let ingest = dir.join("root/ingest");
            fs::create_dir_all(&ingest)?;
            for blob in fs::read_dir(layout.join("blobs/sha256"))? {
                let blob = blob?;
                let name = format!("{}.partial", blob.file_name().display());
                fs::copy(blob.path(), ingest.join(name))?;
            }
            *daemon.borrow_mut() = Some(Engine::start_in(&dir, &dir, &place.bin, "ross", Kind::Ross)?);
            Ok(())
        }),
        run: Box::new(move || running.borrow().as_ref().context("no daemon")?.pull(reference)),
        after: Box::new(move || {
            ended.borrow_mut().take();
            Ok(fs::remove_dir_all(&cleaned)?)
        }),
    }
}

/// docker and podman keep nothing between a registry and their layers.
fn peer<'a>(engine: &'a Engine, reference: &'a str) -> Option<Contender<'a>> {
    (engine.kind == Kind::Containerd).then(|| Contender {
        name: engine.name.to_owned(),
        before: Box::new(|| engine.call(&["content", "fetch", "--plain-http", reference])),
        run: Box::new(|| engine.pull(reference)),
        after: Box::new(|| engine.remove(reference)),
    })
}
