//! `ross-runtime run` of `true` against crun and runc, and against a bare floor: clone3 with the same namespaces, then
//! exec.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::sample::{Contender, command, compare};
use super::{Place, report};
use crate::host;

pub fn measure(place: &Place) -> Result<String> {
    let bundle = bundle(place)?;
    let floor = place.bin.join("floor");
    let mut contenders = vec![Contender::plain("floor", || {
        let mut floor = Command::new(&floor);
        floor.arg(bundle.join("rootfs/bin/true"));
        command(floor, &place.dir.join("floor.log"))
    })];
    for (name, program, options) in [
        ("ross-runtime", Some(place.bin.join("ross-runtime")), &[][..]),
        ("crun", host::find("crun"), &[]),
        // Where crun may not raise its memlock limit for the device program, it runs only without a cgroup: less work.
        ("crun, no cgroup", host::find("crun"), &["--cgroup-manager=disabled"]),
        ("runc", host::find("runc"), &[]),
    ] {
        let Some(program) = program else { continue };
        contenders.push(contender(place, &bundle, name, program, options));
    }
    let measured = compare(contenders, place.samples * 4);
    Ok(report::table("`run` of `true`, the bundle of `runc spec`", &measured, "ross-runtime"))
}

fn contender<'a>(
    place: &'a Place,
    bundle: &'a Path,
    name: &'a str,
    program: PathBuf,
    options: &'a [&str],
) -> Contender<'a> {
    let folder = name.replace([',', ' '], "");
    Contender::plain(name, move || {
        let mut run = Command::new(&program);
        run.arg("--root").arg(place.dir.join(format!("{folder}.state"))).args(options);
        run.args(["run", "--bundle"]).arg(bundle).arg(format!("bench-{folder}"));
        command(run, &place.dir.join(format!("{folder}.log")))
    })
}

/// A busybox root with runc's default configuration, `true` in place of the shell.
pub fn bundle(place: &Place) -> Result<PathBuf> {
    let bundle = place.folder("bundle")?;
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    for dir in ["proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir_all(bundle.join("rootfs").join(dir))?;
    }
    fs::copy(host::find("busybox").context("busybox")?, bin.join("busybox"))?;
    for applet in ["true", "sh"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet))?;
    }
    let runc = host::find("runc").context("no runc here to write the bundle's config.json")?;
    let mut spec = Command::new(runc);
    spec.args(["spec", "--bundle"]).arg(&bundle);
    command(spec, &place.dir.join("spec.log"))?;
    let path = bundle.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/bin/true"]);
    fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
    Ok(bundle)
}
