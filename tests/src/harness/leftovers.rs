//! What a run may leave behind on a machine: mounts, cgroups, links, namespaces, nft tables, processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// Everything of that kind that is there now, each as a line for people.
#[derive(Debug)]
pub struct Leftovers(BTreeSet<String>);

impl Leftovers {
    pub fn look() -> Result<Self> {
        let mut seen = BTreeSet::new();
        for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
            if let Some(point) = line.split(' ').nth(4) {
                seen.insert(format!("mount {point}"));
            }
        }
        for root in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            if Path::new(root).join("cgroup.controllers").exists() {
                cgroups(Path::new(root), &mut seen);
                break;
            }
        }
        for entry in fs::read_dir("/sys/class/net")? {
            seen.insert(format!("link {}", entry?.file_name().to_string_lossy()));
        }
        if let Ok(output) = Command::new("nft").args(["list", "tables"]).output() {
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                seen.insert(format!("nft {line}"));
            }
        }
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                if comm.starts_with("ross") && comm.trim() != "ross-tests" {
                    seen.insert(format!("process {name} {}", comm.trim()));
                }
            }
        }
        Ok(Self(seen))
    }

    /// As [`Leftovers::compare`] while a daemon runs, which keeps a few endpoints ready and makes them when it likes.
    pub fn compare_beside_daemon(&self, after: &Self) -> Vec<String> {
        let ready = |line: &String| line.starts_with("link rv") || line.contains("/state/netns/");
        self.compare(after).into_iter().filter(|line| !ready(line)).collect()
    }

    /// What is there in `after` and was not before.
    pub fn compare(&self, after: &Self) -> Vec<String> {
        // The bridge and the rules serve the next container; they go with the daemon's network namespace.
        let kept = |line: &&String| {
            !matches!(line.as_str(), "link ross0" | "nft table inet ross" | "nft table ip ross")
        };
        after.0.difference(&self.0).filter(kept).cloned().collect()
    }
}

fn cgroups(dir: &Path, seen: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            seen.insert(format!("cgroup {}", entry.path().display()));
            cgroups(&entry.path(), seen);
        }
    }
}
