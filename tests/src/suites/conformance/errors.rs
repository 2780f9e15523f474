//! Configurations that are none: config.md and runtime.md, errors. And those that only look wrong.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::stage::Stage;

pub fn cases() -> Vec<Case> {
    let section = "config.md";
    let wrong = |name, pointer, value: Value| case(name, section).set(pointer, value).refused();
    vec![
        case("config/newer-minor-version", "config.md#specification-version")
            .set("/ociVersion", json!("1.99.0"))
            .is(&["pid"], json!(1)),
        case("config/development-version", "config.md#specification-version")
            .set("/ociVersion", json!("1.2.0-dev"))
            .is(&["pid"], json!(1)),
        wrong("config/unsupported-version", "/ociVersion", json!("2.0.0")),
        wrong("config/version-that-is-none", "/ociVersion", json!("one")),
        case("config/version-missing", section).remove("/ociVersion").refused(),
        case("config/unknown-properties-are-ignored", "config.md#extensibility")
            .set("/somethingNew", json!({"a": [1]}))
            .set("/linux/newer", json!(true))
            .set("/process/newest", json!("x"))
            .is(&["pid"], json!(1)),
        case("config/annotations-of-any-kind", "config.md#annotations")
            .set("/annotations", json!({"org.example": "", "a": "b", "com.example.key": "{}"}))
            .is(&["pid"], json!(1)),
        case("config/not-json", section).steps(|stage| broken(stage, "{\"ociVersion\": ")),
        case("config/empty", section).steps(|stage| broken(stage, "")),
        case("config/no-object", section).steps(|stage| broken(stage, "[1]")),
        case("config/missing-file", "bundle.md").steps(no_config),
        case("config/missing-bundle", "bundle.md").steps(no_bundle),
        wrong("config/args-empty", "/process/args", json!([])),
        case("config/args-missing", section).remove("/process/args").refused(),
        wrong("config/args-of-the-wrong-type", "/process/args", json!("probe")),
        case("config/cwd-missing", section).remove("/process/cwd").refused(),
        wrong("config/uid-negative", "/process/user", json!({"uid": -1, "gid": 0})),
        wrong("config/mounts-of-the-wrong-type", "/mounts", json!({"destination": "/x"})),
        wrong(
            "config/mount-option-of-the-wrong-type",
            "/mounts",
            json!([{"destination": "/x", "type": "tmpfs", "options": [7]}]),
        ),
        wrong("config/env-of-the-wrong-type", "/process/env", json!({"A": "b"})),
        wrong("config/linux-of-the-wrong-type", "/linux", json!([])),
        wrong("config/hook-without-a-path", "/hooks", json!({"createRuntime": [{"args": ["x"]}]})),
        wrong("config/namespace-without-a-type", "/linux/namespaces", json!([{"path": "/proc/self/ns/net"}])),
        wrong("config/root-path-of-the-wrong-type", "/root", json!({"path": 7})),
    ]
}

/// With a bundle of its own, whose config.json is this text.
fn broken(stage: &mut Stage, text: &str) -> Result<()> {
    let dir = stage.bundle.dir.join("broken");
    fs::create_dir_all(dir.join("rootfs"))?;
    fs::write(dir.join("config.json"), text)?;
    refused(stage, &dir.to_string_lossy())
}

fn no_config(stage: &mut Stage) -> Result<()> {
    let dir = stage.bundle.dir.join("empty");
    fs::create_dir(&dir)?;
    refused(stage, &dir.to_string_lossy())
}

fn no_bundle(stage: &mut Stage) -> Result<()> {
    refused(stage, "/no/such/bundle")
}

fn refused(stage: &Stage, bundle: &str) -> Result<()> {
    let output = stage.call(&["create", "--bundle", bundle, "ID"])?;
    ensure!(output.code > 0, "create ended with {}", output.code);
    ensure!(!output.stderr.trim().is_empty(), "it fails without a word");
    stage.is_gone()
}
