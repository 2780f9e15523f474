//! The command line, typed. Options may stand before or after the container id, as in runc.
//!
//! `options` has what the commands share, `exec` and `update` the two commands with the most of their own. A mistake
//! comes with the global options before it, so that it reaches the log its caller reads.

mod exec;
mod options;
mod update;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub(crate) use exec::Exec;
pub(crate) use update::Update;
pub(crate) use usage::USAGE;

use options::{Given, TakeOption, flag, id, only_id, positionals, take_until_value};

/// Options before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Global {
    pub root: PathBuf,
    pub log: Option<PathBuf>,
    pub log_format: LogFormat,
    pub debug: bool,
    pub systemd_cgroup: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How lists look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ListFormat {
    #[default]
    Table,
    Json,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Create(Create),
    Run(Run),
    Start(String),
    State(String),
    Kill { id: String, signal: String, all: bool },
    Delete { id: String, force: bool },
    Exec(Box<Exec>),
    List { quiet: bool, format: ListFormat },
    Ps { id: String, format: ListFormat, options: Vec<OsString> },
    Pause(String),
    Resume(String),
    Update { id: String, update: Box<Update> },
    Events { id: String, stats: bool, interval: Duration },
    Spec { bundle: PathBuf, rootless: bool },
    Features,
    Help(&'static str),
    Version,
}

impl Command {
    /// runc's exit code when the command fails.
    pub(crate) fn code_of_failure(&self) -> u8 {
        if matches!(self, Self::Exec(_)) { 255 } else { 1 }
    }
}

/// Options of create and run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Create {
    pub id: String,
    pub bundle: PathBuf,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub preserve_fds: u32,
}

/// Options of run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub create: Create,
    pub detach: bool,
    pub keep: bool,
    pub no_subreaper: bool,
}

type Parsed<T> = Result<T, lexopt::Error>;

/// Parses the arguments after the program's name.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> (Global, Result<Command, (String, u8)>) {
    let mut global = Global {
        root: default_root(),
        log: None,
        log_format: LogFormat::Text,
        debug: false,
        systemd_cgroup: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments.into_iter().collect::<Vec<_>>());
    let mut code = 1;
    let command = parse_all(&mut parser, &mut global, &mut code).map_err(|error| (error.to_string(), code));
    (global, command)
}

/// Below /run, or below the user's own directory for who may not write there.
fn default_root() -> PathBuf {
    let of_user = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty() && !rustix::process::geteuid().is_root());
    PathBuf::from(of_user.unwrap_or_else(|| "/run".into())).join("ross-runtime")
}

fn parse_all(parser: &mut lexopt::Parser, global: &mut Global, code: &mut u8) -> Parsed<Command> {
    let mut answer = None;
    let name = take_until_value(parser, &mut |option, parser| {
        match option {
            Given::Long("help") | Given::Short('h') => answer = Some(Command::Help("")),
            Given::Long("version") | Given::Short('v') => answer = Some(Command::Version),
            _ => return take_global(global, option, parser),
        }
        Ok(true)
    })?;
    let Some(name) = name.filter(|_| answer.is_none()) else {
        return Ok(answer.unwrap_or(Command::Help("")));
    };
    let name = name.string()?;
    if name == "exec" {
        *code = 255;
    }
    match command(&name, parser) {
        // Asked for anywhere among the options of the command.
        Err(lexopt::Error::Custom(error)) if error.is::<usage::Asked>() => {
            Ok(Command::Help(usage::of(&name)))
        }
        result => result,
    }
}

fn take_global(global: &mut Global, option: Given<'_>, parser: &mut lexopt::Parser) -> Parsed<bool> {
    match option {
        Given::Long("root") => global.root = parser.value()?.into(),
        Given::Long("log") => global.log = options::path(parser)?,
        Given::Long("log-format") => {
            global.log_format = match parser.value()?.to_str() {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => return Err("--log-format: use text or json".into()),
            }
        }
        Given::Long("debug") => global.debug = flag(option, parser)?,
        Given::Long("systemd-cgroup") => global.systemd_cgroup = flag(option, parser)?,
        // Decided by what the runtime may do, not by what it is told; the word is checked all the same.
        Given::Long("rootless") => match parser.value()?.to_str() {
            Some("auto" | "true" | "false" | "1" | "0") => {}
            _ => return Err("--rootless: use true, false or auto".into()),
        },
        // For checkpoint and restore, which there are not.
        Given::Long("criu") => drop(parser.value()?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn command(name: &str, parser: &mut lexopt::Parser) -> Parsed<Command> {
    match name {
        "create" => Ok(Command::Create(create(parser, &mut |_, _| Ok(false))?)),
        "run" => {
            let mut run = Run::default();
            let create = create(parser, &mut |option, parser| {
                match option {
                    Given::Short('d') | Given::Long("detach") => run.detach = flag(option, parser)?,
                    Given::Long("keep") => run.keep = flag(option, parser)?,
                    Given::Long("no-subreaper") => run.no_subreaper = flag(option, parser)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok(Command::Run(Run { create, ..run }))
        }
        "start" => Ok(Command::Start(only_id(parser)?)),
        "state" => Ok(Command::State(only_id(parser)?)),
        "pause" => Ok(Command::Pause(only_id(parser)?)),
        "resume" => Ok(Command::Resume(only_id(parser)?)),
        "kill" => kill(parser),
        "delete" => {
            let mut force = false;
            let ids = positionals(parser, 1, &mut |option, parser| match option {
                Given::Short('f') | Given::Long("force") => flag(option, parser).map(|on| {
                    force = on;
                    true
                }),
                _ => Ok(false),
            })?;
            Ok(Command::Delete { id: id(ids)?, force })
        }
        "exec" => Ok(Command::Exec(Box::new(exec::parse(parser)?))),
        "list" => {
            let (mut quiet, mut format) = (false, ListFormat::Table);
            positionals(parser, 0, &mut |option, parser| {
                match option {
                    Given::Short('q') | Given::Long("quiet") => quiet = flag(option, parser)?,
                    Given::Short('f') | Given::Long("format") => format = list_format(parser)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok(Command::List { quiet, format })
        }
        "ps" => ps(parser),
        "update" => {
            update::parse(parser).map(|(id, update)| Command::Update { id, update: Box::new(update) })
        }
        "events" => events(parser),
        "spec" => {
            let (mut bundle, mut rootless) = (PathBuf::from("."), false);
            positionals(parser, 0, &mut |option, parser| {
                match option {
                    Given::Short('b') | Given::Long("bundle") => bundle = parser.value()?.into(),
                    Given::Long("rootless") => rootless = flag(option, parser)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok(Command::Spec { bundle, rootless })
        }
        "features" => positionals(parser, 0, &mut |_, _| Ok(false)).map(|_| Command::Features),
        "checkpoint" | "restore" => Err(format!("{name}: is not supported by ross-runtime").into()),
        "help" => {
            let about = positionals(parser, 1, &mut |_, _| Ok(false))?;
            Ok(Command::Help(about.first().map_or("", |name| usage::of(name))))
        }
        other => Err(format!("`{other}` is no command; see --help").into()),
    }
}

fn list_format(parser: &mut lexopt::Parser) -> Parsed<ListFormat> {
    match parser.value()?.to_str() {
        Some("table") => Ok(ListFormat::Table),
        Some("json") => Ok(ListFormat::Json),
        _ => Err("invalid format option: use table or json".into()),
    }
}

fn create(parser: &mut lexopt::Parser, more: &mut TakeOption<'_>) -> Parsed<Create> {
    let mut create = Create { bundle: PathBuf::from("."), ..Create::default() };
    let ids = positionals(parser, 1, &mut |option, parser| {
        match option {
            Given::Short('b') | Given::Long("bundle") => create.bundle = parser.value()?.into(),
            Given::Long("console-socket") => create.console_socket = options::path(parser)?,
            Given::Long("pidfd-socket") => create.pidfd_socket = options::path(parser)?,
            Given::Long("pid-file") => create.pid_file = options::path(parser)?,
            Given::Long("no-pivot") => create.no_pivot = flag(option, parser)?,
            Given::Long("no-new-keyring") => create.no_new_keyring = flag(option, parser)?,
            Given::Long("preserve-fds") => create.preserve_fds = parser.value()?.parse()?,
            other => return more(other, parser),
        }
        Ok(true)
    })?;
    Ok(Create { id: id(ids)?, ..create })
}

/// The signal is looked at when the container was found, as its absence is the more important news.
fn kill(parser: &mut lexopt::Parser) -> Parsed<Command> {
    let mut all = false;
    let mut found = positionals(parser, 2, &mut |option, parser| match option {
        Given::Short('a') | Given::Long("all") => flag(option, parser).map(|on| {
            all = on;
            true
        }),
        _ => Ok(false),
    })?
    .into_iter();
    let id = found.next().ok_or("the container id is missing")?;
    Ok(Command::Kill { id, signal: found.next().unwrap_or_else(|| "SIGTERM".to_owned()), all })
}

/// Everything behind the container id is for ps(1).
fn ps(parser: &mut lexopt::Parser) -> Parsed<Command> {
    let mut format = ListFormat::Table;
    let id = take_until_value(parser, &mut |option, parser| match option {
        Given::Short('f') | Given::Long("format") => {
            format = list_format(parser)?;
            Ok(true)
        }
        _ => Ok(false),
    })?;
    let id = id.ok_or("the container id is missing")?.string()?;
    Ok(Command::Ps { id, format, options: parser.raw_args()?.collect() })
}

fn events(parser: &mut lexopt::Parser) -> Parsed<Command> {
    let (mut stats, mut interval) = (false, Duration::from_secs(5));
    let ids = positionals(parser, 1, &mut |option, parser| {
        match option {
            Given::Long("stats") => stats = flag(option, parser)?,
            Given::Long("interval") => interval = options::duration(&parser.value()?.string()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Command::Events { id: id(ids)?, stats, interval })
}

#[cfg(test)]
mod tests;
