//! What a `run` costs beside time: peak memory, system calls, instructions.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::super::Place;
use super::super::sample::command;
use super::bundle::Bundle;
use super::subject::Subject;
use crate::host;

/// Runs of each for the memory's median.
const RUNS: usize = 5;

/// One table over all bundles.
pub fn table(place: &Place, subjects: &[Subject], bundles: &[Bundle]) -> String {
    let mut text = "### cost of a `run` of `true`\n\n\
        | | bundle | peak resident KiB | system calls, the program's included | instructions in user mode |\n\
        |---|---|---|---|---|\n"
        .to_owned();
    for (number, bundle) in bundles.iter().enumerate() {
        for subject in subjects {
            let id = subject.id("cost");
            let run = ["run", "--bundle", &bundle.path, &id];
            if let Err(error) = subject.call(&run) {
                text.push_str(&format!(
                    "| {} | {} | {} | | |\n",
                    subject.name,
                    bundle.title,
                    cell(Err(error))
                ));
                continue;
            }
            let words = subject.words(&run);
            // Step by step a peer takes a minute or more.
            let counted = number == 0 || subject.name == super::BASE;
            let cells = [
                cell(peak(place, &words)),
                cell(calls(&words, &subject.log("strace"))),
                if counted { cell(instructions(place, &words, &subject.log("perf"))) } else { String::new() },
            ];
            // What counted too long was cut off.
            let _ = subject.call(&["delete", "--force", &id]);
            text.push_str(&format!("| {} | {} | {} |\n", subject.name, bundle.title, cells.join(" | ")));
        }
    }
    text
}

fn cell(measured: Result<u64>) -> String {
    measured.map_or_else(
        |error| format!("not measured: {error:#}").replace(['|', '\n'], "/"),
        |number| number.to_string(),
    )
}

/// Median of the peak resident set of the runtime and the container's program, KiB.
fn peak(place: &Place, words: &[String]) -> Result<u64> {
    let mut seen = Vec::new();
    for _ in 0..RUNS {
        seen.push(printed(place, "peak", words)?);
    }
    seen.sort_unstable();
    Ok(seen[RUNS / 2])
}

/// System calls of all processes. A call in two lines, cut by another process's, counts once.
fn calls(words: &[String], log: &Path) -> Result<u64> {
    let strace = host::find("strace").context("no strace here; apt-get install strace")?;
    let mut traced = Command::new(strace);
    traced.args(["-f", "-qq", "-o"]).arg(log).args(words);
    command(traced, &log.with_extension("out"))?;
    let text = fs::read_to_string(log)?;
    let counts = |line: &&str| {
        line.contains('(')
            && !line.contains(" resumed>")
            && !line.contains(" +++ ")
            && !line.contains(" --- ")
    };
    Ok(text.lines().filter(counts).count() as u64)
}

/// By the processor's counter where there is one, else step by step.
fn instructions(place: &Place, words: &[String], log: &Path) -> Result<u64> {
    match counted(words, log) {
        Ok(Some(number)) => Ok(number),
        _ => printed(place, "instructions", words),
    }
}

/// What perf says; nothing on a machine without a counter.
fn counted(words: &[String], log: &Path) -> Result<Option<u64>> {
    let perf = host::find("perf").context("no perf here")?;
    let mut counted = Command::new(perf);
    counted.args(["stat", "-x", ",", "-e", "instructions:u", "-o"]).arg(log).arg("--").args(words);
    command(counted, &log.with_extension("out"))?;
    let text = fs::read_to_string(log)?;
    let line = text.lines().find(|line| line.contains("instructions")).context("perf says nothing")?;
    Ok(line.split(',').next().and_then(|number| number.parse().ok()))
}

/// The number that one of the bench's own programs prints about what it runs.
fn printed(place: &Place, program: &str, words: &[String]) -> Result<u64> {
    let output = Command::new(place.bin.join(program)).args(words).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let line = text.lines().last().unwrap_or_default();
    ensure!(output.status.success(), "{line}");
    line.trim().parse().with_context(|| format!("{program} prints `{line}`"))
}
