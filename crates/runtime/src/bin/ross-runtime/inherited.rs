//! What this process was left with for the program: descriptors beyond the standard streams, the first of them sockets
//! when a service manager says so in the environment (sd_listen_fds(3)).

use std::ffi::OsString;

use ross_runtime::Activation;

use crate::arguments::{Command, Run};

/// The sockets that are meant for this process, and so for the program.
pub(crate) fn sockets() -> Result<Option<Activation>, String> {
    sockets_from(|name| std::env::var_os(name), std::process::id())
}

fn sockets_from(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> Result<Option<Activation>, String> {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
    // The variables of a process further up, which another took: they are not for us.
    if text("LISTEN_PID").and_then(|pid| pid.parse().ok()) != Some(own) {
        return Ok(None);
    }
    let Some(count) = text("LISTEN_FDS").filter(|count| !count.is_empty()) else { return Ok(None) };
    let number = count.parse().map_err(|_| format!("LISTEN_FDS: `{count}` is no number of descriptors"))?;
    Ok((number > 0).then(|| Activation { count: number, names: text("LISTEN_FDNAMES") }))
}

/// Whether all that the program is to get is there: before this process opens a file, which might take the number of
/// one that is not.
pub(crate) fn check(command: &Command) -> Result<(), String> {
    let count = match command {
        Command::Create(create) | Command::Run(Run { create, .. }) => {
            create.preserve_fds.saturating_add(sockets()?.map_or(0, |sockets| sockets.count))
        }
        Command::Exec(exec) => exec.preserve_fds,
        _ => 0,
    };
    match (3..count.saturating_add(3)).find(|&fd| !ross_sys::fd::is_open(fd.cast_signed())) {
        Some(fd) => Err(format!("descriptor {fd} is for the program, and is not open")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_environment() {
        let check =
            |pid: &str, count: &str, names: Option<&str>, expected: Option<Option<(u32, Option<&str>)>>| {
                let variable = |name: &str| match name {
                    "LISTEN_PID" => Some(pid.into()),
                    "LISTEN_FDS" => Some(count.into()),
                    _ => names.map(OsString::from),
                };
                let expected = expected.map(|sockets| {
                    sockets.map(|(count, names)| Activation { count, names: names.map(str::to_owned) })
                });
                assert_eq!(sockets_from(variable, 7).ok(), expected, "{pid} {count}");
            };
        check("7", "2", Some("a:b"), Some(Some((2, Some("a:b")))));
        check("7", "1", None, Some(Some((1, None))));
        check("8", "1", None, Some(None));
        check("", "1", None, Some(None));
        check("7", "0", None, Some(None));
        check("7", "", None, Some(None));
        check("7", "x", None, None);
        check("7", "-1", None, None);
    }
}
