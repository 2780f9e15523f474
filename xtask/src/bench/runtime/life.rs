//! What is timed of one container: `run`, the three steps of a caller, `exec`.

use std::process::Command;

use anyhow::Result;

use super::super::Place;
use super::super::sample::{Contender, command};
use super::bundle::Bundle;
use super::subject::Subject;

/// The floor twice: clone3 and exec alone, and with all that the bundle asks of the kernel.
pub fn floors<'a>(place: &'a Place, bundle: &'a Bundle) -> Vec<Contender<'a>> {
    let rootfs = Bundle::rootfs(place);
    let program = rootfs.join("bin/true").display().to_string();
    let rootfs = rootfs.display().to_string();
    let alone = vec!["spawn".to_owned(), program];
    let mut container = vec!["container".to_owned(), rootfs, "/bin/true".to_owned()];
    container.extend(bundle.binds.iter().cloned());
    [("clone3 and exec alone", alone), ("floor", container)]
        .map(|(name, words)| {
            Contender::plain(name, move || {
                let mut floor = Command::new(place.bin.join("floor"));
                floor.args(&words);
                command(floor, &place.dir.join("floor.log"))
            })
        })
        .into()
}

/// `run` in the foreground.
pub fn run<'a>(subject: &'a Subject, bundle: &'a Bundle) -> Contender<'a> {
    let id = subject.id("run");
    Contender::plain(subject.name, move || subject.call(&["run", "--bundle", &bundle.path, &id]))
}

/// As containerd and podman do it: three processes.
pub fn steps<'a>(subject: &'a Subject, bundle: &'a Bundle) -> Contender<'a> {
    let id = subject.id("steps");
    Contender::plain(subject.name, move || {
        subject.call(&["create", "--bundle", &bundle.path, &id])?;
        subject.call(&["start", &id])?;
        subject.call(&["delete", "--force", &id])
    })
}

/// `exec` of `true` into a container that runs from the first round to the last.
pub fn exec<'a>(subject: &'a Subject, bundle: &'a Bundle) -> Contender<'a> {
    let id = subject.id("exec");
    let mut resident = None;
    let start = id.clone();
    Contender {
        name: subject.name.to_owned(),
        before: Box::new(move || {
            if resident.is_none() {
                resident = Some(Resident::start(subject, bundle, start.clone())?);
            }
            Ok(())
        }),
        run: Box::new(move || subject.call(&["exec", &id, "/bin/true"])),
        after: Box::new(|| Ok(())),
    }
}

/// A container that goes with its owner.
#[derive(Debug)]
struct Resident<'a> {
    subject: &'a Subject,
    id: String,
}

impl<'a> Resident<'a> {
    fn start(subject: &'a Subject, bundle: &Bundle, id: String) -> Result<Self> {
        let path = std::path::Path::new(&bundle.path).with_file_name("resident");
        std::fs::create_dir_all(&path)?;
        let config = std::fs::read(std::path::Path::new(&bundle.path).join("config.json"))?;
        let mut config: serde_json::Value = serde_json::from_slice(&config)?;
        config["process"]["args"] = serde_json::json!(["/bin/sleep", "100000"]);
        std::fs::write(path.join("config.json"), serde_json::to_vec(&config)?)?;
        subject.call(&["run", "--detach", "--bundle", &path.display().to_string(), &id])?;
        Ok(Self { subject, id })
    }
}

impl Drop for Resident<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.subject.call(&["delete", "--force", &self.id]) {
            println!("  {}: {error:#}", self.subject.name);
        }
    }
}
