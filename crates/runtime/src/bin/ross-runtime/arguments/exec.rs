//! The options of exec.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use super::Parsed;
use super::options::{Given, flag, path, take_until_value};

/// Options of exec.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Exec {
    pub id: String,
    pub process: Option<PathBuf>,
    pub command: Vec<String>,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub cwd: Option<String>,
    pub env: Vec<String>,
    pub tty: bool,
    pub user: Option<(u32, Option<u32>)>,
    pub additional_gids: Vec<u32>,
    pub detach: bool,
    pub process_label: Option<String>,
    pub apparmor: Option<String>,
    pub no_new_privs: Option<bool>,
    pub capabilities: Vec<String>,
    pub preserve_fds: u32,
    pub cgroup: Option<String>,
    pub ignore_paused: bool,
}

pub(super) fn parse(parser: &mut lexopt::Parser) -> Parsed<Exec> {
    let mut exec = Exec::default();
    let mut take = |option: Given<'_>, parser: &mut lexopt::Parser| take(&mut exec, option, parser);
    let id = take_until_value(parser, &mut take)?;
    let program = take_until_value(parser, &mut take)?;
    exec.id = id.ok_or("the container id is missing")?.string()?;
    if let Some(program) = program {
        // What follows is its own, options too.
        let rest: Vec<OsString> = parser.raw_args()?.collect();
        exec.command =
            std::iter::once(program).chain(rest).map(OsString::string).collect::<Parsed<Vec<String>>>()?;
    }
    if exec.command.is_empty() && exec.process.is_none() {
        return Err("process args cannot be empty: give a command or --process".into());
    }
    Ok(exec)
}

fn take(exec: &mut Exec, option: Given<'_>, parser: &mut lexopt::Parser) -> Parsed<bool> {
    match option {
        Given::Long("console-socket") => exec.console_socket = path(parser)?,
        Given::Long("pidfd-socket") => exec.pidfd_socket = path(parser)?,
        Given::Long("pid-file") => exec.pid_file = path(parser)?,
        Given::Long("cwd") => exec.cwd = Some(parser.value()?.string()?).filter(|cwd| !cwd.is_empty()),
        Given::Short('e') | Given::Long("env") => exec.env.push(parser.value()?.string()?),
        Given::Short('t') | Given::Long("tty") => exec.tty = flag(option, parser)?,
        Given::Short('u') | Given::Long("user") => exec.user = Some(user(&parser.value()?.string()?)?),
        Given::Short('g') | Given::Long("additional-gids") => {
            exec.additional_gids.push(parser.value()?.parse()?);
        }
        Given::Short('p') | Given::Long("process") => exec.process = path(parser)?,
        Given::Short('d') | Given::Long("detach") => exec.detach = flag(option, parser)?,
        Given::Long("process-label") => exec.process_label = Some(parser.value()?.string()?),
        Given::Long("apparmor") => exec.apparmor = Some(parser.value()?.string()?),
        Given::Long("no-new-privs") => exec.no_new_privs = Some(flag(option, parser)?),
        Given::Short('c') | Given::Long("cap") => exec.capabilities.push(parser.value()?.string()?),
        Given::Long("preserve-fds") => exec.preserve_fds = parser.value()?.parse()?,
        Given::Long("cgroup") => exec.cgroup = Some(cgroup(&parser.value()?.string()?)?),
        Given::Long("ignore-paused") => exec.ignore_paused = flag(option, parser)?,
        _ => return Ok(false),
    }
    Ok(true)
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

/// A cgroup below the container's. runc's `CONTROLLER:PATH` is for the many hierarchies of cgroup v1.
fn cgroup(text: &str) -> Parsed<String> {
    match text.split_once(':') {
        None => Ok(text.to_owned()),
        Some(("", path)) => Ok(path.to_owned()),
        Some((controller, _)) => Err(format!(
            "--cgroup {text}: there is one hierarchy for all controllers, leave `{controller}:` out"
        )
        .into()),
    }
}
