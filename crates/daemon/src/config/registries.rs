//! The tables of registries in the configuration file: `[registries."HOST[:PORT]"]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ross_image::{HostOptions, Hosts, InvalidHost};
use serde::Deserialize;

/// The tables by the names of their registries.
#[derive(Debug, Default, Deserialize)]
pub struct Tables(BTreeMap<String, Table>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    mirrors: Vec<String>,
    insecure: Option<bool>,
    ca: Files,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

/// One file, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a path or a list of paths")]
enum Files {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl Default for Files {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Tables {
    /// Reads the files that are named, and checks everything.
    pub fn check(self) -> Result<Hosts, InvalidHost> {
        let mut hosts = Hosts::default();
        for (registry, table) in self.0 {
            let Table { mirrors, insecure, ca, client_cert, client_key } = table;
            let ca = match ca {
                Files::One(path) => vec![path],
                Files::Several(paths) => paths,
            };
            hosts.add(&registry, &HostOptions { mirrors, insecure, ca, client_cert, client_key })?;
        }
        Ok(hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Hosts, String> {
        let tables: Tables = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        tables.check().map_err(|error| error.to_string())
    }

    #[test]
    fn tables() {
        check("").unwrap();
        check("['docker.io']\nmirrors = ['https://mirror.example', 'cache:5000/hub']\ninsecure = false")
            .unwrap();
        check("['[::1]:5000']\ninsecure = true").unwrap();
        let refused = |text: &str, says: &str| {
            let error = check(text).expect_err(says);
            assert!(error.contains(says), "{error}");
        };
        refused("['x:1']\nca = '/nonexistent.pem'", "registry \"x:1\": ca /nonexistent.pem: No such file");
        refused("['x:1']\nca = ['/a.pem', '/b.pem']", "registry \"x:1\": ca /a.pem");
        refused("['x:1']\nca = 5", "a path or a list of paths");
        refused("['x:1']\nclient_key = '/k'", "registry \"x:1\": client_key needs client_cert");
        refused("['x:1']\nmirrors = ['gopher://y']", "registry \"x:1\": mirror `gopher://y`");
        refused("['x:1']\nmirrors = 'y'", "invalid type");
    }
}
