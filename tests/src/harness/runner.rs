//! Runs the cases one after another and reports each.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Bed, Leftovers, Need};

const SETTLE: Duration = Duration::from_secs(20);

/// One thing that must hold.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `suite/what-must-hold`
    pub name: &'static str,
    pub needs: &'static [Need],
    pub run: fn(&mut Bed) -> Result<()>,
}

/// What was typed.
#[derive(Debug)]
pub struct Options {
    list: bool,
    /// Folder of the four binaries.
    bin: PathBuf,
    filters: Vec<String>,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let beside = std::env::current_exe().context("own path")?.parent().context("own folder")?.to_owned();
        let mut options = Self { list: false, bin: beside, filters: Vec::new() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--bin" => options.bin = std::path::absolute(args.next().context("--bin: which folder?")?)?,
                flag if flag.starts_with('-') => bail!("unknown option {flag}"),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }

    fn wants(&self, case: &Case) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| case.name.contains(filter.as_str()))
    }
}

/// Whether every case that ran passed and nothing was left behind.
pub fn run(options: &Options, cases: &[Case]) -> Result<bool> {
    let chosen: Vec<&Case> = cases.iter().filter(|case| options.wants(case)).collect();
    if options.list {
        for case in chosen {
            println!("{}", case.name);
        }
        return Ok(true);
    }
    let before = Leftovers::look()?;
    let mut bed = Bed::new(&options.bin)?;
    let (mut passed, mut failed, mut skipped) = (0_u32, Vec::new(), Vec::new());
    for case in chosen {
        if let Some(reason) = case.needs.iter().find_map(Need::missing) {
            println!("skip {}: {reason}", case.name);
            skipped.push((case.name, reason));
            continue;
        }
        let start = Instant::now();
        let result = (case.run)(&mut bed).and_then(|()| bed.settle());
        let millis = start.elapsed().as_millis();
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok   {} ({millis} ms)", case.name);
            }
            Err(error) => {
                println!(
                    "FAIL {} ({millis} ms)\n     {}",
                    case.name,
                    format!("{error:#}").replace('\n', "\n     ")
                );
                println!("{}", bed.daemon_log_tail());
                failed.push(case.name);
                bed.reset();
            }
        }
    }
    bed.finish()?;
    let left = settled(&before)?;
    if left.is_empty() {
        println!("ok   nothing left behind");
        passed += 1;
    } else {
        println!("FAIL left behind:\n     {}", left.join("\n     "));
        failed.push("nothing left behind");
    }
    if !skipped.is_empty() {
        println!("\nskipped, because this machine lacks something:");
        for (name, reason) in &skipped {
            println!("  {name}: {reason}");
        }
    }
    for name in &failed {
        println!("failed: {name}");
    }
    println!("{passed} passed, {} failed, {} skipped", failed.len(), skipped.len());
    Ok(failed.is_empty())
}

/// What is still there once what is on its way out had time to go: a shim ends after it has answered.
fn settled(before: &Leftovers) -> Result<Vec<String>> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let left = before.compare(&Leftovers::look()?);
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
