//! `cargo xtask`: everything a developer or CI runs on the workspace.
//!
//! Each command is a module. What a command needs from the host it installs through [`host`], or says exactly what
//! to install; nothing else in the workspace touches a package manager.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

mod bench;
mod binaries;
mod conformance;
mod debian;
mod faults;
mod host;
mod isolate;
mod page;
mod quickstart;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  quickstart          build everything, then pull, run, publish, exec, stop, remove: each step with its time
  test [host|vm] [FILTER]...
                      unit, integration and end-to-end tests, on this host and in the test machine
  build               release binaries into target/release; ross-shim and ross-runtime static
  bench [runtime|run|pull|push|memory|images|trace]... [--vm] [--tmpfs] [--samples N] [--scale N] [--write]
                      ross against its peers from Debian, in one run
  conformance [--vm] [--seat N] [--runtime PATH]... [--write] [FILTER]...
                      the OCI runtime specification, case by case, on ross-runtime, crun and runc
  faults images [--cuts N] [--lanes N] [--peers] [--vm] [--seat N] [--write]
                      power cuts during and after a pull: what is on disk afterwards, and whether a pull mends it
  faults machine [--stride N] [--seat N]
                      the test machine killed at each durable step of pull, load, commit, tag, remove, prune
  trace [--vm] [--samples N] [--write]
                      where the time of one `ross-runtime run` goes, phase by phase
  vm [--keep-disk] [--seat N] -- COMMAND...
                      boot the test machine and run COMMAND in it
  tidy                check the rules of the house: floors, file sizes, //!, where unsafe may be
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Vec<String>) -> Result<ExitCode> {
    if args.is_empty() {
        print!("{USAGE}");
        return Ok(ExitCode::from(2));
    }
    let command = args.remove(0);
    match command.as_str() {
        "build" => binaries::build().map(|_| ExitCode::SUCCESS),
        "quickstart" => quickstart::run(),
        "quickstart-steps" => {
            quickstart::steps(std::path::Path::new(args.first().context("which binaries?")?))
        }
        "test" => test::run(&args),
        "bench" => bench::main(&args),
        "trace" => {
            args.insert(0, "trace".to_owned());
            bench::main(&args)
        }
        "bench-steps" => bench::steps(&args),
        "faults" => faults::main(&args),
        "faults-steps" => faults::steps(&args),
        "conformance" => conformance::run(&args),
        "tidy" => tidy::run(),
        "vm" => vm::run(&args),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown command `{other}`\n\n{USAGE}"),
    }
}

/// The workspace's root folder.
fn workspace() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
