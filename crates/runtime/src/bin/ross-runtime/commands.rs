//! The commands, each a few calls of the library.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use ross_runtime::spec::LinuxResources;
use ross_runtime::{
    CgroupDriver, Container, CreateOptions, Created, ExecOptions, Process, Release, Stdio, create,
};
use ross_sys::error::with_sources;
use ross_sys::signalfd::Signals;

use crate::arguments::{Command, Create, Exec, Global, ListFormat, USAGE};
use crate::log::Log;
use crate::{console, exec_process, foreground, render};

type Outcome = Result<u8, String>;

/// Carries out a command; returns the exit code.
pub(crate) fn run(global: &Global, command: Command, log: &Log) -> Outcome {
    let open = |id: &str| Container::open(&global.root, id).map_err(text);
    match command {
        Command::Create(options) => create_command(global, &options, log),
        Command::Run { create, detach, keep } => run_command(global, &create, detach, keep, log),
        Command::Start(id) => done(open(&id)?.start()),
        Command::State(id) => print_json(&open(&id)?.state().map_err(text)?),
        Command::Kill { id, signal, all } => done(open(&id)?.kill(signal, all)),
        Command::Delete { id, force } => match Container::open(&global.root, &id) {
            // runc: forcing away what is not there is no error.
            Err(ross_runtime::Error::NotFound(_)) if force => Ok(0),
            result => done(result.map_err(text)?.delete(force)),
        },
        Command::Exec(options) => exec_command(&open(&options.id)?, &options),
        Command::List { quiet, format } => list(&global.root, quiet, format),
        Command::Spec { bundle } => spec(&bundle),
        Command::Pause(id) => done(open(&id)?.pause()),
        Command::Resume(id) => done(open(&id)?.resume()),
        Command::Ps { id, format } => ps(&open(&id)?, format),
        Command::Update { id, resources } => update(&open(&id)?, &resources),
        Command::Help => print(USAGE),
        Command::Version => print(&format!(
            "ross-runtime version {}\nspec: {}\n",
            env!("CARGO_PKG_VERSION"),
            ross_runtime::OCI_VERSION
        )),
    }
}

fn text(error: ross_runtime::Error) -> String {
    with_sources(&error)
}

fn done(result: Result<(), ross_runtime::Error>) -> Outcome {
    result.map(|()| 0).map_err(text)
}

fn print(output: &str) -> Outcome {
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
) -> CreateOptions<'a> {
    CreateOptions {
        id: &options.id,
        root: &global.root,
        bundle: &options.bundle,
        stdio,
        preserve_fds: options.preserve_fds,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        cgroup_driver: CgroupDriver::Cgroupfs,
        release,
        pid_file: options.pid_file.as_deref(),
    }
}

/// Creates a container, and hands its console to the socket.
fn make(options: CreateOptions<'_>, socket: Option<&Path>) -> Result<Created, String> {
    let socket = socket.map(console::connect).transpose()?;
    let mut created = create(options).map_err(text)?;
    if let (Some(socket), Some(master)) = (&socket, &created.console) {
        if let Err(error) = console::send(socket, master) {
            // Without its console nobody can use it.
            let _ = created.container.delete(true);
            return Err(error);
        }
        created.console = None;
    }
    Ok(created)
}

fn create_command(global: &Global, options: &Create, log: &Log) -> Outcome {
    let stdio = if options.console_socket.is_some() { Stdio::Terminal } else { Stdio::Inherit };
    let created =
        make(create_options(global, options, stdio, Release::OnStart), options.console_socket.as_deref())?;
    report(log, &created);
    Ok(0)
}

fn run_command(global: &Global, options: &Create, detach: bool, keep: bool, log: &Log) -> Outcome {
    let socket = options.console_socket.as_deref();
    if socket.is_some() && !detach {
        return Err("run: --console-socket is for --detach".to_owned());
    }
    let stdio = match (socket, detach) {
        (Some(_), _) => Stdio::Terminal,
        (None, true) => Stdio::Inherit,
        (None, false) => Stdio::AsConfigured,
    };
    // Before the program exists: none of its signals can be missed.
    let signals =
        if detach { None } else { Some(Signals::collect().map_err(|errno| format!("signalfd: {errno}"))?) };
    let created = make(create_options(global, options, stdio, Release::AtOnce), socket)?;
    report(log, &created);
    let Some(signals) = signals else { return Ok(0) };
    let code = foreground::wait(&created.process, &signals, created.console);
    if !keep {
        created.container.delete(true).map_err(text)?;
    }
    code
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
    let socket = socket.map(console::connect).transpose()?;
    let signals = Signals::collect().map_err(|errno| format!("signalfd: {errno}"))?;
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
    if let (Some(socket), Some(master)) = (&socket, console.take_if(|_| socket.is_some())) {
        console::send(socket, &master)?;
    }
    let process: Process = executed.process;
    if let Some(path) = &options.pid_file {
        ross_runtime::write_pid_file(path, process.pid).map_err(text)?;
    }
    if options.detach { Ok(0) } else { foreground::wait(&process, &signals, console) }
}

fn list(root: &Path, quiet: bool, format: ListFormat) -> Outcome {
    let states = Container::list(root).map_err(text)?;
    if quiet {
        return print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>());
    }
    match format {
        ListFormat::Table => print(&render::table(&states)),
        ListFormat::Json => {
            print(&(serde_json::to_string(&states).map_err(|error| error.to_string())? + "\n"))
        }
    }
}

fn spec(bundle: &Path) -> Outcome {
    let path = bundle.join("config.json");
    let spec =
        serde_json::to_string_pretty(&ross_runtime::defaults::default_spec()).map_err(|e| e.to_string())?;
    let mut file =
        std::fs::File::create_new(&path).map_err(|error| format!("create {}: {error}", path.display()))?;
    file.write_all(spec.as_bytes()).map_err(|error| format!("write {}: {error}", path.display()))?;
    Ok(0)
}

fn ps(container: &Container, format: ListFormat) -> Outcome {
    let pids = container.cgroup().and_then(|cgroup| cgroup.pids().map_err(ross_runtime::Error::Cgroup));
    let mut pids = pids.map_err(text)?;
    pids.sort_unstable();
    if format == ListFormat::Json {
        return print(&format!("{}\n", serde_json::to_string(&pids).map_err(|error| error.to_string())?));
    }
    let mut table = "PID\tCMD\n".to_owned();
    for pid in pids {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        table.push_str(&format!("{pid}\t{}\n", words.join(" ").trim_end()));
    }
    print(&table)
}

fn update(container: &Container, resources: &Path) -> Outcome {
    let read = if resources == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map(String::into_bytes)
    } else {
        std::fs::read(resources)
    };
    let bytes = read.map_err(|error| format!("read {}: {error}", resources.display()))?;
    let resources =
        LinuxResources::parse(&bytes).map_err(|error| format!("{}: {error}", resources.display()))?;
    done(container.update(&resources))
}
