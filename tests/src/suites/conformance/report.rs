//! Several runtimes side by side, as Markdown: a table of cases and runtimes, and below it why something failed or
//! could not run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::case::Case;
use super::contender::Contender;
use super::list::{Outcome, cases, play};
use crate::harness::{Bed, Options};

/// The longest reason, in characters.
const REASON: usize = 240;

/// Plays all chosen cases on ross-runtime and on the runtimes that were named, or else on crun and runc. Writes the
/// table to the file that was named, or to stdout. Whether ross-runtime passed all that can run here.
pub fn compare(options: &Options) -> Result<bool> {
    let mut bed = Bed::new(&options.bin)?;
    let mut columns = Vec::new();
    for program in programs(options) {
        let runtime = Contender::new(&program)?;
        columns.push(Column { tried: runtime.clone().try_out(&mut bed), runtime });
    }
    let mut rows = Vec::new();
    for case in cases().into_iter().filter(|case| options.chooses(case.name)) {
        let outcomes: Vec<Outcome> = columns.iter().map(|column| column.play(&case, &mut bed)).collect();
        println!("{}: {}", case.name, outcomes.iter().map(word).collect::<Vec<_>>().join(", "));
        rows.push((case, outcomes));
        // What is known is kept, whatever becomes of the rest.
        if let Some(path) = &options.report {
            let text = markdown(&columns, &rows)?;
            fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    bed.finish()?;
    if options.report.is_none() {
        println!("\n{}", markdown(&columns, &rows)?);
    }
    let ours = columns.iter().position(|column| column.runtime.is_ours).context("ross-runtime")?;
    let failed: Vec<&str> = rows
        .iter()
        .filter(|(_, outcomes)| matches!(outcomes[ours], Outcome::Fail(_)))
        .map(|(case, _)| case.name)
        .collect();
    for name in &failed {
        println!("failed on ross-runtime: {name}");
    }
    Ok(failed.is_empty())
}

fn programs(options: &Options) -> Vec<PathBuf> {
    let mut programs = vec![options.bin.join("ross-runtime")];
    if options.runtimes.is_empty() {
        let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        for name in ["crun", "runc"] {
            programs.extend(dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file()));
        }
    }
    programs.extend(options.runtimes.iter().cloned());
    programs
}

/// One runtime of the table, and whether it runs here at all.
#[derive(Debug)]
struct Column {
    runtime: Contender,
    tried: Result<Contender>,
}

impl Column {
    fn play(&self, case: &Case, bed: &mut Bed) -> Outcome {
        let runtime = match &self.tried {
            Ok(runtime) => runtime,
            Err(error) if self.runtime.is_ours => return Outcome::Fail(format!("{error:#}")),
            Err(error) => return Outcome::CannotRun(format!("{error:#}")),
        };
        match play(case, runtime, bed) {
            Outcome::Fail(_) if !runtime.is_ours && runtime.is_older_than(case.since) => {
                Outcome::CannotRun(format!("asks for {}, it knows {}", case.since, runtime.specification))
            }
            outcome => outcome,
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail(_) => "FAIL",
        Outcome::CannotRun(_) => "–",
    }
}

fn markdown(columns: &[Column], rows: &[(Case, Vec<Outcome>)]) -> Result<String> {
    let date = Command::new("date").arg("+%Y-%m-%d").output().context("date")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut text = format!("{}; kernel {}.\n\n", String::from_utf8_lossy(&date.stdout).trim(), kernel.trim());
    text.push_str(
        "| runtime | specification | run as | pass | FAIL | cannot run here |\n|---|---|---|---|---|---|\n",
    );
    for (index, column) in columns.iter().enumerate() {
        let count =
            |wanted: &str| rows.iter().filter(|(_, outcomes)| word(&outcomes[index]) == wanted).count();
        let options = column.tried.as_ref().map(|runtime| runtime.options.join(" ")).unwrap_or_default();
        writeln!(
            text,
            "| {} | {} | `{}` | {} | {} | {} |",
            column.runtime.version,
            column.runtime.specification,
            format!("{} {options}", column.runtime.name).trim(),
            count("pass"),
            count("FAIL"),
            count("–")
        )?;
    }
    let names: Vec<&str> = columns.iter().map(|column| column.runtime.name.as_str()).collect();
    writeln!(text, "\n| case | specification | since | {} |", names.join(" | "))?;
    writeln!(text, "|---|---|---|{}", "---|".repeat(names.len()))?;
    for (case, outcomes) in rows {
        let cells: Vec<&str> = outcomes.iter().map(word).collect();
        writeln!(text, "| {} | {} | {} | {} |", case.name, case.section, case.since, cells.join(" | "))?;
    }
    reasons(&mut text, columns, rows)?;
    Ok(text)
}

/// By runtime: what failed and why, then what could not run, by reason.
fn reasons(text: &mut String, columns: &[Column], rows: &[(Case, Vec<Outcome>)]) -> Result<()> {
    for (index, column) in columns.iter().enumerate() {
        let of = |pick: fn(&Outcome) -> Option<&String>| {
            rows.iter()
                .filter_map(move |(case, outcomes)| Some((case.name, pick(&outcomes[index])?)))
                .collect::<Vec<_>>()
        };
        let failed = of(|outcome| if let Outcome::Fail(why) = outcome { Some(why) } else { None });
        if !failed.is_empty() {
            writeln!(text, "\nWhat {} fails:\n", column.runtime.name)?;
        }
        for (name, why) in failed {
            writeln!(text, "- {name}: {}", short(why))?;
        }
        let mut cannot = of(|outcome| if let Outcome::CannotRun(why) = outcome { Some(why) } else { None });
        cannot.sort_by_key(|(_, why)| *why);
        if !cannot.is_empty() {
            writeln!(text, "\nWhat cannot run here on {}:\n", column.runtime.name)?;
        }
        for same in cannot.chunk_by(|(_, one), (_, other)| one == other) {
            let names: Vec<&str> = same.iter().map(|(name, _)| *name).collect();
            writeln!(text, "- {}: {}", short(same[0].1), names.join(", "))?;
        }
    }
    Ok(())
}

/// On one line, without what Markdown would make something of; of a long one begin and end.
fn short(why: &str) -> String {
    let line = why.split_ascii_whitespace().collect::<Vec<_>>().join(" ").replace(['|', '<', '>'], "/");
    let letters: Vec<char> = line.chars().collect();
    if letters.len() <= REASON {
        return line;
    }
    let begin: String = letters[..REASON / 2].iter().collect();
    let end: String = letters[letters.len() - REASON / 2..].iter().collect();
    format!("{begin} … {end}")
}
