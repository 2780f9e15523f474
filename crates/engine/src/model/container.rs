//! Containers as `list` and `inspect` show them, and the options of the calls that change them.

use std::path::PathBuf;
use std::sync::Arc;

use ross_types::{ContainerId, ContainerName, Digest};

use super::{ContainerConfig, ContainerFilters, NetworkStatus, Run, Signal, Timestamp};

/// A row of `list`.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// The image as typed at create.
    pub image: String,
    /// The image's id.
    pub image_id: Digest,
    /// What it was created with, the image's defaults filled in.
    pub config: Arc<ContainerConfig>,
    /// When it was created.
    pub created: Timestamp,
    /// State and exit of the present or last run.
    pub run: Run,
    /// For people: `Up 3 minutes`, `Exited (0) 2 hours ago`.
    pub status: String,
    /// How it is connected now.
    pub network: NetworkStatus,
    /// Bytes in its writable layer, when asked for.
    pub size_rw: Option<u64>,
    /// Bytes in its writable layer and its image, when asked for.
    pub size_root: Option<u64>,
}

/// What `inspect` shows.
#[derive(Debug, Clone)]
pub struct ContainerDetails {
    /// The row of `list`.
    pub summary: ContainerSummary,
    /// Its log file on the host.
    pub log_path: PathBuf,
    /// Where its root is mounted while it runs.
    pub rootfs_path: PathBuf,
    /// Host path of its /etc/hosts.
    pub hosts_path: PathBuf,
    /// Host path of its /etc/hostname.
    pub hostname_path: PathBuf,
    /// Host path of its /etc/resolv.conf.
    pub resolv_conf_path: PathBuf,
    /// Execs that exist in it.
    pub exec_ids: Vec<ContainerId>,
}

/// Which containers `list` shows.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Those that do not run, too. Filters on state imply it.
    pub all: bool,
    /// The newest N, running or not; 0 is no bound.
    pub limit: u32,
    /// All must hold.
    pub filters: ContainerFilters,
    /// Measure the writable layers.
    pub size: bool,
}

/// How to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct StopOptions {
    /// Seconds; negative waits for ever; the container's own when absent.
    pub timeout: Option<i32>,
    /// The container's own when absent.
    pub signal: Option<Signal>,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Its anonymous volumes, too.
    pub volumes: bool,
}
