//! A crate depends only on crates of lower floors.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace;

/// Package, folder below crates/, floor. DESIGN: the house.
const FLOORS: [(&str, &str, u8); 10] = [
    ("ross-types", "types", 0),
    ("ross-sys", "sys", 0),
    ("ross-api", "api", 0),
    ("ross-runtime", "runtime", 1),
    ("ross-image", "image", 1),
    ("ross-network", "network", 1),
    ("ross-shim", "shim", 2),
    ("ross-engine", "engine", 3),
    ("rossd", "daemon", 4),
    ("ross", "cli", 4),
];

/// The command line knows nothing but the API and the shared nouns.
const CLI_MAY_USE: [&str; 2] = ["ross-api", "ross-types"];

pub fn check() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for entry in fs::read_dir(workspace().join("crates"))? {
        let folder = entry?.file_name().to_string_lossy().into_owned();
        if !FLOORS.iter().any(|(_, known, _)| *known == folder) {
            complaints.push(format!("crates/{folder}: no floor; give it one in xtask/src/tidy/floors.rs"));
        }
    }
    for (package, folder, floor) in FLOORS {
        let path = workspace().join("crates").join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let manifest: toml::Table = text.parse().with_context(|| format!("parse {}", path.display()))?;
        let Some(dependencies) = manifest.get("dependencies").and_then(toml::Value::as_table) else {
            continue;
        };
        for dependency in dependencies.keys() {
            let Some((_, _, below)) = FLOORS.iter().find(|(name, _, _)| name == dependency) else { continue };
            if *below >= floor {
                complaints.push(format!(
                    "crates/{folder}/Cargo.toml: {package} (floor {floor}) depends on {dependency} (floor {below})"
                ));
            }
            if package == "ross" && !CLI_MAY_USE.contains(&dependency.as_str()) {
                complaints
                    .push(format!("crates/{folder}/Cargo.toml: the command line must not know {dependency}"));
            }
        }
    }
    Ok(complaints)
}
