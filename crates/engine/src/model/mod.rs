//! What the engine talks about: containers as asked for, as resolved, as they are now.
//!
//! Domain types only: `db` decides how they lie on disk, the daemon how they travel. A value of a type with a
//! checking constructor is valid; what depends on other objects (an image, a volume) is checked by `create`.

mod commit;
mod config;
mod container;
mod event;
mod exec;
mod filter;
mod health;
mod limits;
mod logs;
mod mount;
mod namespaces;
mod network;
mod restart;
mod security;
mod signal;
mod state;
mod stats;
mod time;
mod usage;

pub use commit::{CommitRequest, ImportRequest};
pub use config::{ContainerConfig, CreateRequest, Created};
pub use container::{ContainerDetails, ContainerSummary, ListQuery, RemoveOptions, StopOptions};
pub use event::{Event, EventKind};
pub use exec::{
    AttachOptions, ExecConfig, ExecDetails, ExecStart, Exited, OutputEvent, Stream, TerminalSize,
};
pub use filter::{ContainerFilters, Filter};
pub use health::Healthcheck;
pub use limits::{Device, DeviceThrottle, Resources, Ulimit};
pub use logs::{LogDriver, LogEntry, LogOptions, LogQuery};
pub use mount::{Mount, MountKind, Propagation};
pub use namespaces::NamespaceMode;
pub use network::{
    ExtraHost, HostAddress, NetworkMode, NetworkOptions, NetworkStatus, PortMapping, PortSpec, Protocol,
};
pub(crate) use restart::Backoff;
pub use restart::RestartPolicy;
pub use security::{SeccompProfile, SecurityOptions};
pub use signal::Signal;
pub use state::{ContainerState, IllegalTransition, Run, WaitCondition};
pub use stats::{BlockIoStats, ContainerStats, CpuStats, InterfaceStats, MemoryStats, PidsStats, Pressure};
pub use time::Timestamp;
pub use usage::{
    DiskUsage, PruneFilters, PrunedContainers, PrunedImages, PrunedObjects, PrunedVolumes, VolumeUse,
};
