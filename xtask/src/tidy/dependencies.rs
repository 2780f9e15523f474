//! The rules of deny.toml: licences that may be linked, packages that may not, and what stays out of the two small
//! binaries. Read from `cargo metadata` and `cargo tree`, so no further tool is needed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace;

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    small: Small,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

/// Packages that start containers: everything they link is touched on the way to exec.
#[derive(Debug, Deserialize)]
struct Small {
    packages: Vec<String>,
    deny: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    license: Option<String>,
    source: Option<String>,
}

pub fn check() -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace().join("deny.toml")).context("read deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("parse deny.toml")?;
    let metadata: Metadata =
        serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--locked"])?)?;
    let mut complaints = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let license = package.license.as_deref().unwrap_or("");
        if !permitted(license, &rules.licenses.allow) {
            complaints.push(format!("{}: licence `{license}` is not in deny.toml", package.name));
        }
        if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
            complaints.push(format!("{}: banned by deny.toml: {}", package.name, ban.reason));
        }
    }
    for package in &rules.small.packages {
        let tree = cargo(&[
            "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}", "--locked",
        ])?;
        for line in String::from_utf8_lossy(&tree).lines() {
            let name = line.split(' ').next().unwrap_or(line);
            if rules.small.deny.contains(name) {
                complaints
                    .push(format!("{package} links {name}, which deny.toml keeps out of the small binaries"));
            }
        }
    }
    Ok(complaints)
}

/// Whether an SPDX expression can be met by allowed licences: all of AND, any of OR.
fn permitted(expression: &str, allow: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let alternative = |text: &str| text.split(" AND ").all(|license| allow.contains(license.trim()));
    // Every expression met here is either a list of alternatives or a conjunction whose members may be lists.
    plain.split(" OR ").any(alternative)
        || (expression.contains(" AND ")
            && expression.split(" AND ").all(|part| {
                part.replace(['(', ')'], " ").split(" OR ").any(|license| allow.contains(license.trim()))
            }))
}

fn cargo(args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(args)
        .current_dir(workspace())
        .output()
        .context("run cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences() {
        let allow: BTreeSet<String> = ["MIT", "Apache-2.0"].map(str::to_owned).into();
        let check = |text: &str, expected: bool| assert_eq!(permitted(text, &allow), expected, "{text}");
        check("MIT", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("MIT/Apache-2.0", true);
        check("MIT AND GPL-3.0", false);
        check("(MIT OR GPL-3.0) AND Apache-2.0", true);
        check("", false);
    }
}
