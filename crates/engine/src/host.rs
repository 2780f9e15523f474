//! What this host offers, read once.

use std::path::Path;

use crate::engine::OpenFiles;

/// Facts about the host that do not change while the engine runs.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    controllers: Vec<String>,
    cpus: usize,
    /// The daemon's bounding set, a bit for each: nothing that it starts can have more.
    capabilities: u64,
    /// Of a container that does not say otherwise.
    open_files: Option<OpenFiles>,
}

impl Host {
    /// Reads them.
    pub(crate) fn read(open_files: Option<OpenFiles>) -> Self {
        // On a hybrid host the v2 hierarchy lies one deeper, mostly without controllers.
        let mounts = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"];
        let text =
            mounts.iter().find_map(|path| std::fs::read_to_string(Path::new(path)).ok()).unwrap_or_default();
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            controllers: text.split_whitespace().map(str::to_owned).collect(),
            cpus,
            // Where it cannot be read the runtime finds out what is missing.
            capabilities: bounding_set(&status).unwrap_or(u64::MAX),
            open_files,
        }
    }

    /// Whether limits of this cgroup v2 controller can be enforced.
    pub(crate) fn has_controller(&self, name: &str) -> bool {
        self.controllers.iter().any(|have| have == name)
    }

    pub(crate) fn cpus(&self) -> usize {
        self.cpus
    }

    /// Whether processes can be given the capability of this number.
    pub(crate) fn has_capability(&self, number: usize) -> bool {
        u32::try_from(number)
            .ok()
            .and_then(|bit| self.capabilities.checked_shr(bit))
            .is_some_and(|set| set & 1 == 1)
    }

    pub(crate) fn open_files(&self) -> Option<OpenFiles> {
        self.open_files
    }

    #[cfg(test)]
    pub(crate) fn fake(controllers: &[&str]) -> Self {
        Self {
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            cpus: 2,
            capabilities: u64::MAX,
            open_files: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn without_capability(number: u32) -> Self {
        Self { capabilities: !(1 << number), ..Self::fake(&[]) }
    }
}

/// `CapBnd` of a process's status, proc_pid_status(5).
fn bounding_set(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounding_sets() {
        assert_eq!(
            bounding_set("CapEff:\t1\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n"),
            Some(0x1ff_feff_ffff)
        );
        assert_eq!(bounding_set("CapBnd:\tno\n"), None);
        assert_eq!(bounding_set(""), None);
        let host = Host::without_capability(24);
        assert!(host.has_capability(23) && !host.has_capability(24) && host.has_capability(40));
        assert!(!host.has_capability(64));
    }
}
