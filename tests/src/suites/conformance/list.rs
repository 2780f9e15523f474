//! All cases, and what it takes to run one on one runtime.

use anyhow::{Context, Result, anyhow};

use super::case::Case;
use super::contender::Contender;
use super::stage::Stage;
use super::{
    errors, exec, hooks, lifecycle, linux, mounts, namespaces, process, resources, seccomp, terminal,
};
use crate::harness::{Bed, Need, Test};

/// The cases in the order of the report.
pub fn cases() -> Vec<Case> {
    [
        lifecycle::cases(),
        hooks::cases(),
        errors::cases(),
        process::cases(),
        terminal::cases(),
        exec::cases(),
        mounts::cases(),
        namespaces::cases(),
        linux::cases(),
        seccomp::cases(),
        resources::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What came of a case on a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Fail(String),
    /// It cannot run here, for this reason.
    CannotRun(String),
}

/// Runs one case on one runtime, and takes away what it made.
pub fn play(case: &Case, runtime: &Contender, bed: &mut Bed) -> Outcome {
    if let Some(reason) = case.needs.iter().find_map(Need::missing) {
        return Outcome::CannotRun(reason);
    }
    if case.uses_cgroup && !runtime.has_cgroups {
        return Outcome::CannotRun(format!("{} must do without cgroups here", runtime.name));
    }
    match try_play(case, runtime, bed) {
        Ok(()) => Outcome::Pass,
        Err(error) => Outcome::Fail(format!("{error:#}")),
    }
}

fn try_play(case: &Case, runtime: &Contender, bed: &mut Bed) -> Result<()> {
    let mut stage = Stage::new(runtime, bed)?;
    let played = stage.set(case).and_then(|()| case.play(&mut stage));
    let cleared = stage.clear().context("clean up");
    let dir = stage.bundle.dir.to_string_lossy();
    played.and(cleared).map_err(|error| {
        anyhow!(format!("{error:#}").replace(dir.as_ref(), "BUNDLE").replace(stage.id.as_str(), "ID"))
    })
}

/// A case on ross-runtime, as one of the normal run.
#[derive(Debug)]
struct OnOurs {
    name: String,
    case: Case,
}

impl Test for OnOurs {
    fn name(&self) -> &str {
        &self.name
    }

    fn needs(&self) -> &[Need] {
        &self.case.needs
    }

    fn run(&self, bed: &mut Bed) -> Result<()> {
        try_play(&self.case, &Contender::new(&bed.program("ross-runtime"))?, bed)
    }
}

/// The cases on ross-runtime. In the test machine, which is emulated, only those that want it.
pub fn tests() -> Vec<Box<dyn Test>> {
    let boxed = |mut case: Case| {
        if case.needs.is_empty() {
            case.needs.push(Need::FullSpeed);
        }
        Box::new(OnOurs { name: format!("conformance/{}", case.name), case }) as Box<dyn Test>
    };
    cases().into_iter().map(boxed).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::suites::conformance::case::Body;

    #[test]
    fn every_case_has_a_name_of_its_own_and_claims_something() {
        // That it runs at all is what they claim.
        const RUNS: [&str; 2] = ["masked-paths/missing-is-fine", "readonly-paths/missing-is-fine"];
        let mut names = BTreeSet::new();
        for case in cases() {
            match case.body {
                Body::Runs(0) => {
                    let runs = RUNS.contains(&case.name);
                    assert!(case.claims.is_empty() == runs, "{}: {} claims", case.name, case.claims.len());
                }
                // Nobody reads them there.
                _ => assert!(case.claims.is_empty(), "{} never comes to its claims", case.name),
            }
            assert!(names.insert(case.name), "{} is there twice", case.name);
            assert!(case.name.contains('/'), "{} names no part", case.name);
        }
        assert!(names.len() > 200, "only {} cases", names.len());
    }
}
