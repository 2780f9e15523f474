//! Where things lie. The layout is told in docs/state.md.

use std::path::{Path, PathBuf};

use ross_types::ContainerId;

/// The directories of one engine.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: PathBuf,
    state: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: &Path, state: &Path) -> Self {
        Self { root: root.to_owned(), state: state.to_owned() }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("ross.db")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container_states(&self) -> PathBuf {
        self.state.join("containers")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Where the root of a container that does not run is mounted for a moment.
    pub(crate) fn merged(&self) -> PathBuf {
        self.state.join("merged")
    }

    /// State of ross-runtime.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.state.join("runtime")
    }

    /// What outlives a reboot.
    pub(crate) fn root_of(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// What does not: bundle, sockets, mount point.
    pub(crate) fn state_of(&self, id: &ContainerId) -> PathBuf {
        self.container_states().join(id.as_str())
    }

    pub(crate) fn rootfs(&self, id: &ContainerId) -> PathBuf {
        self.state_of(id).join("rootfs")
    }

    pub(crate) fn log_dir(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("log")
    }

    pub(crate) fn log(&self, id: &ContainerId) -> PathBuf {
        self.log_dir(id).join("container.log")
    }

    /// There while the container is frozen for a commit.
    pub(crate) fn committing(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("committing")
    }

    pub(crate) fn exit_record(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("exit.json")
    }

    pub(crate) fn hosts(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("hosts")
    }

    pub(crate) fn hostname(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("hostname")
    }

    pub(crate) fn resolv_conf(&self, id: &ContainerId) -> PathBuf {
        self.root_of(id).join("resolv.conf")
    }

    /// The content of a volume whose name was checked.
    pub(crate) fn volume_data(&self, name: &str) -> PathBuf {
        self.volumes().join(name).join("_data")
    }
}
