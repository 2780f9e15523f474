//! One instruction after the other, on a configuration.

use std::path::{Component, Path, PathBuf};

use ross_image::ContainerDefaults;

use super::health;
use super::words::{self, Reason};
use crate::error::{EngineError, Result};
use crate::model::{PortSpec, Signal};

/// Ports in one range.
const RANGE_MAX: u16 = 1024;

/// Applies `changes`, each of which may be several lines. Nothing is changed when one of them cannot be.
pub(crate) fn apply(config: &mut ContainerDefaults, changes: &[String]) -> Result<()> {
    let mut changed = config.clone();
    let mut cmd_set = false;
    for line in changes.iter().flat_map(|change| lines(change)) {
        one(&mut changed, &line, &mut cmd_set)
            .map_err(|reason| EngineError::invalid("change", format!("`{}`: {reason}", line.trim())))?;
    }
    *config = changed;
    Ok(())
}

/// The instructions of a text: lines that end in a backslash go on, comments and empty ones say nothing.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        match line.trim_end().strip_suffix('\\') {
            Some(part) => begun.push_str(part),
            None => {
                begun.push_str(line);
                lines.push(std::mem::take(&mut begun));
            }
        }
    }
    lines.push(begun);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn one(config: &mut ContainerDefaults, line: &str, cmd_set: &mut bool) -> std::result::Result<(), Reason> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (instruction, rest) = (word.to_ascii_uppercase(), rest.trim());
    if rest.is_empty() && !matches!(instruction.as_str(), "CMD" | "ENTRYPOINT") {
        return match known(&instruction) {
            true => Err(format!("{instruction} needs an argument")),
            false => Err(unknown(word)),
        };
    }
    let env = config.env.clone();
    let lookup = |name: &str| {
        let value =
            |entry: &String| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, v)| v.to_owned());
        env.iter().rev().find_map(value)
    };
    let expanded = |text: &str| words::expand(text, &lookup);
    let all = |text: &str| -> std::result::Result<Vec<String>, Reason> {
        words::split(text)?.iter().map(|word| expanded(word)).collect()
    };
    match instruction.as_str() {
        "CMD" => {
            config.cmd = command(rest, &config.shell);
            *cmd_set = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = command(rest, &config.shell);
            // A command that came with the image belongs to the image's entrypoint.
            if !*cmd_set {
                config.cmd.clear();
            }
        }
        "ENV" => {
            for (key, value) in words::pairs(rest, &lookup)? {
                set_env(&mut config.env, &key, &value);
            }
        }
        "LABEL" => config.labels.extend(words::pairs(rest, &lookup)?),
        "EXPOSE" => {
            let words: Vec<String> = all(rest)?;
            for port in
                words.iter().map(|word| ports(word)).collect::<std::result::Result<Vec<_>, _>>()?.concat()
            {
                if !config.exposed_ports.contains(&port) {
                    config.exposed_ports.push(port);
                }
            }
        }
        "HEALTHCHECK" => config.healthcheck = Some(health::parse(rest)?),
        "ONBUILD" => config.on_build.push(trigger(rest)?),
        "STOPSIGNAL" => {
            let text = expanded(rest)?;
            text.parse::<Signal>().map_err(|error| error.to_string())?;
            config.stop_signal = text;
        }
        "USER" => config.user = expanded(rest)?,
        "VOLUME" => {
            let paths: Vec<String> = match words::json(rest) {
                Some(paths) => {
                    paths.iter().map(|path| expanded(path)).collect::<std::result::Result<_, _>>()?
                }
                None => all(rest)?,
            };
            if paths.is_empty() || paths.iter().any(|path| path.trim().is_empty()) {
                return Err("VOLUME needs paths that are not empty".to_owned());
            }
            config.volumes.extend(paths.into_iter().map(|path| path.trim().to_owned()));
            config.volumes.sort();
            config.volumes.dedup();
        }
        "WORKDIR" => config.working_dir = working_dir(&config.working_dir, &expanded(rest)?),
        _ => return Err(unknown(word)),
    }
    Ok(())
}

fn known(instruction: &str) -> bool {
    matches!(
        instruction,
        "ENV" | "EXPOSE" | "HEALTHCHECK" | "LABEL" | "ONBUILD" | "STOPSIGNAL" | "USER" | "VOLUME" | "WORKDIR"
    )
}

fn unknown(word: &str) -> Reason {
    format!(
        "`{word}` is none of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"
    )
}

/// A command: a JSON list as it is, anything else by the shell.
fn command(text: &str, shell: &[String]) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    words::json(text).unwrap_or_else(|| {
        let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        let shell = if shell.is_empty() { default() } else { shell.to_vec() };
        shell.into_iter().chain([text.to_owned()]).collect()
    })
}

fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    match env.iter_mut().find(|have| have.split_once('=').is_some_and(|(have, _)| have == key)) {
        Some(have) => *have = entry,
        None => env.push(entry),
    }
}

/// `port`, `port/protocol`, `first-last/protocol`, as the image has them: with their protocol.
fn ports(text: &str) -> std::result::Result<Vec<String>, Reason> {
    let wrong = || format!("`{text}` is no port such as 80, 53/udp or 8000-8010/tcp");
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first == 0 || last < first || last - first >= RANGE_MAX {
        return Err(wrong());
    }
    (first..=last)
        .map(|port| {
            let port = format!("{port}/{}", protocol.to_ascii_lowercase());
            port.parse::<PortSpec>().map_err(|_| wrong())?;
            Ok(port)
        })
        .collect()
}

/// An instruction for later.
fn trigger(text: &str) -> std::result::Result<String, Reason> {
    let word = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match word.as_str() {
        "ONBUILD" => Err("ONBUILD cannot have an ONBUILD".to_owned()),
        "FROM" | "MAINTAINER" => Err(format!("ONBUILD cannot have a {word}")),
        _ => Ok(text.to_owned()),
    }
}

/// A directory, relative to the present one if it is not absolute, without `.` and `..`.
fn working_dir(present: &str, path: &str) -> String {
    let mut dir = PathBuf::from("/");
    for component in Path::new("/").join(present).join(path).components() {
        match component {
            Component::Normal(part) => dir.push(part),
            Component::ParentDir => drop(dir.pop()),
            _ => {}
        }
    }
    dir.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn changed(config: &ContainerDefaults, changes: &[&str]) -> Result<ContainerDefaults> {
        let mut config = config.clone();
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        apply(&mut config, &changes).map(|()| config)
    }

    fn base() -> ContainerDefaults {
        ContainerDefaults {
            env: words("PATH=/bin HOME=/root"),
            cmd: words("sh"),
            entrypoint: words("/entry"),
            working_dir: "/srv".into(),
            exposed_ports: words("80/tcp"),
            volumes: words("/data"),
            ..ContainerDefaults::default()
        }
    }

    #[test]
    fn each_instruction_changes_its_own() {
        let check = |changes: &[&str], expected: &dyn Fn(&mut ContainerDefaults)| {
            let mut wanted = base();
            expected(&mut wanted);
            assert_eq!(changed(&base(), changes).unwrap(), wanted, "{changes:?}");
        };
        check(&[], &|_| {});
        check(&["CMD [\"echo\", \"a b\"]"], &|config| config.cmd = vec!["echo".into(), "a b".into()]);
        check(&["cmd echo a"], &|config| config.cmd = vec!["/bin/sh".into(), "-c".into(), "echo a".into()]);
        check(&["CMD"], &|config| config.cmd.clear());
        check(&["ENTRYPOINT [\"/e\"]"], &|config| {
            config.entrypoint = words("/e");
            config.cmd.clear();
        });
        check(&["CMD [\"c\"]", "ENTRYPOINT [\"/e\"]"], &|config| {
            config.entrypoint = words("/e");
            config.cmd = words("c");
        });
        check(&["ENV A=1 PATH=$PATH:/x"], &|config| config.env = words("PATH=/bin:/x HOME=/root A=1"));
        check(&["ENV A=1", "ENV B=${A}2"], &|config| config.env.extend(words("A=1 B=12")));
        check(&["LABEL a=b", "LABEL a=\"c d\""], &|config| {
            config.labels.insert("a".into(), "c d".into());
        });
        check(&["EXPOSE 80 53/UDP 8000-8002"], &|config| {
            config.exposed_ports.extend(words("53/udp 8000/tcp 8001/tcp 8002/tcp"));
        });
        check(&["USER www:www"], &|config| config.user = "www:www".into());
        check(&["VOLUME [\"/a b\", \"/data\"]"], &|config| {
            config.volumes = vec!["/a b".into(), "/data".into()]
        });
        check(&["VOLUME /c $HOME"], &|config| config.volumes = words("/c /data /root"));
        check(&["WORKDIR sub/../other", "WORKDIR deep"], &|config| {
            config.working_dir = "/srv/other/deep".into()
        });
        check(&["WORKDIR /"], &|config| config.working_dir = "/".into());
        check(&["STOPSIGNAL SIGQUIT"], &|config| config.stop_signal = "SIGQUIT".into());
        check(&["ONBUILD RUN echo $HOME"], &|config| config.on_build = vec!["RUN echo $HOME".into()]);
        check(&["HEALTHCHECK NONE"], &|config| {
            config.healthcheck = Some(ross_image::Healthcheck { test: words("NONE"), ..Default::default() });
        });
        check(&["# nothing\n\nENV A=1 \\\n  B=2\nUSER x"], &|config| {
            config.env.extend(words("A=1 B=2"));
            config.user = "x".into();
        });
    }

    #[test]
    fn what_cannot_be_is_named() {
        let check = |change: &str, says: &str| {
            let error = changed(&base(), &["USER changed", change]).unwrap_err();
            assert_eq!(error.kind(), ross_types::ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(says), "{change}: {error}");
            assert!(error.to_string().contains(change.trim()), "{change}: {error}");
        };
        check("RUN true", "`RUN` is none of");
        check("FROM x", "`FROM` is none of");
        check("nonsense", "`nonsense` is none of");
        check("ENV", "needs an argument");
        check("ENV A", "expected KEY=VALUE");
        check("EXPOSE 0", "is no port");
        check("EXPOSE 99999", "is no port");
        check("EXPOSE 90-80", "is no port");
        check("EXPOSE 80/quic", "is no port");
        check("STOPSIGNAL NOPE", "NOPE");
        check("VOLUME [\"\"]", "not empty");
        check("ONBUILD ONBUILD RUN x", "cannot have");
        check("ONBUILD FROM x", "cannot have");
        check("HEALTHCHECK RUN x", "neither NONE nor CMD");
        check("LABEL a='b", "not closed");
    }

    #[test]
    fn the_shell_of_the_image_runs_commands() {
        let config = ContainerDefaults { shell: words("/bin/ash -ec"), ..base() };
        assert_eq!(changed(&config, &["CMD x y"]).unwrap().cmd, ["/bin/ash", "-ec", "x y"]);
    }
}
