//! Peak resident memory of a program: `peak PROGRAM [ARGUMENT]...` runs it with its output discarded and prints the
//! KiB of the largest process it was, or waited for. Source: getrusage(2), `RUSAGE_CHILDREN`.
//!
//! Static and small, since the figure is never below this program's own: a child is a copy of it until exec.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figure is what it prints")]

use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: peak PROGRAM [ARGUMENT]...");
        return ExitCode::from(2);
    };
    match Command::new(&program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        ended => {
            eprintln!("peak: {}: {ended:?}", program.display());
            return ExitCode::FAILURE;
        }
    }
    match getrusage(UsageWho::RUSAGE_CHILDREN) {
        Ok(usage) => {
            println!("{}", usage.max_rss());
            ExitCode::SUCCESS
        }
        Err(errno) => {
            eprintln!("peak: getrusage: {errno}");
            ExitCode::FAILURE
        }
    }
}
