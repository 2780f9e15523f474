//! A container that exists: what any process may ask of it or do to it, by its state directory.

use std::cell::OnceCell;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use ross_sys::SysError;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::Timespec;

use crate::cgroup::{Cgroup, CgroupPath};
use crate::child::parse_failure;
use crate::error::Error;
use crate::failure::explain;
use crate::plan::HookState;
use crate::resctrl::{self, Group};
use crate::spec::{Hooks, LinuxResources, NamespaceKind, Spec};
use crate::state::{self, ContainerDir, OCI_VERSION, Record, State, Status, hook_state};

/// A container, made by this process or by another.
#[derive(Debug)]
pub struct Container {
    id: String,
    dir: ContainerDir,
    record: Record,
    cgroup: OnceCell<Cgroup>,
    hooks: OnceCell<Hooks>,
}

const SIGKILL: i32 = 9;

/// How long a killed process may take to be gone.
const LEAVE: Duration = Duration::from_secs(10);

impl Container {
    pub(crate) fn new(id: &str, dir: ContainerDir, record: Record, cgroup: Cgroup, hooks: Hooks) -> Self {
        Self { id: id.to_owned(), dir, record, cgroup: OnceCell::from(cgroup), hooks: OnceCell::from(hooks) }
    }

    /// Finds a container by its name below the runtime's root.
    ///
    /// # Errors
    /// When there is none, or its state cannot be read.
    pub fn open(root: &Path, id: &str) -> Result<Self, Error> {
        let dir = ContainerDir::of(root, id)?;
        let record = dir.read(id)?;
        Ok(Self { id: id.to_owned(), dir, record, cgroup: OnceCell::new(), hooks: OnceCell::new() })
    }

    /// Removes what an aborted create left under a name: a directory without a state. Nothing is fine too.
    ///
    /// # Errors
    /// When there is a container of that name, or the directory cannot be removed.
    pub fn remove_leftover(root: &Path, id: &str) -> Result<(), Error> {
        let dir = ContainerDir::of(root, id)?;
        match dir.read(id) {
            Err(Error::NotFound(_)) => dir.remove(),
            _ => Err(Error::AlreadyExists(id.to_owned())),
        }
    }

    /// The states of all containers below a root, by name.
    ///
    /// # Errors
    /// When the root cannot be read. Containers that vanish meanwhile are left out.
    pub fn list(root: &Path) -> Result<Vec<State>, Error> {
        let containers = state::ids(root)?.into_iter().filter_map(|id| Self::open(root, &id).ok());
        containers.map(|container| container.state()).collect()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Id of its first process, whether that still runs or not.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.record.pid
    }

    /// Its state now.
    ///
    /// # Errors
    /// When the cgroup cannot be read.
    pub fn state(&self) -> Result<State, Error> {
        let status = self.status()?;
        Ok(State {
            oci_version: OCI_VERSION.to_owned(),
            id: self.id.clone(),
            pid: if status == Status::Stopped { 0 } else { self.record.pid },
            status,
            bundle: self.record.bundle.clone(),
            rootfs: self.record.rootfs.clone(),
            created: self.record.created.clone(),
            annotations: self.record.annotations.clone(),
            owner: String::new(),
        })
    }

    /// The configuration it was created from.
    ///
    /// # Errors
    /// When the state directory is gone or damaged.
    pub fn config(&self) -> Result<Spec, Error> {
        self.dir.read_config(&self.id)
    }

    /// Its cgroup.
    ///
    /// # Errors
    /// When it is gone, as after the machine was started anew.
    pub fn cgroup(&self) -> Result<&Cgroup, Error> {
        if let Some(cgroup) = self.cgroup.get() {
            return Ok(cgroup);
        }
        let path = CgroupPath::new(&self.record.cgroup).map_err(Error::Cgroup)?;
        let cgroup = Cgroup::open(&path).map_err(Error::Cgroup)?.of_unit(self.record.unit.clone());
        Ok(self.cgroup.get_or_init(|| cgroup))
    }

    /// Its group of resctrl.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.record.resctrl.as_ref()
    }

    pub(crate) fn status(&self) -> Result<Status, Error> {
        if !self.is_alive() {
            return Ok(Status::Stopped);
        }
        if self.cgroup().is_ok_and(|cgroup| cgroup.is_frozen().unwrap_or(false)) {
            return Ok(Status::Paused);
        }
        Ok(if self.dir.waits() { Status::Created } else { Status::Running })
    }

    /// Whether the first process is there, and is the one that was created.
    fn is_alive(&self) -> bool {
        state::process_stat(self.record.pid).is_some_and(|stat| {
            stat.start_time == self.record.start_time && !matches!(stat.state, b'Z' | b'X')
        })
    }

    /// A handle of the first process; `None` when that is gone.
    pub(crate) fn pidfd(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(pid) = Pid::from_raw(self.record.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Held now: the number cannot be reused any more, so what is alive behind it is the one.
            Ok(pidfd) => Ok(self.is_alive().then_some(pidfd)),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(SysError::new("pidfd_open", errno).with(self.record.pid.to_string()).into()),
        }
    }

    pub(crate) fn wrong_status(&self, operation: &'static str, status: Status) -> Error {
        Error::WrongStatus { id: self.id.clone(), operation, status }
    }

    /// Executes the program of a container that waits for it.
    ///
    /// # Errors
    /// When it does not wait, when the program cannot be executed, or when a hook fails.
    pub fn start(&self) -> Result<(), Error> {
        let _lock = self.dir.lock(&self.id)?;
        self.expect_created()?;
        self.open_gate()
    }

    /// The same, and hands out the socket on which the program says by sd_notify(3) that it is ready; none, if it was
    /// promised none at create. Under one lock, so that a second starter does not take the socket from the first.
    ///
    /// # Errors
    /// As [`start`](Self::start), or when the socket cannot be bound.
    pub fn start_listening(&self) -> Result<Option<UnixDatagram>, Error> {
        let _lock = self.dir.lock(&self.id)?;
        self.expect_created()?;
        let socket = crate::service::bind_notify(&self.dir.notify())?;
        self.open_gate()?;
        Ok(socket)
    }

    fn expect_created(&self) -> Result<(), Error> {
        match self.status()? {
            Status::Created => Ok(()),
            status => Err(self.wrong_status("start", status)),
        }
    }

    fn open_gate(&self) -> Result<(), Error> {
        let Some(gate) = self.dir.open_gate()? else {
            // Its starter died after it had opened the gate.
            self.dir.remove_gate();
            return Err(self.wrong_status("start", self.status()?));
        };
        let failed = |errno| SysError::new("start gate", errno);
        rustix::fs::fcntl_setfl(&gate.report, rustix::fs::OFlags::empty()).map_err(failed)?;
        rustix::io::write(&gate.start, &[1]).map_err(failed)?;
        let mut report = [0_u8; 8];
        let read = loop {
            match rustix::io::read(&gate.report, &mut report) {
                Err(Errno::INTR) => {}
                result => break result.map_err(failed)?,
            }
        };
        self.dir.remove_gate();
        if read > 0 {
            let Some(failure) = parse_failure(report).filter(|_| read == report.len()) else {
                return Err(Error::Died("start"));
            };
            let config = self.config()?;
            let process = config.process.clone().unwrap_or_default();
            return Err(explain(failure, &config, &process));
        }
        self.run_poststart()
    }

    fn run_poststart(&self) -> Result<(), Error> {
        let hooks = &self.hooks()?.poststart;
        if hooks.is_empty() {
            return Ok(());
        }
        let state = self.hook_state(Status::Running);
        crate::hooks::run("poststart", hooks, &state, self.record.pid).inspect_err(|_| {
            // runtime.md, step 10: the container is stopped. That it has just ended by itself is as good.
            let _ = self.kill(SIGKILL, true);
        })
    }

    /// Its state as hooks and agents are told of it.
    pub(crate) fn hook_state(&self, status: Status) -> HookState {
        hook_state(&self.id, &self.record.bundle, &self.record.annotations, status)
    }

    /// The hooks of its configuration.
    fn hooks(&self) -> Result<&Hooks, Error> {
        match self.hooks.get() {
            Some(hooks) => Ok(hooks),
            None => {
                let hooks = self.dir.read_hooks(&self.id)?;
                Ok(self.hooks.get_or_init(|| hooks))
            }
        }
    }

    /// Sends a signal to the first process, or to all processes of the container. SIGKILL goes to all where the pid
    /// namespace is not the container's own, since the kernel would end only the first.
    ///
    /// # Errors
    /// When the container is stopped; with `all` that is fine.
    pub fn kill(&self, signal: i32, all: bool) -> Result<(), Error> {
        let shares = || self.config().is_ok_and(|config| !config.linux().makes(NamespaceKind::Pid));
        if all || signal == SIGKILL && shares() {
            return self.kill_all(signal);
        }
        let Some(pidfd) = self.pidfd()? else { return Err(self.wrong_status("kill", Status::Stopped)) };
        match ross_sys::pidfd::send_signal(pidfd.as_fd(), signal) {
            Err(Errno::SRCH) => Err(self.wrong_status("kill", Status::Stopped)),
            result => result
                .map_err(|errno| SysError::new("pidfd_send_signal", errno).with(signal.to_string()).into()),
        }
    }

    fn kill_all(&self, signal: i32) -> Result<(), Error> {
        let cgroup = match self.cgroup() {
            Err(Error::Cgroup(error)) if error.is_absent() => return Ok(()),
            result => result?,
        };
        if signal == SIGKILL {
            return cgroup.kill().map_err(Error::Cgroup);
        }
        for pid in cgroup.pids().map_err(Error::Cgroup)?.into_iter().filter(|&pid| pid > 0) {
            match ross_sys::pidfd::kill(pid, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => {
                    return Err(SysError::new("kill", errno).with(format!("{pid}, {signal}")).into());
                }
            }
        }
        Ok(())
    }

    /// Removes a container that is stopped or was never started, or with `force` any.
    ///
    /// # Errors
    /// When it runs and `force` is not given, or when something of it cannot be removed: it can be repeated then.
    pub fn delete(self, force: bool) -> Result<(), Error> {
        let _lock = self.dir.lock(&self.id)?;
        let status = self.status()?;
        if !force && !matches!(status, Status::Stopped | Status::Created) {
            return Err(self.wrong_status("delete", status));
        }
        let pidfd = self.pidfd()?;
        // Whose state is damaged can be removed all the same.
        let hooks = self.hooks().map(|hooks| hooks.poststop.clone()).unwrap_or_default();
        if let Some(pidfd) = &pidfd {
            let _ = ross_sys::pidfd::send_signal(pidfd.as_fd(), SIGKILL);
            // A frozen process dies when its whole cgroup is killed.
            if let Ok(cgroup) = self.cgroup() {
                cgroup.kill().map_err(Error::Cgroup)?;
            }
            wait_for_exit(pidfd, &self.id)?;
        }
        match self.cgroup() {
            Err(Error::Cgroup(error)) if error.is_absent() => {
                // systemd has removed the cgroup, and remembers the unit if it failed.
                if let Some(unit) = &self.record.unit {
                    crate::cgroup::forget_unit(unit).map_err(Error::Cgroup)?;
                }
            }
            result => drop(result?),
        }
        let state = self.hook_state(Status::Stopped);
        if let Some(cgroup) = self.cgroup.into_inner() {
            cgroup.remove().map_err(Error::Cgroup)?;
        }
        if let Some(group) = &self.record.resctrl {
            group.remove()?;
        }
        self.dir.remove()?;
        // The container is gone whatever they say: runtime.md has them logged, and goes on.
        match crate::hooks::run_all("poststop", &hooks, &state, 0).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Freezes its processes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), Error> {
        match self.status()? {
            Status::Running | Status::Created => self.cgroup()?.freeze().map_err(Error::Cgroup),
            status => Err(self.wrong_status("pause", status)),
        }
    }

    /// Lets its processes go on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&self) -> Result<(), Error> {
        match self.status()? {
            Status::Paused => self.cgroup()?.thaw().map_err(Error::Cgroup),
            status => Err(self.wrong_status("resume", status)),
        }
    }

    /// Changes the limits that `resources` has, and leaves the others.
    ///
    /// # Errors
    /// When it is stopped, or a limit cannot be set.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), Error> {
        match self.status()? {
            Status::Stopped => Err(self.wrong_status("update", Status::Stopped)),
            _ => self.cgroup()?.apply(resources).map_err(Error::Cgroup),
        }
    }

    /// Changes its shares of caches and memory bandwidth: lines for `schemata` of resctrl.
    ///
    /// # Errors
    /// When it is stopped or has no group, the machine shares out neither, or the kernel refuses it.
    pub fn update_shares(&self, cache: Option<&str>, bandwidth: Option<&str>) -> Result<(), Error> {
        let refuse = |reason: &str| Err(Error::Options(reason.to_owned()));
        if self.status()? == Status::Stopped {
            return Err(self.wrong_status("update", Status::Stopped));
        }
        if cache.is_some() && !resctrl::shares_out(&["L3", "L3CODE", "L3DATA"]) {
            return refuse("Intel RDT/CAT: l3 cache schema is not enabled");
        }
        if bandwidth.is_some() && !resctrl::shares_out(&["MB"]) {
            return refuse("Intel RDT/MBA: memory bandwidth schema is not enabled");
        }
        match self.group() {
            Some(group) => group.update(cache, bandwidth),
            None => refuse("the container was created without linux.intelRdt, and has no group of its own"),
        }
    }
}

/// Waits until a killed process is dead; its parent may not have reaped it.
fn wait_for_exit(pidfd: &OwnedFd, id: &str) -> Result<(), Error> {
    let deadline = Instant::now() + LEAVE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 10, tv_nsec: 0 });
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&left)) {
            Err(Errno::INTR) => {}
            Ok(0) => {
                return Err(Error::Setup {
                    step: format!("wait for the killed process of container `{id}`"),
                    errno: Errno::TIMEDOUT,
                });
            }
            result => {
                return result.map(drop).map_err(|errno| SysError::new("poll", errno).into());
            }
        }
    }
}
