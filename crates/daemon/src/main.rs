//! `rossd`: the daemon. It serves the engine over gRPC on a Unix socket.
//!
//! Translation and nothing more: what a container is and does, the engine decides. Requests are checked at the door,
//! failures get their status in one place, and stopping the daemon leaves every container running.
#![forbid(unsafe_code)]

mod config;
mod convert;
mod host;
mod notify;
mod open_files;
mod peer;
mod serve;
mod services;
mod socket;
mod status;
mod stop;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = match config::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Standard error may be closed; the exit code tells all the same.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let config = match config::Config::read(arguments) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let filter = EnvFilter::new(&config.log_level);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format_args!("{error:#}")),
    }
}

fn run(config: config::Config) -> anyhow::Result<()> {
    let open_files = open_files::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("rossd")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve::serve(config, open_files));
    // What blocks on a disk now must not keep the daemon from ending.
    runtime.shutdown_background();
    outcome
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    use std::io::Write as _;
    // Standard error may be closed; the exit code tells all the same.
    let _ = writeln!(std::io::stderr(), "rossd: {error}");
    ExitCode::FAILURE
}
