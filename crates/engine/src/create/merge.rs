//! What the image says, where the request says nothing: Docker's rules.

use std::time::Duration;

use ross_image::{ContainerDefaults, Healthcheck as ImageHealthcheck};

use crate::error::{EngineError, Result};
use crate::model::{ContainerConfig, Healthcheck, Mount, MountKind, PortSpec};

/// Fills in `config` from the image's defaults.
pub(super) fn merge(config: &mut ContainerConfig, image: &ContainerDefaults) -> Result<()> {
    // An entrypoint of the request stands for itself: the image's command belongs to the image's entrypoint.
    if config.entrypoint.is_none() {
        if config.cmd.is_empty() {
            config.cmd.clone_from(&image.cmd);
        }
        if !image.entrypoint.is_empty() {
            config.entrypoint = Some(image.entrypoint.clone());
        }
    }
    config.env = merge_env(&image.env, &config.env);
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    if config.working_dir.is_empty() {
        config.working_dir = "/".to_owned();
    }
    for (key, value) in &image.labels {
        config.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if config.stop_signal.is_none() && !image.stop_signal.is_empty() {
        config.stop_signal = Some(image.stop_signal.parse().map_err(of_image)?);
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout.and_then(|seconds| i32::try_from(seconds).ok());
    }
    for port in &image.exposed_ports {
        let port: PortSpec = port.parse().map_err(of_image)?;
        if !config.network.exposed_ports.contains(&port) {
            config.network.exposed_ports.push(port);
        }
    }
    if let Some(health) = &image.healthcheck {
        config.healthcheck = Some(merge_health(config.healthcheck.take().unwrap_or_default(), health));
    }
    for target in &image.volumes {
        let taken = |mount: &Mount| trimmed(&mount.target) == trimmed(target);
        if !config.mounts.iter().any(taken) {
            config.mounts.push(anonymous_volume(target));
        }
    }
    Ok(())
}

fn of_image(error: EngineError) -> EngineError {
    EngineError::new(error.kind(), "image", "the image's configuration cannot be used").caused_by(error)
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn anonymous_volume(target: &str) -> Mount {
    let kind = MountKind::Volume {
        name: String::new(),
        no_copy: false,
        labels: std::collections::BTreeMap::new(),
        anonymous: true,
    };
    Mount { kind, target: target.to_owned(), read_only: false }
}

/// The image's variables in their order, with values of the request; then those only the request has.
/// A key without `=` removes.
pub(crate) fn merge_env(image: &[String], request: &[String]) -> Vec<String> {
    let key = |entry: &str| entry.split_once('=').map_or(entry, |(key, _)| key).to_owned();
    let mut merged: Vec<String> = Vec::new();
    for entry in image.iter().chain(request) {
        let at = merged.iter().position(|have| key(have) == key(entry));
        match (at, entry.contains('=')) {
            (Some(at), true) => merged[at].clone_from(entry),
            (Some(at), false) => drop(merged.remove(at)),
            (None, true) => merged.push(entry.clone()),
            (None, false) => {}
        }
    }
    merged
}

fn merge_health(mut health: Healthcheck, image: &ImageHealthcheck) -> Healthcheck {
    let nanos = |value: i64| Duration::from_nanos(u64::try_from(value).unwrap_or(0));
    let fill = |own: &mut Duration, value: i64| {
        if own.is_zero() {
            *own = nanos(value);
        }
    };
    if health.test.is_empty() {
        health.test.clone_from(&image.test);
    }
    fill(&mut health.interval, image.interval);
    fill(&mut health.timeout, image.timeout);
    fill(&mut health.start_period, image.start_period);
    fill(&mut health.start_interval, image.start_interval);
    if health.retries == 0 {
        health.retries = u32::try_from(image.retries).unwrap_or(0);
    }
    health
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn entrypoints_and_commands() {
        // (image entrypoint, image cmd, request entrypoint, request cmd) -> what runs
        let check = |image_entry: &str, image_cmd: &str, entry: Option<&str>, cmd: &str, runs: &str| {
            let image = ContainerDefaults {
                entrypoint: words(image_entry),
                cmd: words(image_cmd),
                ..ContainerDefaults::default()
            };
            let mut config = ContainerConfig {
                entrypoint: entry.map(words),
                cmd: words(cmd),
                ..ContainerConfig::default()
            };
            merge(&mut config, &image).unwrap();
            assert_eq!(config.command(), words(runs), "{image_entry}|{image_cmd}|{entry:?}|{cmd}");
        };
        check("", "sh", None, "", "sh");
        check("", "sh", None, "ls -l", "ls -l");
        check("entry", "arg", None, "", "entry arg");
        check("entry", "arg", None, "other", "entry other");
        check("entry", "arg", Some("mine"), "", "mine");
        check("entry", "arg", Some("mine"), "x", "mine x");
        check("entry", "arg", Some(""), "", "");
        check("entry", "arg", Some(""), "x", "x");
    }

    #[test]
    fn environments() {
        let check = |image: &str, request: &str, merged: &str| {
            assert_eq!(merge_env(&words(image), &words(request)), words(merged), "{image} + {request}");
        };
        check("PATH=/bin A=1", "A=2 B=3", "PATH=/bin A=2 B=3");
        check("A=1 B=2", "A", "B=2");
        check("A=1", "C", "A=1");
        check("A=1", "A= A=5", "A=5");
        check("A=x=y", "", "A=x=y");
    }

    #[test]
    fn the_rest_is_filled_in() {
        let image = ContainerDefaults {
            user: "www".into(),
            working_dir: "/srv".into(),
            stop_signal: "SIGQUIT".into(),
            labels: [("a".to_owned(), "image".to_owned()), ("b".to_owned(), "image".to_owned())].into(),
            exposed_ports: words("80 53/udp"),
            volumes: words("/data /other/"),
            ..ContainerDefaults::default()
        };
        let mut config = ContainerConfig::default();
        config.labels.insert("a".into(), "request".into());
        config.mounts.push(Mount {
            kind: MountKind::Tmpfs { size: 0, mode: 0, options: Vec::new() },
            target: "/other".into(),
            read_only: false,
        });
        merge(&mut config, &image).unwrap();
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("www", "/srv"));
        assert_eq!(config.stop_signal.unwrap().number(), 3);
        assert_eq!(config.labels["a"], "request");
        assert_eq!(config.labels["b"], "image");
        assert_eq!(config.network.exposed_ports.len(), 2);
        assert_eq!(config.mounts.len(), 2);
        assert_eq!(config.mounts[1].target, "/data");
        let mut empty = ContainerConfig::default();
        merge(&mut empty, &ContainerDefaults::default()).unwrap();
        assert_eq!(empty.working_dir, "/");
    }
}
