//! Runs the cases one after another and reports each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Bed, Leftovers, Need};

const SETTLE: Duration = Duration::from_secs(20);

/// Cases that the summary names for one reason to skip them; of more it has the number.
const NAMED: usize = 8;

/// One thing that must hold.
pub trait Test {
    /// `suite/what-must-hold`
    fn name(&self) -> &str;

    fn needs(&self) -> &[Need];

    fn run(&self, bed: &mut Bed) -> Result<()>;
}

/// A test that is a function.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `suite/what-must-hold`
    pub name: &'static str,
    pub needs: &'static [Need],
    pub run: fn(&mut Bed) -> Result<()>,
}

impl Test for Case {
    fn name(&self) -> &str {
        self.name
    }

    fn needs(&self) -> &[Need] {
        self.needs
    }

    fn run(&self, bed: &mut Bed) -> Result<()> {
        (self.run)(bed)
    }
}

/// What was typed.
#[derive(Debug)]
pub struct Options {
    list: bool,
    /// A table of several runtimes instead of the cases.
    pub conformance: bool,
    /// The runtimes of the table, beside ross-runtime; empty for crun and runc.
    pub runtimes: Vec<PathBuf>,
    /// The file the table goes to.
    pub report: Option<PathBuf>,
    /// Folder of the four binaries and the probe.
    pub bin: PathBuf,
    /// Which of the chosen cases to run, so that machines can share the work.
    part: Part,
    filters: Vec<String>,
}

/// `1/2` is the first, third, fifth … case, `2/2` the others.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, of) = text.split_once('/').with_context(|| format!("`{text}` is not like 1/2"))?;
        let part = Self { number: number.parse()?, of: of.parse()? };
        if part.number == 0 || part.number > part.of {
            bail!("there is no part {text}");
        }
        Ok(part)
    }
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let beside = std::env::current_exe().context("own path")?.parent().context("own folder")?.to_owned();
        let mut options = Self {
            list: false,
            conformance: false,
            runtimes: Vec::new(),
            report: None,
            bin: beside,
            part: Part { number: 1, of: 1 },
            filters: Vec::new(),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--bin" => options.bin = std::path::absolute(args.next().context("--bin: which folder?")?)?,
                "--conformance" => options.conformance = true,
                "--runtime" => {
                    options.runtimes.push(std::path::absolute(args.next().context("--runtime: which?")?)?)
                }
                "--report" => options.report = Some(args.next().context("--report: which file?")?.into()),
                "--part" => {
                    options.part = args.next().context("--part: which?")?.parse().context("--part")?
                }
                flag if flag.starts_with('-') => bail!("unknown option {flag}"),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether a case of this name is to run.
    pub fn chooses(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }
}

/// Whether every case that ran passed and nothing was left behind.
pub fn run(options: &Options, cases: &[Box<dyn Test>]) -> Result<bool> {
    let Part { number, of } = options.part;
    let chosen: Vec<&dyn Test> = cases
        .iter()
        .map(|case| &**case)
        .filter(|case| options.chooses(case.name()))
        .skip(number - 1)
        .step_by(of)
        .collect();
    if options.list {
        for case in chosen {
            println!("{}", case.name());
        }
        return Ok(true);
    }
    let before = Leftovers::look()?;
    let mut bed = Bed::new(&options.bin)?;
    let (mut passed, mut failed) = (0_u32, Vec::new());
    let mut skipped: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for case in chosen {
        let asked = !options.filters.is_empty();
        let mut needs = case.needs().iter().filter(|need| !(asked && need.yields_to_its_name()));
        if let Some(reason) = needs.find_map(Need::missing) {
            skipped.entry(reason).or_default().push(case.name());
            continue;
        }
        let start = Instant::now();
        let result = case.run(&mut bed).and_then(|()| bed.settle());
        let millis = start.elapsed().as_millis();
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok   {} ({millis} ms)", case.name());
            }
            Err(error) => {
                println!(
                    "FAIL {} ({millis} ms)\n     {}",
                    case.name(),
                    format!("{error:#}").replace('\n', "\n     ")
                );
                println!("{}", bed.daemon_log_tail());
                failed.push(case.name());
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
        println!("\nskipped:");
        for (reason, names) in &skipped {
            let some = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = names.len().checked_sub(NAMED + 1).map(|more| format!(" and {} more", more + 1));
            println!("  {some}{}: {reason}", more.unwrap_or_default());
        }
    }
    for name in &failed {
        println!("failed: {name}");
    }
    println!(
        "{passed} passed, {} failed, {} skipped",
        failed.len(),
        skipped.values().map(Vec::len).sum::<usize>()
    );
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
