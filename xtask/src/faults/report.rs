//! What the cuts came to, as a line each and as a table.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::cut::{Cut, Moment, Outcome};
use super::disk::Method;
use crate::host;

/// One cut as a line.
pub fn line(cut: &Cut) -> String {
    let moment = match cut.moment {
        Moment::During(share) => format!("during the pull ({:.0} %)", share * 100.0),
        Moment::After(wait) => format!("{:.1} s after", wait.as_secs_f64()),
    };
    match &cut.outcome {
        Err(error) => format!("{moment}: failed: {error:#}"),
        Ok(outcome) => {
            let listed = if outcome.listed { "listed" } else { "not listed" };
            let verdict = if outcome.is_corrupt() { "CORRUPT" } else { "good" };
            let healed = if outcome.is_healed() { "whole" } else { "NOT WHOLE" };
            let verifies = outcome.verifies.map_or(String::new(), |good| format!(", verify says {good}"));
            format!(
                "{moment}: {verdict}, {listed}, {} wrong{verifies}; pulled again {healed}, {} wrong",
                outcome.wrong, outcome.wrong_again
            )
        }
    }
}

/// Programs whose versions head the table.
const VERSIONS: [&str; 3] = ["podman", "dockerd", "containerd"];

/// The whole report.
pub fn page(method: Method, rows: &[(&'static str, Vec<Cut>)]) -> Result<String> {
    let date = Command::new("date").arg("+%Y-%m-%d").output().context("date")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let place = match method {
        Method::Clone => "the host, cuts by clone",
        Method::Flakey => "the test machine, cuts by dm-flakey",
    };
    let versions: Vec<String> = VERSIONS.iter().filter_map(|name| version(name)).collect();
    let mut text = format!(
        "{}; kernel {}; {place}. Peers: {}.\n\n",
        String::from_utf8_lossy(&date.stdout).trim(),
        kernel.trim(),
        versions.join("; ")
    );
    text.push_str(
        "| engine | cuts after the answer | corrupt | listed as good all the same | cuts during the pull | corrupt \
         | of the corrupt, whole after a second pull | of all, whole after it | not made |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, cuts) in rows {
        text.push_str(&row(name, cuts));
    }
    Ok(text)
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(host::find(program)?).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

fn row(name: &str, cuts: &[Cut]) -> String {
    let made: Vec<_> = cuts.iter().filter_map(|cut| cut.outcome.as_ref().ok()).collect();
    let (after, during): (Vec<&Outcome>, Vec<&Outcome>) =
        made.iter().partition(|outcome| outcome.acknowledged);
    let corrupt = after.iter().filter(|outcome| outcome.is_corrupt()).count();
    let listed = after.iter().filter(|outcome| outcome.is_corrupt() && outcome.listed).count();
    let corrupt_during = during.iter().filter(|outcome| outcome.is_corrupt()).count();
    let healed = made.iter().filter(|outcome| outcome.is_healed()).count();
    let mended = made.iter().filter(|outcome| outcome.is_corrupt() && outcome.is_healed()).count();
    format!(
        "| {name} | {} | {corrupt} | {listed} | {} | {corrupt_during} | {mended} of {} | {healed} of {} | {} |\n",
        after.len(),
        during.len(),
        corrupt + corrupt_during,
        made.len(),
        cuts.len() - made.len()
    )
}
