//! Where the time of one `ross-runtime run` goes: strace's log of it, cut into phases.
//!
//! strace stops the process twice a call, which takes longer than most calls. What that costs is seen in the log itself,
//! by the calls that do next to nothing, and is taken off; what remains is held against runs without strace.

mod log;
mod phase;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Place;
use super::runtime::{Bundle, Subject};
use super::sample::command;
use crate::host;
use phase::Phase;

/// Calls and microseconds of a phase in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Share {
    calls: usize,
    micros: f64,
}

pub fn measure(place: &Place) -> Result<String> {
    host::require(&[host::STRACE])?;
    let subject = Subject::ross(place);
    let mut text = String::new();
    for bundle in Bundle::all(place)? {
        text.push_str(&one(place, &subject, &bundle)?);
        text.push('\n');
    }
    Ok(text)
}

fn one(place: &Place, subject: &Subject, bundle: &Bundle) -> Result<String> {
    let (mut traced, mut plain) = (Vec::new(), Vec::new());
    let run = ["run", "--bundle", &bundle.path, "bench-trace"];
    for round in 0..=place.samples {
        let start = Instant::now();
        subject.call(&run)?;
        let wall = start.elapsed();
        let seen = trace(subject, &run)?;
        // The first round warms caches.
        if round > 0 {
            plain.push(wall);
            traced.push(seen);
        }
    }
    plain.sort();
    Ok(table(bundle.title, &traced, plain[plain.len() / 2]))
}

fn trace(subject: &Subject, run: &[&str]) -> Result<BTreeMap<Phase, Share>> {
    let path = subject.log("trace");
    let mut strace = std::process::Command::new(host::find("strace").context("strace")?);
    strace.args(["-f", "-qq", "-ttt", "-o"]).arg(&path).args(subject.words(run));
    command(strace, &subject.log("trace.out"))?;
    let events = log::parse(&fs::read_to_string(&path)?).context("strace's log")?;
    phase::shares(&events).with_context(|| format!("{}", path.display()))
}

/// Medians of each phase over all runs, in the order in which they come.
fn table(title: &str, traced: &[BTreeMap<Phase, Share>], plain: Duration) -> String {
    let mut rows = Vec::new();
    let mut total = Share::default();
    for phase in Phase::ALL {
        let mut shares: Vec<Share> = traced.iter().filter_map(|run| run.get(&phase)).copied().collect();
        if shares.is_empty() {
            continue;
        }
        shares.sort_by(|one, other| one.micros.total_cmp(&other.micros));
        let median = shares[shares.len() / 2];
        if phase != Phase::Beside {
            total.calls += median.calls;
            total.micros += median.micros;
        }
        rows.push((phase, median));
    }
    let mut text =
        format!("### where the time goes: {title}\n\n| phase | calls | µs | share |\n|---|---|---|---|\n");
    for (phase, share) in rows {
        let (micros, part) = if phase == Phase::Beside {
            ("not on the way".to_owned(), String::new())
        } else {
            (format!("{:.0}", share.micros), format!("{:.0} %", 100.0 * share.micros / total.micros))
        };
        text.push_str(&format!("| {} | {} | {micros} | {part} |\n", phase.title(), share.calls));
    }
    text.push_str(&format!(
        "| all on the way to the end | {} | {:.0} | a run without strace: {} µs |\n",
        total.calls,
        total.micros,
        plain.as_micros()
    ));
    text
}
