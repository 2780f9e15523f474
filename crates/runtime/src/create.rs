//! Create: configuration to cgroup, plan, child, state; everything is undone when a step fails.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use ross_sys::SysError;
use ross_sys::clone::{Child, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{
    DumpableBehavior, Pid, Rlimit, WaitId, WaitIdOptions, getrlimit, prlimit, set_dumpable_behavior, waitid,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::agent;
use crate::cgroup::{Cgroup, CgroupPath, Scope};
use crate::child::{self, Message};
use crate::container::Container;
use crate::error::Error;
use crate::failure::explain;
use crate::options::{CgroupDriver, CreateOptions, Process, Release};
use crate::plan::Plan;
use crate::resctrl::Group;
use crate::service;
use crate::spec::{Hooks, LinuxResources, Spec};
use crate::state::{self, ContainerDir, Record, Status, file, hook_state};

/// What [`create`] made.
#[derive(Debug)]
pub struct Created {
    /// The container.
    pub container: Container,
    /// Master of its terminal, with [`Stdio::Terminal`](crate::Stdio::Terminal).
    pub console: Option<OwnedFd>,
    /// Its first process.
    pub process: Process,
    /// What its program tells a service manager, with [`Release::AtOnce`] and where it is to.
    pub notifications: Option<UnixDatagram>,
    /// Names in process.capabilities that are no capabilities, and were left out.
    pub unknown_capabilities: Vec<String>,
}

/// Makes a container from `<bundle>/config.json`, and starts it too with [`Release::AtOnce`].
///
/// # Errors
/// When the configuration is wrong or a step fails; nothing is left behind then. With [`Release::AtOnce`] also when
/// the program cannot be executed.
pub fn create(mut options: CreateOptions<'_>) -> Result<Created, Error> {
    let sockets = options.activation.take();
    if let Some(sockets) = &sockets {
        options.preserve_fds = options.preserve_fds.saturating_add(sockets.count);
    }
    check_preserved(options.preserve_fds)?;
    // An unprivileged runtime could not write the id maps of a child that is hidden.
    if rustix::process::geteuid().is_root() {
        hide_from_tracers()?;
    }
    let bundle = std::path::absolute(options.bundle).map_err(|error| file("open", options.bundle, &error))?;
    let config_path = bundle.join("config.json");
    let config = std::fs::read(&config_path).map_err(|error| file("read", &config_path, &error))?;
    let in_file = |source| Error::Spec { file: config_path.clone(), source };
    let mut spec = Spec::parse(&config).map_err(in_file)?;
    if let (Some(sockets), Some(process)) = (&sockets, &mut spec.process) {
        service::pass_sockets(process, sockets)?;
    }
    let notify = if options.notify {
        let root = std::path::absolute(options.root).map_err(|error| file("open", options.root, &error))?;
        let directory = ContainerDir::of(&root, options.id)?.notify();
        service::mount_notify(&mut spec, &directory)?;
        Some(directory)
    } else {
        None
    };
    let process = spec
        .process
        .as_ref()
        .ok_or_else(|| in_file(crate::spec::InvalidSpec::new("process", "is missing")))?;
    let linux = spec.linux();
    let state_of = |status| hook_state(options.id, &bundle, &spec.annotations, status);

    let mut undo = Undo {
        dir: Some(ContainerDir::make(options.root, options.id)?),
        cgroup: None,
        group: None,
        child: None,
        hooks: spec.hooks.clone(),
        state: state_of(Status::Stopped),
    };
    let dir = undo.dir.clone().expect("it was just made");
    let mut notifications = None;
    if let Some(directory) = &notify {
        service::make_notify(directory)?;
        if options.release == Release::AtOnce {
            notifications = service::bind_notify(directory)?;
        }
    }
    let gate = match options.release {
        Release::AtOnce => None,
        Release::OnStart => Some(dir.make_gate()?),
    };
    let no_limits = LinuxResources::default();
    let resources = linux.resources.as_ref().unwrap_or(&no_limits);
    let (cgroup, mut held) = match options.cgroup_driver {
        CgroupDriver::Cgroupfs => {
            let path = CgroupPath::of_container(&linux.cgroups_path, options.id).map_err(Error::Cgroup)?;
            (Cgroup::create(&path, resources).map_err(Error::Cgroup)?, None)
        }
        CgroupDriver::Systemd => {
            let scope = Scope::of_container(&linux.cgroups_path, options.id).map_err(Error::Cgroup)?;
            let made = Cgroup::create_scope(&scope, options.id, resources, &spec.annotations);
            let (cgroup, held) = made.map_err(Error::Cgroup)?;
            (cgroup, Some(held))
        }
    };
    let cgroup = undo.cgroup.insert(cgroup);
    if let Some(rdt) = &linux.intel_rdt {
        undo.group = Some(Group::create(rdt, options.id)?);
    }
    let group = undo.group.clone();
    let (id, pid_file) = (options.id, options.pid_file);
    let waits = gate.is_some();
    let creating = state_of(Status::Creating);
    let mut options = CreateOptions { bundle: &bundle, ..options };
    let hook_states = |status| hook_state(id, &bundle, &spec.annotations, status);
    let mut plan = Plan::new(&spec, &mut options, cgroup.dir(), &hook_states, gate)?;
    // The program is not to see another process in its scope.
    plan.process.waits_for_groups |= held.is_some();
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|errno| SysError::new("socketpair", errno))?;
    let child = launch(&mut plan, cgroup.dir(), theirs)?;
    let child = undo.child.insert(child);
    if plan.namespaces.joins_userns() {
        let moved = match next(&ours, "clone")? {
            Some(Message::Moved(pidfd)) => Child { pid: pid_of(&pidfd)?, pidfd },
            Some(Message::Failed(failure)) => return Err(explain(failure, &spec, process)),
            _ => return Err(Error::Died("joining the user namespace")),
        };
        reap(&std::mem::replace(child, moved));
        set_from_outside(&plan, child.pid)?;
        go(&ours, child.pid)?;
    }
    let pid = child.pid;
    let record = Record {
        version: 1,
        id: id.to_owned(),
        pid,
        start_time: state::process_stat(pid).map_or(0, |stat| stat.start_time),
        rootfs: bundle.join(spec.root.as_ref().map(|root| root.path.as_str()).unwrap_or_default()),
        bundle: bundle.clone(),
        created: state::now(),
        cgroup: cgroup.path().as_str().to_owned(),
        unit: cgroup.unit().map(str::to_owned),
        annotations: spec.annotations.clone(),
        resctrl: group,
    };
    dir.write(&record, &config)?;
    let mut console = None;
    loop {
        match next(&ours, "set-up")? {
            None if waits => return Err(Error::Died("set-up")),
            None | Some(Message::Ready) => break,
            Some(Message::Failed(failure)) => return Err(explain(failure, &spec, process)),
            Some(Message::MapIds) => {
                let (uids, gids) =
                    plan.namespaces.maps.as_ref().expect("only a child with maps asks for them");
                crate::plan::write_id_maps(pid, uids, gids)?;
                set_from_outside(&plan, pid)?;
                go(&ours, pid)?;
            }
            Some(Message::RuntimeHooks) => {
                crate::net_devices::move_all(&linux.net_devices, pid)?;
                if let Some(hooks) = &spec.hooks {
                    crate::hooks::run("prestart", &hooks.prestart, &creating, pid)?;
                    crate::hooks::run("createRuntime", &hooks.create_runtime, &creating, pid)?;
                }
                go(&ours, pid)?;
            }
            Some(Message::Console(master)) => console = Some(master),
            Some(Message::Listener(number)) => {
                let listener = plan.process.listener().expect("only a notified child has a listener");
                agent::hand_over(listener, child, number, &creating, pid)?;
                go(&ours, pid)?;
            }
            Some(Message::Group) => {
                record.resctrl.iter().try_for_each(|group| group.enter(pid))?;
                if let Some(held) = held.take() {
                    cgroup.release(held).map_err(Error::Cgroup)?;
                }
                go(&ours, pid)?;
            }
            Some(Message::Moved(_)) => return Err(Error::Died("set-up")),
        }
    }
    if let Some(path) = pid_file {
        write_pid_file(path, pid)?;
    }
    if !waits && let Some(hooks) = &spec.hooks {
        crate::hooks::run("poststart", &hooks.poststart, &hook_states(Status::Running), pid)?;
    }
    let (cgroup, child) = undo.keep();
    let hooks = spec.hooks.clone().unwrap_or_default();
    let container = Container::new(id, dir, record, cgroup, hooks);
    let unknown = process.capabilities.as_ref().map(crate::plan::unknown_capabilities).unwrap_or_default();
    let process = Process { pid, pidfd: child.pidfd };
    Ok(Created { container, console, process, notifications, unknown_capabilities: unknown })
}

/// The process id behind a pidfd, in this process's pid namespace. Who sent it may see another number.
fn pid_of(pidfd: &OwnedFd) -> Result<i32, Error> {
    let path = PathBuf::from(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let text = std::fs::read_to_string(&path).map_err(|error| file("read", &path, &error))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    pid.filter(|&pid| pid > 0).ok_or(Error::Died("joining the user namespace"))
}

/// Clones the child, with the namespaces that only a parent can choose for it.
fn launch(plan: &mut Plan, cgroup: BorrowedFd<'_>, channel: OwnedFd) -> Result<Child, Error> {
    if !plan.namespaces.join.is_empty() || plan.namespaces.join_pid.is_some() {
        hide_from_tracers()?;
    }
    let _pid = match &plan.namespaces.join_pid {
        Some(namespace) => Some(ForChildren::join(namespace.as_fd())?),
        None => None,
    };
    let _time = match &plan.namespaces.new_time {
        Some(offsets) => Some(ForChildren::new_time(offsets)?),
        None => None,
    };
    let failed = |errno| SysError::new("clone3", errno).with("the container's namespaces and cgroup").into();
    if plan.namespaces.joins_userns() {
        return spawn(ross_sys::clone::CloneFlags::empty(), Some(cgroup), || {
            child::create_inside(plan, channel)
        })
        .map_err(failed);
    }
    spawn(plan.namespaces.new, Some(cgroup), || child::create(plan, channel)).map_err(failed)
}

/// Makes this process, and with it the child it clones, one that the programs of a container cannot trace or look into
/// (CVE-2016-9962). Before the clone: from its first moment on the child may be visible in their pid namespace.
pub(crate) fn hide_from_tracers() -> Result<(), SysError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| SysError::new("prctl", errno).with("PR_SET_DUMPABLE"))
}

/// A namespace of this thread's next children, until dropped.
struct ForChildren {
    back: OwnedFd,
    kind: LinkNameSpaceType,
}

impl ForChildren {
    fn own(name: &str, kind: LinkNameSpaceType) -> Result<Self, Error> {
        let path = format!("/proc/thread-self/ns/{name}");
        let back = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| SysError::on("open", &path, errno))?;
        Ok(Self { back, kind })
    }

    fn join(namespace: BorrowedFd<'_>) -> Result<Self, Error> {
        let own = Self::own("pid", LinkNameSpaceType::ProcessID)?;
        move_into_link_name_space(namespace, Some(own.kind))
            .map_err(|errno| SysError::new("setns", errno).with("pid namespace"))?;
        Ok(own)
    }

    fn new_time(offsets: &str) -> Result<Self, Error> {
        let own = Self::own("time", LinkNameSpaceType::Time)?;
        ross_sys::ns::unshare(UnshareFlags::NEWTIME)
            .map_err(|errno| SysError::new("unshare", errno).with("time namespace"))?;
        if !offsets.is_empty() {
            let path = Path::new("/proc/self/timens_offsets");
            std::fs::write(path, offsets).map_err(|error| file("write", path, &error))?;
        }
        Ok(own)
    }
}

impl Drop for ForChildren {
    fn drop(&mut self) {
        // Going back to the own namespace is always allowed.
        let _ = move_into_link_name_space(self.back.as_fd(), Some(self.kind));
    }
}

/// What a child in a user namespace has no right to set for itself.
fn set_from_outside(plan: &Plan, pid: i32) -> Result<(), Error> {
    if let Some(text) = &plan.process.oom_score_adj {
        let path = PathBuf::from(format!("/proc/{pid}/oom_score_adj"));
        match std::fs::write(&path, text) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            result => result.map_err(|error| file("write", &path, &error))?,
        }
    }
    if let Some(attributes) = &plan.process.scheduling.scheduler {
        ross_sys::sched::set_scheduler(pid, attributes)
            .map_err(|errno| SysError::new("sched_setattr", errno).with("process.scheduler"))?;
    }
    if let Some((class, priority)) = plan.process.scheduling.io_priority {
        ross_sys::sched::set_io_priority(pid, class, priority)
            .map_err(|errno| SysError::new("ioprio_set", errno).with("process.ioPriority"))?;
    }
    for (resource, limit) in &plan.process.rlimits {
        let now = getrlimit(*resource);
        let raised = now.maximum.is_some_and(|most| limit.maximum.is_none_or(|wanted| wanted > most));
        if raised {
            // The soft limit is the child's own business, when it no longer hurts its set-up.
            let ceiling = Rlimit { current: now.current, maximum: limit.maximum };
            prlimit(Pid::from_raw(pid), *resource, ceiling)
                .map_err(|errno| SysError::new("prlimit", errno).with(format!("{resource:?}")))?;
        }
    }
    Ok(())
}

fn next(channel: &OwnedFd, phase: &'static str) -> Result<Option<Message>, Error> {
    match child::receive(channel.as_fd()) {
        // A peer that dies with unread packets in its queue.
        Err(rustix::io::Errno::CONNRESET) => Err(Error::Died(phase)),
        result => result.map_err(|errno| SysError::new("recvmsg", errno).into()),
    }
}

fn go(channel: &OwnedFd, pid: i32) -> Result<(), Error> {
    child::send_go(channel.as_fd(), pid).map_err(|_| Error::Died("set-up"))
}

/// Descriptors that the program is to get must be there before any of the runtime's own takes their numbers.
pub(crate) fn check_preserved(count: u32) -> Result<(), Error> {
    match (3..count.saturating_add(3)).find(|&fd| !ross_sys::fd::is_open(fd.cast_signed())) {
        Some(fd) => Err(Error::Options(format!("descriptor {fd} is to be preserved, and is not open"))),
        None => Ok(()),
    }
}

/// Writes a process id to a file, which appears with it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pid_file(path: &Path, pid: i32) -> Result<(), Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    state::write_atomically(dir, &name, pid.to_string().as_bytes())
}

/// Waits for a child that is about to exit.
pub(crate) fn reap(child: &Child) {
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)
    {
    }
}

/// Kills a child that failed, and reaps it.
pub(crate) fn abandon(child: &Child) {
    let _ = ross_sys::pidfd::send_signal(child.pidfd.as_fd(), 9);
    reap(child);
}

/// Takes back what create did so far, unless it is kept.
struct Undo {
    dir: Option<ContainerDir>,
    cgroup: Option<Cgroup>,
    group: Option<Group>,
    child: Option<Child>,
    hooks: Option<Hooks>,
    state: crate::plan::HookState,
}

impl Undo {
    fn keep(mut self) -> (Cgroup, Child) {
        self.dir = None;
        let cgroup = self.cgroup.take().expect("create made a cgroup");
        let child = self.child.take().expect("create made a child");
        (cgroup, child)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        if let Some(child) = self.child.take() {
            abandon(&child);
            if let Some(hooks) = &self.hooks {
                crate::hooks::run_all("poststop", &hooks.poststop, &self.state, 0);
            }
        }
        // The error that led here is the one to tell; what these leave is found by the next delete.
        if let Some(cgroup) = self.cgroup.take() {
            let _ = cgroup.remove();
        }
        if let Some(group) = self.group.take() {
            let _ = group.remove();
        }
        let _ = dir.remove();
    }
}
