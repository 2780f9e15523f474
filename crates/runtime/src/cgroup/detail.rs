//! Counters that only `ross-runtime events` shows, named as the kernel names them.

use std::collections::BTreeMap;

use super::{Cgroup, Controller};

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HugepageStats {
    /// In use.
    pub current: u64,
    /// How often the limit was hit.
    pub failures: u64,
}

impl Cgroup {
    /// All of `memory.stat`; nothing where memory is not counted.
    #[must_use]
    pub fn memory_counters(&self) -> BTreeMap<String, u64> {
        self.counters("memory.stat")
    }

    /// How often the memory limit was hit.
    #[must_use]
    pub fn memory_failures(&self) -> u64 {
        self.counters("memory.events").get("max").copied().unwrap_or(0)
    }

    /// Huge pages by size, such as `2MB`; nothing where they are not counted.
    #[must_use]
    pub fn hugepages(&self) -> BTreeMap<String, HugepageStats> {
        let prefix = format!("{}.", Controller::Hugetlb);
        let names = self.directory.files().unwrap_or_default();
        let size = |name: &String| {
            name.strip_prefix(&prefix)?
                .strip_suffix(".current")
                .filter(|size| !size.contains('.'))
                .map(str::to_owned)
        };
        names
            .iter()
            .filter_map(size)
            .map(|size| {
                let current = self.directory.read(&format!("{prefix}{size}.current")).ok();
                let stats = HugepageStats {
                    current: current.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
                    failures: self
                        .counters(&format!("{prefix}{size}.events"))
                        .get("max")
                        .copied()
                        .unwrap_or(0),
                };
                (size, stats)
            })
            .collect()
    }

    fn counters(&self, file: &str) -> BTreeMap<String, u64> {
        let text = self.directory.read(file).unwrap_or_default();
        let pair = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(pair).collect()
    }
}
