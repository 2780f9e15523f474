//! The runtimes under comparison, each with a state directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::super::Place;
use super::super::sample::command;
use crate::host;

/// A runtime with the options it is always given.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    program: PathBuf,
    options: &'static [&'static str],
    dir: PathBuf,
}

/// Those that are here.
pub fn all(place: &Place) -> Vec<Subject> {
    [
        (super::BASE, Some(place.bin.join("ross-runtime")), &[][..]),
        ("crun", host::find("crun"), &[]),
        // Where crun may not raise its memlock limit for the device program, it runs only without a cgroup: less work.
        ("crun, no cgroup", host::find("crun"), &["--cgroup-manager=disabled"]),
        ("runc", host::find("runc"), &[]),
    ]
    .into_iter()
    .filter_map(|(name, program, options)| {
        Some(Subject { name, program: program?, options, dir: place.dir.clone() })
    })
    .collect()
}

impl Subject {
    /// The one this is all about.
    pub fn ross(place: &Place) -> Self {
        let program = place.bin.join("ross-runtime");
        Self { name: super::BASE, program, options: &[], dir: place.dir.clone() }
    }

    /// A container id that no other subject uses.
    pub fn id(&self, stem: &str) -> String {
        format!("bench-{stem}-{}", self.folder())
    }

    /// The runtime with `args`, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.dir.join(format!("{}.state", self.folder())));
        command.args(self.options).args(args);
        command
    }

    /// The same as words, for a program that runs it.
    pub fn words(&self, args: &[&str]) -> Vec<String> {
        let command = self.command(args);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Runs the runtime to its end.
    pub fn call(&self, args: &[&str]) -> Result<()> {
        command(self.command(args), &self.log("call"))
    }

    /// A file for output.
    pub fn log(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(format!("{}.{name}.log", self.folder()))
    }

    fn folder(&self) -> String {
        self.name.replace([',', ' '], "")
    }
}
