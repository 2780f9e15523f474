//! The steps of the child in their order: to a container, to its program, to a program beside it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal, umask,
};

use crate::plan::{Plan, ProcessPlan, StdioPlan};

use super::report::{At, Failure, Message, Stage, Step};
use super::{
    Joined, credentials, descriptor::SetupFd, devices, hook, mounts, namespaces, null, path, procfs, program,
    report, root, scheduling, terminal,
};

/// Becomes the container and executes its program. Returns the exit status of a child that failed.
pub(crate) fn create(plan: &mut Plan, channel: OwnedFd) -> i32 {
    let mut channel = Some(channel);
    let outcome = prepare(plan, &mut channel);
    let outcome = outcome.and_then(|()| match (&plan.gate, channel.take()) {
        (Some(gate), Some(channel)) => {
            report::send(&channel, Message::Ready).at(Stage::Sync)?;
            drop(channel);
            wait_for_start(gate.start.as_fd())
        }
        (_, held) => {
            channel = held;
            Ok(())
        }
    });
    let outcome = outcome.and_then(|()| launch(plan));
    let failure = match outcome {
        Ok(failure) | Err(failure) => failure,
    };
    match (&channel, &plan.gate) {
        (Some(channel), _) => report::send_failure(channel.as_fd(), failure),
        (None, Some(gate)) => report::send_failure(gate.report.as_fd(), failure),
        (None, None) => {}
    }
    1
}

/// As [`create`], from inside the user namespace that is joined: this process only starts the one that does it.
pub(crate) fn create_inside(plan: &mut Plan, channel: OwnedFd) -> i32 {
    let Ok(spare) = rustix::io::fcntl_dupfd_cloexec(&channel, 3) else { return 1 };
    match namespaces::clone_inside_userns(plan, channel, &spare) {
        Ok(()) => 0,
        Err(failure) => {
            report::send_failure(spare.as_fd(), failure);
            1
        }
    }
}

/// Everything up to the point where a container is created.
fn prepare(plan: &mut Plan, channel: &mut Option<OwnedFd>) -> Step<()> {
    let socket =
        channel.as_ref().map(OwnedFd::as_fd).ok_or(Failure::of(Stage::Sync, rustix::io::Errno::BADF))?;
    // Half a container is nobody's: until it is whole it dies with its maker.
    set_parent_process_death_signal(Some(Signal::KILL)).at(Stage::Sync)?;
    umask(Mode::empty());
    scheduling::choose_cpus(None)?;
    // On the host's /proc, which is trusted, and still with the host's privileges.
    if !plan.namespaces.in_userns()
        && let Some(text) = &plan.process.oom_score_adj
    {
        procfs::set_oom_score(text.as_bytes())?;
    }
    namespaces::enter(&plan.namespaces, socket)?;
    enter_group(&plan.process, socket)?;
    let root_place = root::open_place(&plan.root)?;
    if plan.namespaces.in_userns() {
        credentials::become_root()?;
    }
    root::attach(&plan.root, root_place)?;
    let root = plan.root.tree.as_fd();
    let proc = mounts::mount_all(&plan.mounts, root)?;
    let mut master = None;
    if let Some(devices) = &plan.devices {
        let dev = devices::make(devices, root)?;
        if let StdioPlan::Terminal(size) = &plan.process.stdio {
            master = Some(terminal::open(dev.as_fd(), *size, plan.process.uid, devices.console)?);
        }
    } else if let StdioPlan::Terminal(size) = &plan.process.stdio {
        let dev = path::open_in_root(root, c"/dev").at(Stage::Terminal)?;
        master = Some(terminal::open(dev.as_fd(), *size, plan.process.uid, false)?);
    }
    if plan.runtime_hooks {
        close_spent(plan, socket, proc.as_ref(), master.as_ref())?;
        report::send(socket, Message::RuntimeHooks).at(Stage::Sync)?;
        let pid = report::wait_go(socket)?;
        for (index, hook) in plan.create_container.iter().enumerate() {
            hook::run_in_child(hook, &plan.creating, pid, Stage::CreateContainerHook, index)?;
        }
    }
    if let Some((master, slave)) = master {
        report::send_console(socket, master.as_fd()).at(Stage::Terminal)?;
        terminal::become_controlled(slave.as_fd())?;
    } else {
        rustix::process::setsid().at(Stage::Terminal)?;
        connect(&plan.process.stdio)?;
    }
    if !plan.hostname.is_empty() {
        rustix::system::sethostname(plan.hostname.as_bytes()).at(Stage::Hostname)?;
    }
    if !plan.domainname.is_empty() {
        rustix::system::setdomainname(plan.domainname.as_bytes()).at(Stage::Domainname)?;
    }
    procfs::set_sysctls(proc.as_ref().map(AsFd::as_fd), &plan.sysctls)?;
    root::hide(&plan.masked, root)?;
    root::protect(&plan.readonly, root)?;
    root::pivot(&plan.root)?;
    if let Some(text) = &plan.process.apparmor {
        procfs::set_apparmor(proc.as_ref().map(AsFd::as_fd), text.as_bytes())?;
    }
    if let Some(label) = &plan.process.selinux {
        procfs::set_selinux(proc.as_ref().map(AsFd::as_fd), label.as_bytes())?;
    }
    let entered = program::enter_directory(&plan.process, program::Missing::Make)?;
    root::seal(&plan.root)?;
    // Not before the hooks: a process of SCHED_DEADLINE cannot start others.
    if !plan.namespaces.in_userns() {
        scheduling::apply(&plan.process.scheduling)?;
    }
    // Before all descriptors are closed by their numbers: its own may be another's afterwards.
    drop(proc);
    match &plan.gate {
        Some(gate) => {
            let kept = [socket, gate.start.as_fd(), gate.report.as_fd()];
            finish_process(&mut plan.process, entered, socket, &kept)?;
        }
        None => finish_process(&mut plan.process, entered, socket, &[socket])?,
    }
    set_parent_process_death_signal(None).at(Stage::Sync)?;
    // A container that waits is known to be startable: runc tells so at create as well.
    if plan.gate.is_some() { program::find(&plan.process) } else { Ok(()) }
}

/// Closes all descriptors that the rest of [`prepare`] has no use for: what is still open cannot be unmounted by a hook.
fn close_spent(
    plan: &Plan,
    channel: BorrowedFd<'_>,
    proc: Option<&SetupFd>,
    terminal: Option<&(OwnedFd, OwnedFd)>,
) -> Step<()> {
    // Whatever is not there is a place taken by the channel once more.
    let mut kept = [channel; 10];
    let gate = plan.gate.iter().flat_map(|gate| [gate.start.as_fd(), gate.report.as_fd()]);
    let terminal = terminal.into_iter().flat_map(|(master, slave)| [master.as_fd(), slave.as_fd()]);
    let streams: &[OwnedFd] = match &plan.process.stdio {
        StdioPlan::Fds(streams) => streams,
        StdioPlan::Inherit | StdioPlan::Terminal(_) => &[],
    };
    let all = [plan.root.tree.as_fd()].into_iter();
    let all = all.chain(gate).chain(proc.map(AsFd::as_fd)).chain(terminal);
    let all = all.chain(streams.iter().map(AsFd::as_fd));
    for (place, fd) in kept.iter_mut().zip(all) {
        *place = fd;
    }
    ross_sys::fd::close_all_but(3 + plan.process.preserve_fds, &kept).at(Stage::PreserveFds)
}

/// Executes the program; returns why that failed.
fn launch(plan: &mut Plan) -> Step<Failure> {
    for (index, hook) in plan.start_container.iter().enumerate() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        hook::run_in_child(hook, &plan.created, pid, Stage::StartContainerHook, index)?;
    }
    Ok(execute(&mut plan.process))
}

/// Joins a container and executes a program there. Returns the exit status of a child that failed.
pub(crate) fn exec(plan: &mut ProcessPlan, joined: &Joined, channel: &OwnedFd) -> i32 {
    let outcome = join(plan, joined, channel.as_fd());
    let failure = match outcome {
        Ok(()) => execute(plan),
        Err(failure) => failure,
    };
    report::send_failure(channel.as_fd(), failure);
    1
}

fn join(plan: &mut ProcessPlan, joined: &Joined, channel: BorrowedFd<'_>) -> Step<()> {
    umask(Mode::empty());
    scheduling::choose_cpus(plan.affinity.last.as_ref())?;
    enter_group(plan, channel)?;
    scheduling::apply(&plan.scheduling)?;
    if !joined.userns
        && let Some(text) = &plan.oom_score_adj
    {
        procfs::set_oom_score(text.as_bytes())?;
    }
    namespaces::join_container(joined)?;
    if joined.userns {
        credentials::become_root()?;
    }
    if let StdioPlan::Terminal(size) = &plan.stdio {
        let dev = path::open_in_root(rustix::fs::CWD, c"/dev").at(Stage::Terminal)?;
        let (master, slave) = terminal::open(dev.as_fd(), *size, plan.uid, false)?;
        report::send_console(channel, master.as_fd()).at(Stage::Terminal)?;
        terminal::become_controlled(slave.as_fd())?;
    } else {
        rustix::process::setsid().at(Stage::Terminal)?;
        connect(&plan.stdio)?;
    }
    if let Some(text) = &plan.apparmor {
        procfs::set_apparmor(None, text.as_bytes())?;
    }
    if let Some(label) = &plan.selinux {
        procfs::set_selinux(None, label.as_bytes())?;
    }
    let entered = program::enter_directory(plan, program::Missing::Fail)?;
    finish_process(plan, entered, channel, &[channel])
}

/// Waits until the parent has put this process into its group of resctrl: only on the host is there a way to it.
fn enter_group(plan: &ProcessPlan, channel: BorrowedFd<'_>) -> Step<()> {
    if plan.waits_for_groups {
        report::send(channel, Message::Group).at(Stage::Sync)?;
        report::wait_go(channel)?;
    }
    Ok(())
}

/// Credentials and limits: after this the process can do no more than the program will. Of its descriptors only those
/// `kept` are left, which close on exec, besides what the program gets.
fn finish_process(
    plan: &mut ProcessPlan,
    entered: program::Entered,
    channel: BorrowedFd<'_>,
    kept: &[BorrowedFd<'_>],
) -> Step<()> {
    // With the rights of the program this process is the equal of any that is executed in the container beside it, and it
    // may wait for long. Its descriptors lead to the host: nobody may look into them, and even who may trace everything
    // finds none (CVE-2016-9962, CVE-2024-21626). exec makes it dumpable again.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Capabilities)?;
    if !matches!(plan.stdio, StdioPlan::Terminal(_)) {
        null::reopen().at(Stage::Null)?;
    }
    ross_sys::fd::close_all_but(3 + plan.preserve_fds, kept).at(Stage::PreserveFds)?;
    if let Some(name) = &plan.keyring {
        credentials::new_keyring(name)?;
    }
    if let Some(domain) = plan.personality {
        ross_sys::personality::set(domain).at(Stage::Personality)?;
    }
    if let Some(policy) = &plan.memory_policy {
        ross_sys::sched::set_memory_policy(policy.mode, &policy.nodes).at(Stage::MemoryPolicy)?;
    }
    if let Some(place) = plan.home {
        program::find_home(plan, place);
    }
    ross_sys::exec::reset_signals(plan.ignored_signals);
    credentials::fix_stdio_owner(plan.uid);
    for (index, (resource, limit)) in plan.rlimits.iter().enumerate() {
        rustix::process::setrlimit(*resource, *limit).at_index(Stage::Rlimit, index)?;
    }
    for fd in 3..3 + plan.preserve_fds {
        ross_sys::fd::keep_across_exec(fd.cast_signed()).at(Stage::PreserveFds)?;
    }
    credentials::apply(plan, channel)?;
    program::enter_directory_as_user(plan, entered)?;
    program::check_directory()?;
    umask(plan.umask);
    if plan.no_new_privileges && plan.is_notified() {
        // As late as the channel is there to hand the listener over.
        credentials::load_filter(plan, channel)?;
    }
    Ok(())
}

fn execute(plan: &mut ProcessPlan) -> Failure {
    // With no_new_privs the filter can be the very last thing, and so need not allow anything but execve.
    if plan.no_new_privileges
        && !plan.is_notified()
        && let Err(failure) = credentials::load_filter_last(plan)
    {
        return failure;
    }
    Failure::of(Stage::Exec, program::execute(plan))
}

/// Puts the given descriptors in place of the standard streams.
fn connect(stdio: &StdioPlan) -> Step<()> {
    if let StdioPlan::Fds([stdin, stdout, stderr]) = stdio {
        rustix::stdio::dup2_stdin(stdin).at(Stage::Stdio)?;
        rustix::stdio::dup2_stdout(stdout).at(Stage::Stdio)?;
        rustix::stdio::dup2_stderr(stderr).at(Stage::Stdio)?;
    }
    Ok(())
}

fn wait_for_start(gate: BorrowedFd<'_>) -> Step<()> {
    loop {
        match rustix::io::read(gate, &mut [0_u8; 1]) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::of(Stage::Sync, errno)),
        }
    }
}
