//! The container, by way of the runtime: created, signalled, frozen, asked whether memory ran out, deleted.

use std::os::fd::OwnedFd;

use ross_runtime::{
    CgroupDriver, Container, CreateOptions, Created, ExecOptions, Executed, Process, Release, Stdio, spec,
};
use ross_sys::error::with_sources;
use ross_types::ErrorKind;

use super::oom::OomScore;
use super::session::set_size;
use crate::config::ShimConfig;
use crate::protocol::TerminalSize;

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl From<ross_runtime::Error> for Failure {
    fn from(error: ross_runtime::Error) -> Self {
        Self { kind: error.kind(), text: with_sources(&error) }
    }
}

/// Creates the container and runs its program. What the runtime needed for that is freed when this returns.
pub(super) fn create(
    config: &ShimConfig,
    stdio: Stdio,
    size: Option<TerminalSize>,
    oom_score: &OomScore,
) -> Result<(Container, Process, Option<OwnedFd>), Failure> {
    // A program that asks its terminal's size at once must get the right answer: it is held back until that
    // is set.
    let release = if size.is_some() { Release::OnStart } else { Release::AtOnce };
    let ordinary = oom_score.lift();
    let created = ross_runtime::create(CreateOptions {
        stdio,
        preserve_fds: 0,
        no_pivot: false,
        no_new_keyring: false,
        cgroup_driver: CgroupDriver::Cgroupfs,
        release,
        pid_file: None,
        ..CreateOptions::new(&config.id, &config.runtime_root, &config.bundle)
    });
    drop(ordinary);
    let Created { container, console, process, .. } = created?;
    if let Some(size) = size {
        if let Some(master) = &console {
            // A terminal without a size works.
            let _ = set_size(master, size);
        }
        if let Err(error) = container.start() {
            let failure = Failure::from(error);
            // What failed is told; what is left behind then is found by the next reconciliation.
            let _ = container.delete(true);
            return Err(failure);
        }
    }
    Ok((container, process, console))
}

/// Runs another program in the container.
pub(super) fn exec(
    container: &Container,
    process: &str,
    size: Option<TerminalSize>,
    stdio: Stdio,
    oom_score: &OomScore,
) -> Result<(Process, Option<OwnedFd>), Failure> {
    let mut process: spec::Process = serde_json::from_str(process)
        .map_err(|error| Failure::new(ErrorKind::InvalidArgument, format!("process of the exec: {error}")))?;
    process.terminal = matches!(stdio, Stdio::Terminal);
    if let Some(size) = size {
        process.console_size =
            Some(spec::ConsoleSize { height: u32::from(size.rows), width: u32::from(size.cols) });
    }
    let ordinary = oom_score.lift();
    let executed = container.exec(ExecOptions { stdio, ..ExecOptions::new(process) });
    drop(ordinary);
    let Executed { process, console, .. } = executed?;
    Ok((process, console))
}

/// Whether the kernel killed a process of the container for want of memory.
pub(super) fn was_oom_killed(container: &Container) -> bool {
    let events = container.cgroup().ok().and_then(|cgroup| cgroup.oom_events().ok());
    events.is_some_and(|events| events.oom_kill > 0)
}

/// Ends every process of the container.
pub(super) fn kill_all(container: &Container) -> Result<(), Failure> {
    let cgroup = container.cgroup()?;
    cgroup.kill().map_err(|error| Failure::new(error.kind(), with_sources(&error)))
}

/// Changes the container's limits.
pub(super) fn update(container: &Container, resources: &str) -> Result<(), Failure> {
    let resources: spec::LinuxResources = serde_json::from_str(resources)
        .map_err(|error| Failure::new(ErrorKind::InvalidArgument, format!("resources: {error}")))?;
    Ok(container.update(&resources)?)
}
