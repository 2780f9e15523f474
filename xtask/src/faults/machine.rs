//! `cargo xtask faults machine [--stride N] [--seat N]`: a test machine is killed at the durable steps of the store, its
//! disk checked, and the next one booted with it.
//!
//! What happens inside is `crates/image/tests/it/power.rs`: each boot looks at what the last cut left, and takes an
//! operation to its next step.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::vm::{Disk, Machine};
use crate::{binaries, host};

/// What the test says at its step: `HANGS` of ross-image's `fault`.
const HANGS: &str = "== hangs at its failure point";
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
    let program = programs.first().context("cargo names no program for the tests of ross-image")?;
    let test = format!(
        "ROSS_IMAGE_POWER=/data/power ROSS_IMAGE_POWER_STRIDE={stride} exec timeout 600 {} --exact power::next_cut --nocapture",
        program.path.display()
    );
    let machine = Machine::prepare(seat)?;
    let mut disk = Disk::Fresh;
    for cuts in 0..CUTS_MAX {
        match machine.run_until(std::slice::from_ref(&test), disk, HANGS)? {
            None => println!("-- cut {}", cuts + 1),
            Some(0) => {
                println!("\n{cuts} power cuts: the store was whole after each");
                return Ok(ExitCode::SUCCESS);
            }
            Some(code) => {
                println!("\nafter {cuts} power cuts: the test ended with {code}");
                return Ok(ExitCode::FAILURE);
            }
        }
        disk = Disk::Kept;
    }
    bail!("no end after {CUTS_MAX} power cuts")
}
