//! `cargo xtask conformance`: the conformance suite on ross-runtime and its peers, as one table. On this host in
//! namespaces of its own, or in the test machine, where a container may have every controller.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::vm::{Disk, Machine};
use crate::{binaries, host, isolate, page};

/// Debian packages of the peers, and of the parser that loads the profile of a case.
const PEERS: &[&str] = &["crun", "runc", "apparmor"];

/// What was typed.
#[derive(Debug, Default)]
struct Options {
    in_vm: bool,
    seat: u8,
    write: bool,
    runtimes: Vec<String>,
    filters: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--vm" => options.in_vm = true,
                "--seat" => {
                    options.seat = args.next().context("--seat: which?")?.parse().context("--seat")?
                }
                "--write" => options.write = true,
                "--runtime" => options.runtimes.push(args.next().context("--runtime: which?")?.clone()),
                flag if flag.starts_with('-') => bail!("conformance: unknown option {flag}"),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        if options.write && !options.filters.is_empty() {
            bail!("conformance: --write is for the whole table, without a filter");
        }
        Ok(options)
    }

    /// The words for the suite, whose table goes to `report`.
    fn words(&self, bin: &Path, report: &Path) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut words = vec!["--conformance".to_owned()];
        words.extend(["--bin".to_owned(), text(bin), "--report".to_owned(), text(report)]);
        words.extend(self.runtimes.iter().flat_map(|path| ["--runtime".to_owned(), path.clone()]));
        words.extend(self.filters.clone());
        words
    }
}

pub fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    host::require(&[host::BUSYBOX, host::IP])?;
    if ["crun", "runc", "apparmor_parser"].iter().any(|peer| host::find(peer).is_none()) {
        host::install(PEERS)?;
    }
    let bin = binaries::build()?.dir;
    binaries::build_probe()?;
    binaries::cargo(&["build", "--locked", "-p", "ross-tests"], "")?;
    let suites = binaries::target_dir().join("debug/ross-tests");
    let report = binaries::target_dir().join("conformance.md");
    let _ = fs::remove_file(&report);
    let code = if options.in_vm {
        let mut words = vec![suites.to_string_lossy().into_owned()];
        // The machine's own file system goes with it: the table comes out through the results share.
        words.extend(options.words(&bin, Path::new("/results/conformance.md")));
        let code = Machine::prepare(options.seat)?.run(&words, Disk::Fresh)?;
        fs::copy(Machine::folder(options.seat).join("results/conformance.md"), &report)
            .context("the suite left no table")?;
        ExitCode::from(code)
    } else {
        let status = isolate::command(&suites)?.args(options.words(&bin, &report)).status()?;
        if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    };
    let text = fs::read_to_string(&report).context("the suite left no table")?;
    println!("\n{text}");
    if options.write {
        let place = if options.in_vm { "vm" } else { "host" };
        page::write("conformance.md", place, &format!("end {place}"), text.trim_end())?;
    }
    Ok(code)
}
