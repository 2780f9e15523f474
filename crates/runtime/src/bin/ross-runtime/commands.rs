//! The commands, each a few calls of the library.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ross_runtime::spec::LinuxResources;
use ross_runtime::{
    CgroupDriver, Container, CreateOptions, Created, ExecOptions, Process, Release, Stdio, create,
};
use ross_sys::error::with_sources;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::arguments::{Command, Create, Exec, Global, ListFormat, Run, USAGE, Update};
use crate::log::Log;
use crate::notify::Relay;
use crate::socket::Receiver;
use crate::{events, exec_process, foreground, inherited, notify, processes, render};

pub(crate) type Outcome = Result<u8, String>;

/// Carries out a command; returns the exit code.
pub(crate) fn run(global: &Global, command: Command, log: &Log) -> Outcome {
    let open = |id: &str| Container::open(&global.root, id).map_err(text);
    match command {
        Command::Create(options) => create_command(global, &options, log),
        Command::Run(options) => run_command(global, &options, log),
        Command::Start(id) => start(&open(&id)?, log),
        Command::State(id) => print_json(&open(&id)?.state().map_err(text)?),
        Command::Kill { id, signal, all } => kill(&open(&id)?, &signal, all),
        Command::Delete { id, force } => delete(global, &id, force),
        Command::Exec(options) => exec_command(&open(&options.id)?, &options),
        Command::List { quiet, format } => list(&global.root, quiet, format),
        Command::Spec { bundle, rootless } => spec(&bundle, rootless),
        Command::Pause(id) => done(open(&id)?.pause()),
        Command::Resume(id) => done(open(&id)?.resume()),
        Command::Ps { id, format, options } => ps(&open(&id)?, format, &options),
        Command::Update { id, update } => self::update(&open(&id)?, *update, log),
        Command::Events { id, stats, interval } => events::events(&open(&id)?, stats, interval),
        Command::Features => print_json(&ross_runtime::features()),
        Command::Help("") => print(USAGE),
        Command::Help(part) => print(part),
        Command::Version => print(&format!(
            "ross-runtime version {}\nspec: {}\n",
            env!("CARGO_PKG_VERSION"),
            ross_runtime::OCI_VERSION
        )),
    }
}

pub(crate) fn text(error: ross_runtime::Error) -> String {
    with_sources(&error)
}

fn done(result: Result<(), ross_runtime::Error>) -> Outcome {
    result.map(|()| 0).map_err(text)
}

pub(crate) fn print(output: &str) -> Outcome {
    let mut stdout = std::io::stdout();
    match stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()) {
        // Who reads no further has what it wants.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("write to stdout: {error}"))
        }
        _ => Ok(0),
    }
}

fn print_json(value: &impl serde::Serialize) -> Outcome {
    print(&(serde_json::to_string_pretty(value).map_err(|error| error.to_string())? + "\n"))
}

fn create_options<'a>(
    global: &'a Global,
    options: &'a Create,
    stdio: Stdio,
    release: Release,
) -> Result<CreateOptions<'a>, String> {
    Ok(CreateOptions {
        id: &options.id,
        root: &global.root,
        bundle: &options.bundle,
        stdio,
        activation: inherited::sockets()?,
        notify: notify::is_wanted(),
        preserve_fds: options.preserve_fds,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        cgroup_driver: if global.systemd_cgroup { CgroupDriver::Systemd } else { CgroupDriver::Cgroupfs },
        release,
        pid_file: options.pid_file.as_deref(),
    })
}

/// Creates a container, and hands its console and its pidfd to their sockets.
fn make(global: &Global, options: &Create, stdio: Stdio, release: Release) -> Result<Created, String> {
    let console = options.console_socket.as_deref().map(Receiver::of_console).transpose()?;
    let pidfd = options.pidfd_socket.as_deref().map(Receiver::of_pidfd).transpose()?;
    let mut created = create(create_options(global, options, stdio, release)?).map_err(text)?;
    let handed = match (&console, created.console.take_if(|_| console.is_some())) {
        (Some(receiver), Some(master)) => receiver.send(&master),
        _ => Ok(()),
    };
    let handed = handed.and_then(|()| pidfd.map_or(Ok(()), |to| to.send(&created.process.pidfd)));
    if let Err(error) = handed {
        // Without them nobody can use it.
        let _ = created.container.delete(true);
        return Err(error);
    }
    Ok(created)
}

fn create_command(global: &Global, options: &Create, log: &Log) -> Outcome {
    let stdio = if options.console_socket.is_some() { Stdio::Terminal } else { Stdio::Inherit };
    let created = make(global, options, stdio, Release::OnStart)?;
    report(log, &created);
    Ok(0)
}

fn run_command(global: &Global, options: &Run, log: &Log) -> Outcome {
    let socket = options.create.console_socket.is_some();
    if socket && !options.detach {
        return Err("run: --console-socket is for --detach".to_owned());
    }
    let stdio = match (socket, options.detach) {
        (true, _) => Stdio::Terminal,
        (false, true) => Stdio::Inherit,
        (false, false) => Stdio::AsConfigured,
    };
    // Before the program exists: none of its signals can be missed.
    let signals = if options.detach { None } else { Some(foreground::prepare(!options.no_subreaper)?) };
    let manager = notify::connect(log);
    let mut created = make(global, &options.create, stdio, Release::AtOnce)?;
    report(log, &created);
    // Who stays is the main process of its service; who goes leaves that to the program.
    let main = if options.detach { created.process.pid.cast_unsigned() } else { std::process::id() };
    let channel = created.notifications.take().zip(manager);
    let relay = channel.map(|(program, manager)| Relay::new(program, manager, main));
    let Some(signals) = signals else {
        if let Some(relay) = relay {
            relay.wait_ready(created.process.pidfd.as_fd(), log);
        }
        return Ok(0);
    };
    let code = foreground::wait(&created.process, &signals, created.console, relay.as_ref());
    if !options.keep {
        created.container.delete(true).map_err(text)?;
    }
    code
}

fn start(container: &Container, log: &Log) -> Outcome {
    let Some(manager) = notify::connect(log) else {
        container.start().map_err(text)?;
        return Ok(0);
    };
    // A process that is gone by now is not started either.
    let program = Pid::from_raw(container.pid()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let socket = container.start_listening().map_err(text)?;
    if let (Some(socket), Some(program)) = (socket, program) {
        let relay = Relay::new(socket, manager, container.pid().cast_unsigned());
        relay.wait_ready(program.as_fd(), log);
    }
    Ok(0)
}

fn report(log: &Log, created: &Created) {
    for name in &created.unknown_capabilities {
        log.warn(&format!("process.capabilities: `{name}` is unknown and was left out"));
    }
    log.debug(&format!("container `{}` runs as process {}", created.container.id(), created.process.pid));
}

fn exec_command(container: &Container, options: &Exec) -> Outcome {
    let base = match &options.process {
        Some(_) => None,
        None => container.config().map_err(text)?.process,
    };
    let process = exec_process::process(options, base)?;
    let socket = options.console_socket.as_deref();
    let stdio = match (process.terminal, socket, options.detach) {
        (true, None, true) => return Err("exec: --tty with --detach needs --console-socket".to_owned()),
        (true, _, _) => Stdio::Terminal,
        (false, Some(_), _) => return Err("exec: --console-socket needs --tty".to_owned()),
        (false, None, _) => Stdio::Inherit,
    };
    let console_receiver = socket.map(Receiver::of_console).transpose()?;
    let pidfd_receiver = options.pidfd_socket.as_deref().map(Receiver::of_pidfd).transpose()?;
    let signals = foreground::prepare(false)?;
    let executed = container
        .exec(ExecOptions {
            process,
            stdio,
            preserve_fds: options.preserve_fds,
            cgroup: options.cgroup.as_deref(),
            ignore_paused: options.ignore_paused,
        })
        .map_err(text)?;
    let mut console: Option<OwnedFd> = executed.console;
    let process: Process = executed.process;
    let handed = match (&console_receiver, console.take_if(|_| socket.is_some())) {
        (Some(receiver), Some(master)) => receiver.send(&master),
        _ => Ok(()),
    };
    let handed = handed.and_then(|()| pidfd_receiver.map_or(Ok(()), |to| to.send(&process.pidfd)));
    let handed = handed.and_then(|()| match &options.pid_file {
        Some(path) => ross_runtime::write_pid_file(path, process.pid).map_err(text),
        None => Ok(()),
    });
    if let Err(error) = handed {
        // Whoever asked for it could neither use nor find it.
        foreground::kill(&process);
        return Err(error);
    }
    if options.detach { Ok(0) } else { foreground::wait(&process, &signals, console, None) }
}

fn kill(container: &Container, signal: &str, all: bool) -> Outcome {
    let number = render::signal(signal).ok_or_else(|| format!("unknown signal \"{signal}\""))?;
    done(container.kill(number, all))
}

fn delete(global: &Global, id: &str, force: bool) -> Outcome {
    let missing = match Container::open(&global.root, id) {
        Err(error @ ross_runtime::Error::NotFound(_)) => error,
        result => return done(result.map_err(text)?.delete(force)),
    };
    // As in runc: what an aborted create has left goes, and forcing away what is not there is no error.
    let removed = Container::remove_leftover(&global.root, id);
    if force { done(removed) } else { Err(text(missing)) }
}

fn list(root: &Path, quiet: bool, format: ListFormat) -> Outcome {
    let mut states = Container::list(root).map_err(text)?;
    if quiet {
        return print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>());
    }
    for state in &mut states {
        let owner = std::fs::metadata(root.join(&state.id)).map(|directory| directory.uid());
        state.owner = owner.map(render::user_name).unwrap_or_default();
    }
    match format {
        ListFormat::Table => print(&render::table(&states)),
        ListFormat::Json => {
            print(&(serde_json::to_string(&states).map_err(|error| error.to_string())? + "\n"))
        }
    }
}

fn spec(bundle: &Path, rootless: bool) -> Outcome {
    let path = bundle.join("config.json");
    let mut spec = ross_runtime::defaults::default_spec();
    if rootless {
        ross_runtime::defaults::make_rootless(
            &mut spec,
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
    }
    let spec = serde_json::to_string_pretty(&spec).map_err(|e| e.to_string())?;
    let mut file =
        std::fs::File::create_new(&path).map_err(|error| format!("create {}: {error}", path.display()))?;
    file.write_all(spec.as_bytes()).map_err(|error| format!("write {}: {error}", path.display()))?;
    Ok(0)
}

fn ps(container: &Container, format: ListFormat, options: &[OsString]) -> Outcome {
    let pids = container.cgroup().and_then(|cgroup| cgroup.pids().map_err(ross_runtime::Error::Cgroup));
    let mut pids = pids.map_err(text)?;
    pids.sort_unstable();
    match format {
        ListFormat::Json => {
            print(&format!("{}\n", serde_json::to_string(&pids).map_err(|error| error.to_string())?))
        }
        ListFormat::Table => print(&processes::table(&pids, options)?),
    }
}

fn update(container: &Container, update: Update, log: &Log) -> Outcome {
    for option in update.ignored {
        log.warn(&format!("Setting {option} is ignored and will be removed"));
    }
    if update.l3_cache_schema.is_some() || update.mem_bw_schema.is_some() {
        let (cache, bandwidth) = (update.l3_cache_schema.as_deref(), update.mem_bw_schema.as_deref());
        container.update_shares(cache, bandwidth).map_err(text)?;
    }
    let Some(file) = update.file else { return done(container.update(&update.resources)) };
    let read = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map(String::into_bytes)
    } else {
        std::fs::read(&file)
    };
    let bytes = read.map_err(|error| format!("read {}: {error}", file.display()))?;
    let resources = LinuxResources::parse(&bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    done(container.update(&resources))
}
