//! A container as it was asked for, and the same with the image's defaults filled in.

use std::collections::BTreeMap;

use ross_types::{ContainerId, ContainerName, Platform};
use serde::{Deserialize, Serialize};

use super::{
    ExtraHost, Healthcheck, LogOptions, Mount, NamespaceMode, NetworkOptions, Resources, RestartPolicy,
    SecurityOptions, Signal, Ulimit,
};

/// Everything that says how to run a container.
///
/// In a request an empty field takes the image's value; in a container that exists they are filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Arguments after the entrypoint.
    pub cmd: Vec<String>,
    /// Set and empty: no entrypoint at all.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`; in a request `KEY` alone removes the image's.
    pub env: Vec<String>,
    /// Absolute path in the container; `/` when nobody says.
    pub working_dir: String,
    /// `user[:group]`, names or numbers; root when empty.
    pub user: String,
    /// The short id when empty.
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// For people and tools.
    pub labels: BTreeMap<String, String>,
    /// Its streams are a terminal.
    pub tty: bool,
    /// Keep stdin open even if nobody is attached.
    pub open_stdin: bool,
    /// Close stdin when the first attached client goes.
    pub stdin_once: bool,
    /// What `stop` sends first; TERM when nobody says.
    pub stop_signal: Option<Signal>,
    /// Seconds between that and KILL; negative waits for ever; 10 when unset.
    pub stop_timeout: Option<i32>,
    /// Remove it when it exits.
    pub auto_remove: bool,
    /// What to do when it exits by itself.
    pub restart: RestartPolicy,
    /// A minimal init as PID 1.
    pub init: bool,
    /// How it is connected.
    pub network: NetworkOptions,
    /// What is mounted besides its root.
    pub mounts: Vec<Mount>,
    /// Bounds and devices.
    pub resources: Resources,
    /// What it may do.
    pub security: SecurityOptions,
    /// Where its output goes.
    pub log: LogOptions,
    /// How to see that it is well.
    pub healthcheck: Option<Healthcheck>,
    /// Further lines of its /etc/hosts.
    pub extra_hosts: Vec<ExtraHost>,
    /// Handed to the runtime as they are.
    pub annotations: BTreeMap<String, String>,
    /// Namespaced kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Size of /dev/shm in bytes; 64 MiB when 0.
    pub shm_size: u64,
    /// Resource limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// -1000 (never) to 1000 (first) when memory runs out.
    pub oom_score_adj: Option<i32>,
    /// PID namespace.
    pub pid_mode: NamespaceMode,
    /// IPC namespace.
    pub ipc_mode: NamespaceMode,
    /// UTS namespace.
    pub uts_mode: NamespaceMode,
    /// Cgroup namespace.
    pub cgroupns_mode: NamespaceMode,
    /// `host`, `auto` or a mapping; the host's when empty.
    pub userns_mode: String,
    /// Supplementary groups, names or numbers.
    pub group_add: Vec<String>,
    /// `container[:ro]`: mount what those have mounted, too.
    pub volumes_from: Vec<String>,
}

impl ContainerConfig {
    /// The main process: entrypoint, then cmd.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        self.entrypoint.iter().flatten().chain(&self.cmd).cloned().collect()
    }

    /// What `stop` sends first.
    #[must_use]
    pub fn stop_signal(&self) -> Signal {
        self.stop_signal.unwrap_or(Signal::TERM)
    }
}

/// A request for a container.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// Generated when absent.
    pub name: Option<ContainerName>,
    /// Image name, id or unambiguous id prefix, as typed.
    pub image: String,
    /// The image must be for this platform; any when absent.
    pub platform: Option<Platform>,
    /// What was asked for.
    pub config: ContainerConfig,
}

/// A container that has come to exist.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Its name, perhaps generated.
    pub name: ContainerName,
    /// Sentences about what was asked for and cannot be had here.
    pub warnings: Vec<String>,
}
