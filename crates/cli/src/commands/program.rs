//! The whole of a call: parse what was typed, carry it out, report how it went.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapKind;

use super::dispatch::dispatch;
use super::{Context, Outcome};
use crate::args::{Cli, Command, ContainerCommand};
use crate::connect::Host;
use crate::failure::Failure;
use crate::streams::Streams;

/// Exit code of a command line that cannot be understood, as docker has it.
const BAD_USAGE: u8 = 125;

/// Parses, runs, reports.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let streams = Streams::of_process();
    let stderr = streams.stderr.clone();
    let (outcome, stands_for_program) = match Cli::try_parse_from(words) {
        Ok(cli) => {
            let stands_for_program = stands_for_program(&cli.command);
            (carry_out(cli, streams), stands_for_program)
        }
        Err(error) => (explain(&error, &streams), false),
    };
    ExitCode::from(outcome.unwrap_or_else(|failure| {
        if !failure.is_silent() {
            stderr.say(&failure);
        }
        if stands_for_program { failure.exit_code_of_run() } else { failure.exit_code() }
    }))
}

/// Whether the exit code of a command is that of a program in a container.
fn stands_for_program(command: &Command) -> bool {
    match command {
        Command::Run(_) | Command::Exec(_) => true,
        Command::Container(long) => {
            matches!(long.command, ContainerCommand::Run(_) | ContainerCommand::Exec(_))
        }
        _ => false,
    }
}

fn carry_out(cli: Cli, streams: Streams) -> Outcome {
    let host = Host::choose(cli.host.as_deref(), std::env::var_os("ROSS_HOST"))?;
    let mut context = Context { host, format: cli.format, streams };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Stream { what: "cannot start", source })?;
    let outcome = runtime.block_on(dispatch(cli.command, &mut context));
    // Threads that read standard input cannot be joined, and need not be.
    runtime.shutdown_background();
    outcome
}

/// What clap has to say: help and versions go to standard output, complaints to standard error.
fn explain(error: &clap::Error, streams: &Streams) -> Outcome {
    let text = error.render();
    if matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion) {
        let shown = if streams.terminal.stdout { text.ansi().to_string() } else { text.to_string() };
        streams.stdout.write(shown)?;
        return Ok(0);
    }
    let text = text.to_string();
    match text.strip_prefix("error: ") {
        Some(complaint) => streams.stderr.say(complaint.trim_end()),
        // The help of a group of commands that was typed without one of them.
        None => streams.stderr.write(text)?,
    }
    Ok(BAD_USAGE)
}
