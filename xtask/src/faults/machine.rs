//! `cargo xtask faults machine [--stride N] [--seat N]`: a test machine is killed at the durable steps of the store, its
//! disk checked, and the next one booted with it.
//!
//! What happens inside is `crates/image/tests/it/power.rs`: each boot looks at what the last cut left, and takes an
//! operation to its next step.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::vm::{Disk, Ended, Machine};
use crate::{binaries, host};

/// What the test says at its step, before and after the step's name: `hang` of ross-image's `fault`.
const HANGS: [&str; 2] = ["== hangs at ", " =="];
/// Where the test says how many cuts it has looked at, in the machine's folder of results.
const REPORT: &str = "power-cuts";
/// More than all operations have.
const CUTS_MAX: usize = 500;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let (mut stride, mut seat) = (1_usize, 0);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = args.next().with_context(|| format!("{arg}: which?"))?;
        match arg.as_str() {
            "--stride" => stride = text.parse().with_context(|| format!("{arg} {text}"))?,
            "--seat" => seat = text.parse().with_context(|| format!("{arg} {text}"))?,
            other => bail!("faults machine: unknown option `{other}`"),
        }
    }
    host::require(&[host::MKFS])?;
    let programs = binaries::test_programs(&["-p", "ross-image", "--test", "it"])?;
    let program = programs.iter().find(|program| program.name == "it");
    let program = program.context("cargo names no program for the tests of ross-image")?;
    let test = format!(
        "export ROSS_IMAGE_POWER=/data/power ROSS_IMAGE_POWER_REPORT=/results/{REPORT} ROSS_IMAGE_POWER_STRIDE={stride}
        exec timeout 600 {} --exact power::next_cut --ignored --nocapture",
        program.path.display()
    );
    let machine = Machine::prepare(seat)?;
    let report = Machine::folder(seat).join("results").join(REPORT);
    let _ = std::fs::remove_file(&report);
    let mut cuts: BTreeMap<String, usize> = BTreeMap::new();
    let mut disk = Disk::Fresh;
    for cut in 1..=CUTS_MAX {
        match machine.run_until(std::slice::from_ref(&test), disk, HANGS)? {
            Ended::Cut(step) => {
                println!("-- cut {cut}: {step}");
                *cuts.entry(step).or_default() += 1;
            }
            Ended::Code(0) => return tell(&cuts, &report),
            Ended::Code(code) => bail!("after {} power cuts the test ended with {code}", cut - 1),
        }
        disk = Disk::Kept;
    }
    bail!("no end after {CUTS_MAX} power cuts")
}

/// What was cut, if the test has looked at all of it.
fn tell(cuts: &BTreeMap<String, usize>, report: &Path) -> Result<ExitCode> {
    let made: usize = cuts.values().sum();
    let looked_at =
        std::fs::read_to_string(report).context("the test did not say that it has come to its end")?;
    if made == 0 || looked_at != made.to_string() {
        bail!("{made} power cuts were made, and {looked_at} looked at");
    }
    println!("\n| step | cuts |\n|---|---|");
    for (step, number) in cuts {
        println!("| {step} | {number} |");
    }
    println!("\n{made} power cuts: the store was whole after each");
    Ok(ExitCode::SUCCESS)
}
