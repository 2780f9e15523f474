//! Measurements as Markdown, and their place in docs/performance.md.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Place;
use super::sample::Measured;
use crate::{host, page};

/// Programs whose versions head the report.
const VERSIONS: [(&str, &[&str]); 6] = [
    ("crun", &["--version"]),
    ("runc", &["--version"]),
    ("podman", &["--version"]),
    ("dockerd", &["--version"]),
    ("containerd", &["--version"]),
    ("skopeo", &["--version"]),
];

/// When, where and with what the tables below were made.
pub fn heading(subjects: &[String], place: &Place) -> Result<String> {
    let date = Command::new("date").arg("+%Y-%m-%d").output().context("date")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let machine = if std::env::var_os("ROSS_VM").is_some() {
        "the test machine (QEMU, plain emulation: ratios count, not milliseconds)"
    } else {
        "the host, in mount and network namespaces of its own"
    };
    let mut versions = Vec::new();
    for (name, args) in VERSIONS {
        if let Some(path) = host::find(name)
            && let Ok(output) = Command::new(path).args(args).output()
        {
            let text = String::from_utf8_lossy(&output.stdout);
            versions.push(text.lines().next().unwrap_or(name).trim().to_owned());
        }
    }
    let disk = if place.in_memory { "all data on a tmpfs" } else { "data on ext4" };
    Ok(format!(
        "{}; kernel {}; {machine}; {disk}; {} samples each, in turn; `cargo xtask bench {}`.\nPeers: {}.\n",
        String::from_utf8_lossy(&date.stdout).trim(),
        kernel.trim(),
        place.samples,
        subjects.join(" "),
        versions.join("; ")
    ))
}

/// A table of wall and CPU time with ratios to `base`.
pub fn table(title: &str, measured: &[Measured], base: &str) -> String {
    let base_wall = measured.iter().find(|one| one.name == base).and_then(Measured::median_wall);
    let mut text = format!(
        "### {title}\n\n| | median ms | min | max | CPU ms | ratio to {base} |\n|---|---|---|---|---|---|\n"
    );
    for one in measured {
        let (Some(median), Some(cpu)) = (one.median_wall(), one.median_cpu()) else {
            let why = one.failed.as_deref().unwrap_or("no samples").replace('|', "/");
            text.push_str(&format!("| {} | not measured: {why} | | | | |\n", one.name));
            continue;
        };
        let ratio = base_wall
            .map_or_else(String::new, |base| format!("{:.2}", median.as_secs_f64() / base.as_secs_f64()));
        let (min, max) = (one.wall.first().map(millis), one.wall.last().map(millis));
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {ratio} |\n",
            one.name,
            millis(&median),
            min.unwrap_or_default(),
            max.unwrap_or_default(),
            millis(&cpu),
        ));
    }
    text
}

fn millis(duration: &Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 100.0 { format!("{millis:.2}") } else { format!("{millis:.0}") }
}

/// Puts `text` between the markers of `section` in docs/performance.md.
pub fn write(text: &str, section: &str) -> Result<()> {
    page::write("performance.md", &format!("bench {section}"), &format!("end {section}"), text)
}
