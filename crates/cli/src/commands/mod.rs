//! What each command does: asks the daemon, shows the answer, answers an exit code.

mod attach;
mod container;
mod create;
mod exec;
mod image;
mod inspect;
mod lifecycle;
mod logs;
mod pull;
mod run;
mod stats;
mod system;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapKind;

use crate::args::{Cli, Command, ContainerCommand, Format, ImageCommand};
use crate::connect::{Daemon, Host};
use crate::failure::Failure;
use crate::streams::Streams;

/// Exit code of a command line that cannot be understood, as docker has it.
const BAD_USAGE: u8 = 125;

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    host: Host,
    format: Option<Format>,
    streams: Streams,
}

/// The exit code of a command that did what was asked.
type Outcome = Result<u8, Failure>;

impl Context {
    async fn daemon(&self) -> Result<Daemon, Failure> {
        Daemon::connect(&self.host, &self.streams).await
    }

    /// Whether JSON was asked for, where a table is the default.
    fn json(&self) -> bool {
        self.format == Some(Format::Json)
    }

    /// Prints a value as indented JSON.
    fn print_json(&self, value: &serde_json::Value) -> Result<(), Failure> {
        self.streams.stdout.line(format_args!("{value:#}"))
    }
}

/// Parses, runs, reports.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let streams = Streams::of_process();
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &streams),
    };
    let stands_for_program = matches!(&cli.command, Command::Run(_) | Command::Exec(_))
        || matches!(&cli.command, Command::Container(long)
        if matches!(long.command, ContainerCommand::Run(_) | ContainerCommand::Exec(_)));
    let outcome = runtime().and_then(|runtime| {
        let outcome = Host::parse(&cli.host).and_then(|host| {
            let mut context = Context { host, format: cli.format, streams };
            runtime.block_on(dispatch(cli.command, &mut context))
        });
        // Threads that read standard input cannot be joined, and need not be.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.is_silent() {
                Streams::of_process().say(&failure);
            }
            ExitCode::from(if stands_for_program { failure.exit_code_of_run() } else { failure.exit_code() })
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|source| Failure::Stream { what: "cannot start", source })
}

/// What clap has to say: help and versions go to standard output, complaints to standard error.
fn explain(error: &clap::Error, streams: &Streams) -> ExitCode {
    let wanted = matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion);
    let text = error.render();
    if wanted {
        let written = if streams.terminal.stdout {
            streams.stdout.write(text.ansi().to_string())
        } else {
            streams.stdout.write(text.to_string())
        };
        return written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let text = text.to_string();
    let text = text.strip_prefix("error: ").map_or(text.clone(), |rest| format!("ross: {rest}"));
    let _ = streams.stderr.write(text);
    ExitCode::from(BAD_USAGE)
}

async fn dispatch(command: Command, context: &mut Context) -> Outcome {
    use ContainerCommand as Container;
    use ImageCommand as Image;
    match command {
        Command::Container(long) => match long.command {
            Container::Run(args) => run::run(&args, context).await,
            Container::Create(args) => {
                create::command(&args.options, &args.image, &args.command, context).await
            }
            Container::Start(args) => attach::start(args, context).await,
            Container::Stop(args) => lifecycle::stop(args, context).await,
            Container::Restart(args) => lifecycle::restart(args, context).await,
            Container::List(args) => container::list(&args, context).await,
            Container::Inspect(args) => inspect::containers(args.containers, args.size, context).await,
            Container::Remove(args) => lifecycle::remove(args, context).await,
            Container::Pause(args) => lifecycle::pause(args, context).await,
            Container::Unpause(args) => lifecycle::unpause(args, context).await,
            Container::Logs(args) => logs::logs(&args, context).await,
            Container::Exec(args) => exec::exec(&args, context).await,
            Container::Attach(args) => attach::attach(&args, context).await,
            Container::Wait(args) => lifecycle::wait(args, context).await,
            Container::Kill(args) => lifecycle::kill(args, context).await,
            Container::Rename(args) => container::rename(args, context).await,
            Container::Stats(args) => stats::stats(&args, context).await,
        },
        Command::Image(long) => match long.command {
            Image::List(args) => image::list(&args, context).await,
            Image::Inspect(args) => inspect::images(args.images, context).await,
            Image::Pull(args) => pull::pull(&args, context).await,
            Image::Push(args) => pull::push(&args, context).await,
            Image::Build(args) => image::build(&args, context).await,
            Image::Remove(args) => image::remove(args, context).await,
            Image::Tag(args) => image::tag(args, context).await,
            Image::Search(args) => image::search(args, context).await,
            Image::Load(args) => image::load(args, context).await,
        },
        Command::Run(args) => run::run(&args, context).await,
        Command::Create(args) => {
            let (image, command) = args.words.split_first().ok_or_else(create::no_image)?;
            create::command(&args.options, image, command, context).await
        }
        Command::Start(args) => attach::start(args, context).await,
        Command::Stop(args) => lifecycle::stop(args, context).await,
        Command::Restart(args) => lifecycle::restart(args, context).await,
        Command::Kill(args) => lifecycle::kill(args, context).await,
        Command::Pause(args) => lifecycle::pause(args, context).await,
        Command::Unpause(args) => lifecycle::unpause(args, context).await,
        Command::Ps(args) => container::list(&args, context).await,
        Command::Exec(args) => exec::exec(&args, context).await,
        Command::Logs(args) => logs::logs(&args, context).await,
        Command::Attach(args) => attach::attach(&args, context).await,
        Command::Wait(args) => lifecycle::wait(args, context).await,
        Command::Rename(args) => container::rename(args, context).await,
        Command::Rm(args) => lifecycle::remove(args, context).await,
        Command::Stats(args) => stats::stats(&args, context).await,
        Command::Inspect(args) => inspect::any(args, context).await,
        Command::Images(args) => image::list(&args, context).await,
        Command::Pull(args) => pull::pull(&args, context).await,
        Command::Push(args) => pull::push(&args, context).await,
        Command::Build(args) => image::build(&args, context).await,
        Command::Rmi(args) => image::remove(args, context).await,
        Command::Tag(args) => image::tag(args, context).await,
        Command::Load(args) => image::load(args, context).await,
        Command::Search(args) => image::search(args, context).await,
        Command::Health => system::health(context).await,
        Command::Version => system::version(context).await,
        Command::Info => system::info(context).await,
    }
}
