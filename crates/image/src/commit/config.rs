//! The configuration and manifest of an image that is made here.
//!
//! A configuration is that of the image below with what is new put in: what ross does not know of it stays, but for
//! the leftovers of old builders (`container`, `container_config`, `docker_version`), which speak of another image.

use std::collections::BTreeMap;

use ross_types::{DiffId, Platform};
use serde_json::{Map, Value, json};

use super::NewImage;
use crate::manifest::{ContainerDefaults, Healthcheck};

/// Leftovers that a child must not inherit.
const OF_PARENT_ONLY: [&str; 4] = ["container", "container_config", "docker_version", "id"];

/// The configuration's bytes.
pub(super) fn config(new: &NewImage, layers: &[DiffId]) -> Vec<u8> {
    let base = new.base.as_ref();
    let below = base.and_then(|base| serde_json::from_slice(&base.raw_config).ok());
    let mut document: Map<String, Value> = below.unwrap_or_default();
    for key in OF_PARENT_ONLY {
        document.remove(key);
    }
    if base.is_none() {
        platform(&mut document, &new.platform);
    }
    document.insert("created".to_owned(), json!(new.created));
    document.insert("author".to_owned(), json!(new.author));
    let mut defaults = match document.remove("config") {
        Some(Value::Object(defaults)) => defaults,
        _ => Map::new(),
    };
    put_defaults(&mut defaults, &new.config);
    document.insert("config".to_owned(), Value::Object(defaults));
    let diff_ids: Vec<String> = layers.iter().map(ToString::to_string).collect();
    document.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diff_ids}));
    let mut history = match document.remove("history") {
        Some(Value::Array(history)) => history,
        _ => Vec::new(),
    };
    history.push(step(new));
    document.insert("history".to_owned(), Value::Array(history));
    Value::Object(document).to_string().into_bytes()
}

fn platform(document: &mut Map<String, Value>, platform: &Platform) {
    document.insert("os".to_owned(), json!(platform.os));
    document.insert("architecture".to_owned(), json!(platform.architecture));
    if let Some(variant) = &platform.variant {
        document.insert("variant".to_owned(), json!(variant));
    }
}

/// The entry of the history; what is empty is left out, as everywhere.
fn step(new: &NewImage) -> Value {
    let mut step = Map::new();
    step.insert("created".to_owned(), json!(new.created));
    for (key, text) in [("created_by", &new.created_by), ("author", &new.author), ("comment", &new.comment)] {
        if !text.is_empty() {
            step.insert(key.to_owned(), json!(text));
        }
    }
    if new.layer.is_none() {
        step.insert("empty_layer".to_owned(), json!(true));
    }
    Value::Object(step)
}

/// Puts a container's defaults into the object that Docker has for them; what is empty goes.
fn put_defaults(object: &mut Map<String, Value>, defaults: &ContainerDefaults) {
    let set = |keys: &[String]| -> Value {
        keys.iter().map(|key| (key.clone(), json!({}))).collect::<Map<_, _>>().into()
    };
    let mut put = |key: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
            _ => false,
        };
        if empty {
            object.remove(key);
        } else {
            object.insert(key.to_owned(), value);
        }
    };
    put("User", json!(defaults.user));
    put("ExposedPorts", set(&defaults.exposed_ports));
    put("Env", json!(defaults.env));
    put("Entrypoint", json!(defaults.entrypoint));
    put("Cmd", json!(defaults.cmd));
    put("Volumes", set(&defaults.volumes));
    put("WorkingDir", json!(defaults.working_dir));
    put("Labels", json!(defaults.labels));
    put("StopSignal", json!(defaults.stop_signal));
    put("StopTimeout", defaults.stop_timeout.map_or(Value::Null, |seconds| json!(seconds)));
    put("Healthcheck", defaults.healthcheck.as_ref().map_or(Value::Null, healthcheck));
    put("Shell", json!(defaults.shell));
    put("OnBuild", json!(defaults.on_build));
    // Said of a command line of Windows, and of the command that was replaced.
    object.remove("ArgsEscaped");
}

fn healthcheck(health: &Healthcheck) -> Value {
    let mut object: BTreeMap<&str, Value> = BTreeMap::from([("Test", json!(health.test))]);
    let numbers = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
        ("Retries", health.retries),
    ];
    object.extend(
        numbers.into_iter().filter(|(_, number)| *number != 0).map(|(key, number)| (key, json!(number))),
    );
    json!(object)
}

/// The OCI media type of a layer that goes by `media_type` in the manifest below; packing stays what it is.
pub(super) fn layer_type(media_type: &str) -> String {
    let (docker, foreign) = match media_type.strip_prefix("application/vnd.docker.image.rootfs.") {
        Some(rest) => (true, rest.starts_with("foreign.")),
        None => (false, false),
    };
    if !docker {
        return media_type.to_owned();
    }
    let packing = match media_type.rsplit('.').next() {
        Some("gzip") => "+gzip",
        Some("zstd") => "+zstd",
        _ => "",
    };
    let kind = if foreign { "layer.nondistributable.v1.tar" } else { "layer.v1.tar" };
    format!("application/vnd.oci.image.{kind}{packing}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ImageConfig;

    fn new_image() -> NewImage {
        NewImage {
            base: None,
            layer: None,
            config: ContainerDefaults::default(),
            created: "2026-01-02T03:04:05.000000006Z".to_owned(),
            author: String::new(),
            comment: String::new(),
            created_by: String::new(),
            platform: Platform::host(),
            reference: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let config = ContainerDefaults {
            user: "www".into(),
            exposed_ports: vec!["80/tcp".into()],
            env: vec!["A=b".into()],
            entrypoint: vec!["/e".into()],
            cmd: vec!["c".into()],
            volumes: vec!["/v".into()],
            working_dir: "/w".into(),
            labels: [("l".to_owned(), String::new())].into(),
            stop_signal: "SIGQUIT".into(),
            stop_timeout: Some(3),
            healthcheck: Some(Healthcheck {
                test: vec!["NONE".into()],
                retries: 2,
                ..Healthcheck::default()
            }),
            shell: vec!["/bin/ash".into()],
            on_build: vec!["RUN x".into()],
        };
        let new = NewImage {
            config: config.clone(),
            author: "me".into(),
            comment: "why".into(),
            created_by: "sh".into(),
            ..new_image()
        };
        let diff_id = DiffId(ross_types::Digest::sha256([7; 32]));
        let read = ImageConfig::parse(&super::config(&new, std::slice::from_ref(&diff_id))).unwrap();
        assert_eq!(read.config, config);
        assert_eq!(read.created.as_ref(), Some(&new.created));
        assert_eq!(read.platform().unwrap(), Platform::host());
        assert_eq!(read.rootfs.diff_ids, [diff_id]);
        let [step] = &read.history[..] else { panic!("{:?}", read.history) };
        assert_eq!(
            (step.author.as_str(), step.comment.as_str(), step.created_by.as_str()),
            ("me", "why", "sh")
        );
        assert!(step.empty_layer);
    }

    #[test]
    fn what_is_not_known_of_the_image_below_stays() {
        let raw = br#"{"architecture":"riscv64","os":"linux","os.features":["x"],"container":"old","docker_version":"1",
            "config":{"Env":["A=1"],"Odd":true,"Cmd":["sh"],"ArgsEscaped":true},
            "history":[{"created_by":"first"}],"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let base = crate::Image {
            record: crate::ImageRecord {
                id: ross_types::Digest::sha256([1; 32]),
                manifest: ross_types::Digest::sha256([2; 32]),
                media_type: String::new(),
                platform: Platform::host(),
                layers: Vec::new(),
                size: 0,
                created: None,
                pulled_at: 0,
                references: Vec::new(),
            },
            config: ImageConfig::parse(raw).unwrap(),
            raw_config: raw.to_vec(),
            damaged: None,
        };
        let new = NewImage { base: Some(base), ..new_image() };
        let document: Value = serde_json::from_slice(&super::config(&new, &[])).unwrap();
        assert_eq!(document["architecture"], "riscv64", "of the image below, not of this host");
        assert_eq!(document["os.features"], json!(["x"]));
        assert_eq!(document["config"], json!({"Odd": true}), "an empty value replaces one that is not");
        assert_eq!(document["history"].as_array().unwrap().len(), 2);
        assert!(document.get("container").is_none() && document.get("docker_version").is_none());
    }

    #[test]
    fn media_types() {
        let check =
            |from: &str, to: &str| assert_eq!(layer_type(from), format!("application/vnd.{to}"), "{from}");
        check("application/vnd.docker.image.rootfs.diff.tar.gzip", "oci.image.layer.v1.tar+gzip");
        check("application/vnd.docker.image.rootfs.diff.tar", "oci.image.layer.v1.tar");
        check("application/vnd.docker.image.rootfs.diff.tar.zstd", "oci.image.layer.v1.tar+zstd");
        check(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "oci.image.layer.nondistributable.v1.tar+gzip",
        );
        check("application/vnd.oci.image.layer.v1.tar+zstd", "oci.image.layer.v1.tar+zstd");
    }
}
