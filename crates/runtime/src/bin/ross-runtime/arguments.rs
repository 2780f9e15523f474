//! The command line, typed. Options may stand before or after the container id, as in runc.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

/// Options before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Global {
    pub root: PathBuf,
    pub log: Option<PathBuf>,
    pub log_format: LogFormat,
    pub debug: bool,
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
    Run { create: Create, detach: bool, keep: bool },
    Start(String),
    State(String),
    Kill { id: String, signal: i32, all: bool },
    Delete { id: String, force: bool },
    Exec(Box<Exec>),
    List { quiet: bool, format: ListFormat },
    Spec { bundle: PathBuf },
    Pause(String),
    Resume(String),
    Ps { id: String, format: ListFormat },
    Update { id: String, resources: PathBuf },
    Help,
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
    pub pid_file: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub preserve_fds: u32,
}

/// Options of exec.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Exec {
    pub id: String,
    pub process: Option<PathBuf>,
    pub command: Vec<String>,
    pub console_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub cwd: Option<String>,
    pub env: Vec<String>,
    pub tty: bool,
    pub user: Option<(u32, Option<u32>)>,
    pub additional_gids: Vec<u32>,
    pub detach: bool,
    pub apparmor: Option<String>,
    pub no_new_privs: bool,
    pub capabilities: Vec<String>,
    pub preserve_fds: u32,
    pub cgroup: Option<String>,
    pub ignore_paused: bool,
}

pub(crate) const USAGE: &str = "\
Usage: ross-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND

  create [-b BUNDLE] [--console-socket SOCKET] [--pid-file FILE] [--no-pivot] [--no-new-keyring] [--preserve-fds N] ID
  run    as create, and [-d|--detach] [--keep]
  start ID
  state ID
  kill [-a|--all] ID [SIGNAL]
  delete [-f|--force] ID
  exec [-t] [-d] [-u UID[:GID]] [-g GID] [-e NAME=VALUE] [--cwd DIR] [-c CAP] [-p PROCESS.json] [--pid-file FILE]
       [--console-socket SOCKET] [--apparmor PROFILE] [--no-new-privs] [--preserve-fds N] [--cgroup NAME]
       [--ignore-paused] ID COMMAND [ARGUMENT...]
  list [-q] [-f table|json]
  ps [-f table|json] ID
  pause ID
  resume ID
  update -r RESOURCES.json ID
  spec [-b BUNDLE]
";

type Parsed<T> = Result<T, lexopt::Error>;

/// Parses everything behind the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<(Global, Command), String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    parse_all(&mut parser).map_err(|error| error.to_string())
}

fn parse_all(parser: &mut lexopt::Parser) -> Parsed<(Global, Command)> {
    let mut global = Global {
        root: PathBuf::from("/run/ross-runtime"),
        log: None,
        log_format: LogFormat::Text,
        debug: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("root") => global.root = parser.value()?.into(),
            Long("log") => global.log = Some(parser.value()?.into()),
            Long("log-format") => {
                global.log_format = match parser.value()?.to_str() {
                    Some("text") => LogFormat::Text,
                    Some("json") => LogFormat::Json,
                    _ => return Err("--log-format: use text or json".into()),
                }
            }
            Long("debug") => global.debug = true,
            Long("systemd-cgroup") => {
                return Err(
                    "--systemd-cgroup: the systemd cgroup driver is not supported yet; leave the option out \
                            (and, in a caller's configuration, set the cgroup driver to cgroupfs)"
                        .into(),
                );
            }
            // Decided by what the runtime may do, not by what it is told.
            Long("rootless") => drop(parser.value()?),
            Long("help") | Short('h') => return Ok((global, Command::Help)),
            Long("version") | Short('v') => return Ok((global, Command::Version)),
            Value(name) => {
                let name = name.string()?;
                return Ok((global, command(&name, parser)?));
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok((global, Command::Help))
}

fn command(name: &str, parser: &mut lexopt::Parser) -> Parsed<Command> {
    match name {
        "create" => Ok(Command::Create(create(parser, &mut |_, _| Ok(false))?)),
        "run" => {
            let (mut detach, mut keep) = (false, false);
            let create = create(parser, &mut |option, _| {
                match option {
                    Option_::Short('d') | Option_::Long("detach") => detach = true,
                    Option_::Long("keep") => keep = true,
                    Option_::Long("no-subreaper") => {}
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok(Command::Run { create, detach, keep })
        }
        "start" => Ok(Command::Start(only_id(parser)?)),
        "state" => Ok(Command::State(only_id(parser)?)),
        "pause" => Ok(Command::Pause(only_id(parser)?)),
        "resume" => Ok(Command::Resume(only_id(parser)?)),
        "kill" => kill(parser),
        "delete" => {
            let mut force = false;
            let ids = positionals(parser, 1, &mut |option, _| {
                let known = matches!(option, Option_::Short('f') | Option_::Long("force"));
                force |= known;
                Ok(known)
            })?;
            Ok(Command::Delete { id: id(ids)?, force })
        }
        "exec" => Ok(Command::Exec(Box::new(exec(parser)?))),
        "list" => {
            let (mut quiet, mut format) = (false, ListFormat::Table);
            positionals(parser, 0, &mut |option, parser| {
                match option {
                    Option_::Short('q') | Option_::Long("quiet") => quiet = true,
                    Option_::Short('f') | Option_::Long("format") => format = list_format(parser)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok(Command::List { quiet, format })
        }
        "ps" => {
            let mut format = ListFormat::Table;
            let ids = positionals(parser, 1, &mut |option, parser| match option {
                Option_::Short('f') | Option_::Long("format") => {
                    format = list_format(parser)?;
                    Ok(true)
                }
                _ => Ok(false),
            })?;
            Ok(Command::Ps { id: id(ids)?, format })
        }
        "update" => {
            let mut resources = None;
            let ids = positionals(parser, 1, &mut |option, parser| match option {
                Option_::Short('r') | Option_::Long("resources") => {
                    resources = Some(parser.value()?.into());
                    Ok(true)
                }
                _ => Ok(false),
            })?;
            let resources = resources.ok_or("update: -r RESOURCES.json is missing")?;
            Ok(Command::Update { id: id(ids)?, resources })
        }
        "spec" => {
            let mut bundle = PathBuf::from(".");
            positionals(parser, 0, &mut |option, parser| match option {
                Option_::Short('b') | Option_::Long("bundle") => {
                    bundle = parser.value()?.into();
                    Ok(true)
                }
                _ => Ok(false),
            })?;
            Ok(Command::Spec { bundle })
        }
        "help" => Ok(Command::Help),
        other => Err(format!("`{other}` is no command; see --help").into()),
    }
}

/// An option's name, owned by nobody, so that the parser can be asked for its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Option_<'a> {
    Short(char),
    Long(&'a str),
}

/// Takes one option; false when it does not know it.
type TakeOption<'a> = dyn FnMut(Option_<'_>, &mut lexopt::Parser) -> Parsed<bool> + 'a;

/// Parses options anywhere, and at most `most` other arguments.
fn positionals(parser: &mut lexopt::Parser, most: usize, take: &mut TakeOption<'_>) -> Parsed<Vec<String>> {
    let mut found = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if found.len() < most => found.push(value.string()?),
            Value(value) => return Err(lexopt::Error::UnexpectedArgument(value)),
            Short(letter) => {
                if !take(Option_::Short(letter), parser)? {
                    return Err(format!("option -{letter} is unknown here; see --help").into());
                }
            }
            Long(name) => {
                let name = name.to_owned();
                if !take(Option_::Long(&name), parser)? {
                    return Err(format!("option --{name} is unknown here; see --help").into());
                }
            }
        }
    }
    Ok(found)
}

fn id(found: Vec<String>) -> Parsed<String> {
    found.into_iter().next().ok_or_else(|| "the container id is missing".into())
}

fn only_id(parser: &mut lexopt::Parser) -> Parsed<String> {
    id(positionals(parser, 1, &mut |_, _| Ok(false))?)
}

fn list_format(parser: &mut lexopt::Parser) -> Parsed<ListFormat> {
    match parser.value()?.to_str() {
        Some("table") => Ok(ListFormat::Table),
        Some("json") => Ok(ListFormat::Json),
        _ => Err("--format: use table or json".into()),
    }
}

fn create(parser: &mut lexopt::Parser, more: &mut TakeOption<'_>) -> Parsed<Create> {
    let mut create = Create { bundle: PathBuf::from("."), ..Create::default() };
    let ids = positionals(parser, 1, &mut |option, parser| {
        match option {
            Option_::Short('b') | Option_::Long("bundle") => create.bundle = parser.value()?.into(),
            Option_::Long("console-socket") => create.console_socket = Some(parser.value()?.into()),
            Option_::Long("pid-file") => create.pid_file = Some(parser.value()?.into()),
            Option_::Long("no-pivot") => create.no_pivot = true,
            Option_::Long("no-new-keyring") => create.no_new_keyring = true,
            Option_::Long("preserve-fds") => create.preserve_fds = parser.value()?.parse()?,
            other => return more(other, parser),
        }
        Ok(true)
    })?;
    Ok(Create { id: id(ids)?, ..create })
}

fn kill(parser: &mut lexopt::Parser) -> Parsed<Command> {
    let mut all = false;
    let mut found = positionals(parser, 2, &mut |option, _| {
        let known = matches!(option, Option_::Short('a') | Option_::Long("all"));
        all |= known;
        Ok(known)
    })?
    .into_iter();
    let id = found.next().ok_or("the container id is missing")?;
    let signal = match found.next() {
        None => 15,
        Some(name) => crate::render::signal(&name).ok_or_else(|| format!("`{name}` is no signal"))?,
    };
    Ok(Command::Kill { id, signal, all })
}

fn exec(parser: &mut lexopt::Parser) -> Parsed<Exec> {
    let mut exec = Exec::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(id) if exec.id.is_empty() => exec.id = id.string()?,
            // The program: what follows is its own, options too.
            Value(program) => {
                exec.command.push(program.string()?);
                for argument in parser.raw_args()? {
                    exec.command.push(argument.string()?);
                }
            }
            Long("console-socket") => exec.console_socket = Some(parser.value()?.into()),
            Long("pid-file") => exec.pid_file = Some(parser.value()?.into()),
            Long("cwd") => exec.cwd = Some(parser.value()?.string()?),
            Short('e') | Long("env") => exec.env.push(parser.value()?.string()?),
            Short('t') | Long("tty") => exec.tty = true,
            Short('u') | Long("user") => exec.user = Some(user(&parser.value()?.string()?)?),
            Short('g') | Long("additional-gids") => exec.additional_gids.push(parser.value()?.parse()?),
            Short('p') | Long("process") => exec.process = Some(parser.value()?.into()),
            Short('d') | Long("detach") => exec.detach = true,
            Long("apparmor") => exec.apparmor = Some(parser.value()?.string()?),
            Long("no-new-privs") => exec.no_new_privs = true,
            Short('c') | Long("cap") => exec.capabilities.push(parser.value()?.string()?),
            Long("preserve-fds") => exec.preserve_fds = parser.value()?.parse()?,
            Long("cgroup") => exec.cgroup = Some(parser.value()?.string()?),
            Long("ignore-paused") => exec.ignore_paused = true,
            other => return Err(other.unexpected()),
        }
    }
    if exec.id.is_empty() {
        return Err("the container id is missing".into());
    }
    if exec.command.is_empty() && exec.process.is_none() {
        return Err("exec: neither a command nor --process is given".into());
    }
    Ok(exec)
}

/// `UID[:GID]`, numbers only and nothing behind them (CVE-2026-30892).
fn user(text: &str) -> Parsed<(u32, Option<u32>)> {
    let number = |part: &str| {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let parsed = match text.split_once(':') {
        None => number(text).map(|uid| (uid, None)),
        Some((uid, gid)) => number(uid).zip(number(gid)).map(|(uid, gid)| (uid, Some(gid))),
    };
    parsed.ok_or_else(|| format!("user `{text}` is not UID[:GID] in numbers").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map(|(_, command)| command)
    }

    #[test]
    fn options_anywhere() {
        for line in [
            "create --bundle /b --pid-file /p c",
            "create c --bundle /b --pid-file /p",
            "create -b/b c --pid-file=/p",
        ] {
            let Command::Create(create) = parsed(line).unwrap() else { panic!("{line}") };
            assert_eq!((create.id.as_str(), create.bundle.to_str()), ("c", Some("/b")), "{line}");
            assert_eq!(create.pid_file, Some("/p".into()), "{line}");
        }
    }

    #[test]
    fn commands() {
        let check = |line: &str, expected: Command| assert_eq!(parsed(line), Ok(expected), "{line}");
        check("--root /r state c", Command::State("c".into()));
        check("kill c", Command::Kill { id: "c".into(), signal: 15, all: false });
        check("kill --all c KILL", Command::Kill { id: "c".into(), signal: 9, all: true });
        check("kill c SIGUSR1", Command::Kill { id: "c".into(), signal: 10, all: false });
        check("kill c 34", Command::Kill { id: "c".into(), signal: 34, all: false });
        check("delete c --force", Command::Delete { id: "c".into(), force: true });
        check("list -q -f json", Command::List { quiet: true, format: ListFormat::Json });
        check("--version", Command::Version);
        check("", Command::Help);
    }

    #[test]
    fn exec_keeps_the_program_whole() {
        let Command::Exec(exec) = parsed("exec -t -u 7:8 -e A=b c -d sh -c true --x").unwrap() else {
            panic!()
        };
        assert_eq!(exec.command, ["sh", "-c", "true", "--x"]);
        assert_eq!(exec.user, Some((7, Some(8))));
        assert!(exec.tty && exec.detach);
    }

    #[test]
    fn mistakes() {
        for line in [
            "fly",
            "create",
            "create a b",
            "state c --x",
            "kill c SIGNOPE",
            "kill c 0x9",
            "exec c",
            "exec -u 7x c sh",
            "exec -u 7:+8 c sh",
            "exec -u root c sh",
            "--log-format xml list",
            "--systemd-cgroup list",
            "update c",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
