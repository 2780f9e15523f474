//! How a shim begins: it leaves its daemon's session, lets go of everything it inherited, and listens.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ross_sys::signalfd::Signals;
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid};

use super::oom::OomScore;
use super::serve::Supervisor;
use crate::config::{READY, SOCKET_FILE, ShimConfig};

/// The name of the file in the container's directory where a shim that goes wrong leaves a word.
const OWN_LOG: &str = "shim.log";

/// What a shim is told on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The container's id. It is there for people who read process lists.
    pub id: String,
    /// The container's state directory, with `shim.json`.
    pub dir: PathBuf,
    /// The container's directory that outlives a reboot.
    pub root: PathBuf,
}

/// Why a shim cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct SetupError {
    operation: String,
    source: io::Error,
}

/// Runs a shim until it is told to leave.
///
/// Begin of a process: nothing else may be open or running. Says [`READY`] on standard output when the
/// socket listens, and closes standard output and error then.
///
/// # Errors
/// When it cannot be set up, or the kernel refuses what must work.
pub fn run(arguments: &Arguments) -> Result<(), SetupError> {
    detach().map_err(failed("detach from the daemon"))?;
    keep_panics(arguments.root.join(OWN_LOG));
    let dir = &arguments.dir;
    let config = ShimConfig::read(dir)
        .map_err(|source| failed(format!("read the shim configuration in {}", dir.display()))(source))?;
    if config.id != arguments.id {
        let source = io::Error::new(io::ErrorKind::InvalidData, format!("it is for container {}", config.id));
        return Err(failed(format!("use the shim configuration in {}", dir.display()))(source));
    }
    let oom_score = OomScore::protect();
    let signals = Signals::collect().map_err(|errno| failed("collect signals")(errno.into()))?;
    let listener = listen(dir).map_err(|source| failed(format!("listen in {}", dir.display()))(source))?;
    let (socket, own_log) = (dir.join(SOCKET_FILE), arguments.root.join(OWN_LOG));
    let mut supervisor = Supervisor::new(config, oom_score, signals, listener, socket, own_log)
        .map_err(failed("prepare to supervise"))?;
    say_ready().map_err(failed("tell the daemon"))?;
    supervisor.run().map_err(failed("supervise"))
}

fn failed(operation: impl Into<String>) -> impl FnOnce(io::Error) -> SetupError {
    let operation = operation.into();
    move |source| SetupError { operation, source }
}

/// Makes the process its own master: session, name, children, nothing inherited.
fn detach() -> io::Result<()> {
    ross_sys::inherit::close_inherited();
    // That it leads a session already happens when it is started by hand, from a shell.
    if let Err(errno) = rustix::process::setsid()
        && errno != rustix::io::Errno::PERM
    {
        return Err(errno.into());
    }
    rustix::thread::set_name(c"ross-shim")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::set_child_subreaper(Pid::from_raw(1))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    Ok(rustix::process::chdir("/")?)
}

/// Binds the socket by a relative name: an absolute one may be too long for an address (`unix(7)`).
fn listen(dir: &Path) -> io::Result<UnixListener> {
    rustix::process::chdir(dir)?;
    match std::fs::remove_file(SOCKET_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(SOCKET_FILE);
    rustix::process::umask(before);
    rustix::process::chdir("/")?;
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells the launcher that the socket listens, and lets go of the pipe. Fails when there is no launcher any more.
fn say_ready() -> io::Result<()> {
    rustix::io::write(rustix::stdio::stdout(), READY)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(null.as_fd())?;
    Ok(())
}

/// Leaves the text of a panic where someone may find it.
fn keep_panics(path: PathBuf) {
    std::panic::set_hook(Box::new(move |panic| note(&path, &panic.to_string())));
}

/// Appends a line to the shim's own log. There is nobody to tell when that fails.
pub(super) fn note(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{text}"));
}
