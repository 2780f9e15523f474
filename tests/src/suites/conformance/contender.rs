//! A runtime under test: its program, the options it needs here, what it says of itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::stage::Stage;
use crate::harness::Bed;

/// A runtime and how it runs here.
#[derive(Debug, Clone)]
pub struct Contender {
    pub name: String,
    pub program: PathBuf,
    pub options: Vec<&'static str>,
    /// Whether its containers have cgroups here.
    pub has_cgroups: bool,
    /// The first line of `--version`, and the specification that it names.
    pub version: String,
    pub specification: String,
    /// Whether a failure of it fails the suite.
    pub is_ours: bool,
}

impl Contender {
    /// What a program says of itself.
    pub fn new(program: &Path) -> Result<Self> {
        let name = program.file_name().context("a runtime without a name")?.to_string_lossy().into_owned();
        let said = Command::new(program).arg("--version").output();
        let said = said.with_context(|| format!("start {}", program.display()))?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let specification = text.lines().find_map(|line| line.strip_prefix("spec:")).unwrap_or_default();
        Ok(Self {
            is_ours: name == "ross-runtime",
            name,
            program: program.to_owned(),
            options: Vec::new(),
            has_cgroups: true,
            version: text.lines().next().unwrap_or_default().to_owned(),
            specification: specification.trim().to_owned(),
        })
    }

    /// Finds out with the default configuration what it needs here: crun may have to do without cgroups.
    ///
    /// # Errors
    /// What it says when it cannot run a container at all.
    pub fn try_out(mut self, bed: &mut Bed) -> Result<Self> {
        let plain = self.runs(bed);
        let Err(error) = plain else { return Ok(self) };
        if self.name == "crun" {
            self.options = vec!["--cgroup-manager=disabled"];
            self.has_cgroups = false;
            if self.runs(bed).is_ok() {
                return Ok(self);
            }
        }
        bail!("{error:#}")
    }

    fn runs(&self, bed: &mut Bed) -> Result<()> {
        let stage = Stage::new(self, bed)?;
        stage.run()?.ok().map(drop)
    }

    /// Whether the specification it names is older than `version`.
    pub fn is_older_than(&self, version: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            text.split(['.', '-', '+']).take(2).filter_map(|part| part.parse().ok()).collect()
        };
        numbers(&self.specification) < numbers(version)
    }
}
