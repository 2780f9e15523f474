//! `process.apparmorProfile`, with a profile loaded for the case.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::stage::Stage;

const NAME: &str = "ross-conformance";

/// All is allowed but one file.
const PROFILE: &str = "\
profile ross-conformance flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  umount,
  signal,
  ptrace,
  unix,
  deny /etc/denied r,
}
";

/// The process is confined, by the profile in enforce mode.
pub fn enters_its_profile(stage: &mut Stage) -> Result<()> {
    let file = stage.bundle.dir.join("profile");
    fs::write(&file, PROFILE)?;
    fs::write(stage.bundle.dir.join("rootfs/etc/denied"), "secret")?;
    let parser = |option: &str| -> Result<()> {
        let status = Command::new("apparmor_parser").arg("--skip-cache").arg(option).arg(&file).status();
        ensure!(status.context("run apparmor_parser")?.success(), "apparmor_parser {option} failed");
        Ok(())
    };
    parser("--replace")?;
    stage.bundle.set("/process/apparmorProfile", json!(NAME));
    stage.words(&["read=/etc/denied", "read=/etc/passwd"]);
    let output = stage.run();
    parser("--remove")?;
    let report = Stage::report(&output?.ok()?.stdout)?;
    ensure!(report["label"] == format!("{NAME} (enforce)"), "it runs under {}", report["label"]);
    ensure!(report["asked"]["read=/etc/denied"]["errno"] == 13, "{}", report["asked"]);
    ensure!(report["asked"]["read=/etc/passwd"].get("ok").is_some(), "{}", report["asked"]);
    Ok(())
}
