//! Exec: another process in a container that runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::SysError;
use ross_sys::clone::{Child, CloneFlags, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::{
    CpuSet, LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
    sched_getaffinity, sched_setaffinity,
};

use crate::agent;
use crate::cgroup::{Cgroup, CgroupPath};
use crate::child::{self, Joined, Message};
use crate::container::Container;
use crate::create::{abandon, check_preserved, hide_from_tracers};
use crate::error::Error;
use crate::failure::explain;
use crate::options::{ExecOptions, Executed, Process};
use crate::plan::ProcessPlan;
use crate::spec::{Linux, NamespaceKind};
use crate::state::Status;

impl Container {
    /// Runs a program in the container, beside its own.
    ///
    /// # Errors
    /// When the container is stopped or paused, or the program cannot be executed.
    pub fn exec(&self, options: ExecOptions<'_>) -> Result<Executed, Error> {
        check_preserved(options.preserve_fds)?;
        options.process.check("process").map_err(|source| Error::Spec { file: "process".into(), source })?;
        match self.status()? {
            Status::Paused if options.ignore_paused => {}
            Status::Created | Status::Running => {}
            status => return Err(self.wrong_status("exec", status)),
        }
        let spec = self.config()?;
        let linux = spec.linux();
        let Some(pidfd) = self.pidfd()? else { return Err(self.wrong_status("exec", Status::Stopped)) };
        let cgroup = match options.cgroup.map(|name| name.trim_matches('/')) {
            None | Some("") => None,
            Some(name) => {
                let path = self.cgroup()?.path().child(name).map_err(Error::Cgroup)?;
                Some(Cgroup::open(&path).map_err(Error::Cgroup)?)
            }
        };
        let process = options.process;
        let keyring = Some(format!("_ses.{}", self.id()));
        let mut plan = ProcessPlan::new(&process, linux, options.stdio, options.preserve_fds, keyring)?;
        let joined = Joined::new(pidfd, linux);
        hide_from_tracers()?;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| SysError::new("socketpair", errno))?;
        let into =
            cgroup.as_ref().map_or_else(|| self.cgroup().map(Cgroup::dir), |cgroup| Ok(cgroup.dir()))?;
        let _affinity = plan.affinity.initial.as_ref().map(InitialAffinity::set).transpose()?;
        let child = match launch(&mut plan, &joined, into, &theirs) {
            // The container made cgroups of its own and moved its processes there: those above may hold none.
            Err(Errno::BUSY) if cgroup.is_none() => {
                let own = self.cgroup_of_first_process()?;
                launch(&mut plan, &joined, own.dir(), &theirs)
            }
            result => result,
        }
        .map_err(|errno| SysError::new("clone3", errno).with("into the container's cgroup"))?;
        drop(theirs);
        let mut console = None;
        loop {
            match child::receive(ours.as_fd()) {
                Ok(None) => break,
                Ok(Some(Message::Console(master))) => console = Some(master),
                Ok(Some(Message::Listener(number))) => {
                    if let Err(error) = self.hand_over_listener(&plan, &child, number, &ours) {
                        abandon(&child);
                        return Err(error);
                    }
                }
                Ok(Some(Message::Group)) => {
                    if let Err(error) = self.enter_group(&child, &ours) {
                        abandon(&child);
                        return Err(error);
                    }
                }
                Ok(Some(Message::Failed(failure))) => {
                    abandon(&child);
                    return Err(explain(failure, &spec, &process));
                }
                Ok(Some(_)) | Err(_) => {
                    abandon(&child);
                    return Err(Error::Died("set-up"));
                }
            }
        }
        Ok(Executed { process: Process { pid: child.pid, pidfd: child.pidfd }, console })
    }

    fn hand_over_listener(
        &self,
        plan: &ProcessPlan,
        child: &Child,
        number: i32,
        channel: &OwnedFd,
    ) -> Result<(), Error> {
        let listener = plan.listener().ok_or(Error::Died("set-up"))?;
        agent::hand_over(listener, child, number, &self.hook_state(self.status()?), self.pid())?;
        child::send_go(channel.as_fd(), child.pid).map_err(|_| Error::Died("set-up"))
    }

    fn enter_group(&self, child: &Child, channel: &OwnedFd) -> Result<(), Error> {
        self.group().iter().try_for_each(|group| group.enter(child.pid))?;
        child::send_go(channel.as_fd(), child.pid).map_err(|_| Error::Died("set-up"))
    }

    fn cgroup_of_first_process(&self) -> Result<Cgroup, Error> {
        let file = format!("/proc/{}/cgroup", self.pid());
        let text = std::fs::read_to_string(&file)
            .map_err(|error| crate::state::file("read", file.as_ref(), &error))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        CgroupPath::new(path).and_then(|path| Cgroup::open(&path)).map_err(Error::Cgroup)
    }
}

impl Joined {
    fn new(pidfd: OwnedFd, linux: &Linux) -> Self {
        let flag = |kind| match kind {
            // The parent enters it, for its children.
            NamespaceKind::Pid => ThreadNameSpaceType::empty(),
            NamespaceKind::Network => ThreadNameSpaceType::NETWORK,
            NamespaceKind::Mount => ThreadNameSpaceType::MOUNT,
            NamespaceKind::Ipc => ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
            NamespaceKind::Uts => ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
            NamespaceKind::User => ThreadNameSpaceType::USER,
            NamespaceKind::Cgroup => ThreadNameSpaceType::CONTROL_GROUP,
            NamespaceKind::Time => ThreadNameSpaceType::TIME,
        };
        let namespaces = linux
            .namespaces
            .iter()
            .fold(ThreadNameSpaceType::empty(), |flags, namespace| flags | flag(namespace.kind));
        Self {
            pidfd,
            namespaces,
            userns: linux.has(NamespaceKind::User),
            pid_namespace: linux.has(NamespaceKind::Pid),
        }
    }
}

/// The CPUs of this thread while it starts an exec, until dropped.
struct InitialAffinity {
    before: CpuSet,
}

impl InitialAffinity {
    fn set(cpus: &CpuSet) -> Result<Self, Error> {
        let failed = |call| move |errno| SysError::new(call, errno).with("process.execCPUAffinity.initial");
        let before = sched_getaffinity(None).map_err(failed("sched_getaffinity"))?;
        sched_setaffinity(None, cpus).map_err(failed("sched_setaffinity"))?;
        Ok(Self { before })
    }
}

impl Drop for InitialAffinity {
    fn drop(&mut self) {
        // These it had a moment ago; that they are gone since is nothing an exec could help.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Clones the child into the pid namespace and the cgroup of the container.
fn launch(
    plan: &mut ProcessPlan,
    joined: &Joined,
    cgroup: BorrowedFd<'_>,
    channel: &OwnedFd,
) -> Result<Child, Errno> {
    let back = if joined.pid_namespace {
        let own =
            rustix::fs::open("/proc/thread-self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        move_into_thread_name_spaces(joined.pidfd.as_fd(), ThreadNameSpaceType::PROCESS_ID)?;
        Some(own)
    } else {
        None
    };
    let child = spawn(CloneFlags::empty(), Some(cgroup), || child::exec(plan, joined, channel));
    if let Some(own) = back {
        // Going back to the own namespace is always allowed.
        let _ = move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID));
    }
    child
}
