//! What this host offers, read once.

use std::path::Path;

use crate::engine::OpenFiles;

/// Facts about the host that do not change while the engine runs.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    controllers: Vec<String>,
    cpus: usize,
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
        Self { controllers: text.split_whitespace().map(str::to_owned).collect(), cpus, open_files }
    }

    /// Whether limits of this cgroup v2 controller can be enforced.
    pub(crate) fn has_controller(&self, name: &str) -> bool {
        self.controllers.iter().any(|have| have == name)
    }

    pub(crate) fn cpus(&self) -> usize {
        self.cpus
    }

    pub(crate) fn open_files(&self) -> Option<OpenFiles> {
        self.open_files
    }

    #[cfg(test)]
    pub(crate) fn fake(controllers: &[&str]) -> Self {
        Self {
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            cpus: 2,
            open_files: None,
        }
    }
}
