//! What a caller says to create a container or to run a process in one, and what it gets back.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::spec;

/// Where the standard streams of a process come from.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The caller's own.
    #[default]
    Inherit,
    /// These.
    Fds {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A pseudo terminal of the container's own devpts; its master is handed back.
    Terminal,
    /// A terminal when the configuration wants one, else the caller's own.
    AsConfigured,
}

/// How the cgroup of a container is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// By writing to the cgroup file system.
    #[default]
    Cgroupfs,
    /// By systemd, as a transient scope; `linux.cgroupsPath` is `slice:prefix:name`.
    Systemd,
}

/// When the program of a container is executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Release {
    /// As soon as the container is set up.
    AtOnce,
    /// When `Container::start` says so, from whichever process.
    #[default]
    OnStart,
}

/// Sockets that a service manager has opened for the program: the descriptors from 3 on (sd_listen_fds(3)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activation {
    /// How many.
    pub count: u32,
    /// Their names, with colons between them.
    pub names: Option<String>,
}

/// What `create` needs to know.
#[derive(Debug)]
pub struct CreateOptions<'a> {
    /// Name of the container, `[A-Za-z0-9_+-][A-Za-z0-9_+.-]*`.
    pub id: &'a str,
    /// Directory the runtime keeps its state in, such as /run/ross/runtime.
    pub root: &'a Path,
    /// Directory with `config.json`.
    pub bundle: &'a Path,
    /// Standard streams of the program; [`Stdio::Terminal`] and `process.terminal` go together.
    pub stdio: Stdio,
    /// Sockets for the program, which learns of them by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
    pub activation: Option<Activation>,
    /// Whether the program gets a socket to tell that it is ready, which it finds by NOTIFY_SOCKET (sd_notify(3)): the
    /// other end is in `Created::notifications`, or that of `Container::notifications`.
    pub notify: bool,
    /// How many descriptors from 3 on, or behind those sockets, the program keeps.
    pub preserve_fds: u32,
    /// Whether the root is moved and not pivoted, for a host that runs from an initramfs.
    pub no_pivot: bool,
    /// Whether the session keyring stays the caller's.
    pub no_new_keyring: bool,
    /// How the cgroup is made.
    pub cgroup_driver: CgroupDriver,
    /// When the program is executed.
    pub release: Release,
    /// File the process id is written to.
    pub pid_file: Option<&'a Path>,
}

impl<'a> CreateOptions<'a> {
    /// Options with the caller's streams and every default.
    #[must_use]
    pub fn new(id: &'a str, root: &'a Path, bundle: &'a Path) -> Self {
        Self {
            id,
            root,
            bundle,
            stdio: Stdio::Inherit,
            activation: None,
            notify: false,
            preserve_fds: 0,
            no_pivot: false,
            no_new_keyring: false,
            cgroup_driver: CgroupDriver::Cgroupfs,
            release: Release::OnStart,
            pid_file: None,
        }
    }
}

/// What `Container::exec` needs to know.
#[derive(Debug)]
pub struct ExecOptions<'a> {
    /// The program; `spec.process` of the container where it is to be the same.
    pub process: spec::Process,
    /// Its standard streams.
    pub stdio: Stdio,
    /// How many descriptors from 3 on it keeps.
    pub preserve_fds: u32,
    /// A cgroup below the container's own to run in.
    pub cgroup: Option<&'a str>,
    /// Whether it may join a paused container (where it hangs until that is resumed).
    pub ignore_paused: bool,
}

impl ExecOptions<'_> {
    /// Options with the caller's streams and every default.
    #[must_use]
    pub fn new(process: spec::Process) -> Self {
        Self { process, stdio: Stdio::Inherit, preserve_fds: 0, cgroup: None, ignore_paused: false }
    }
}

/// A process started by the runtime: a direct child of the caller, who reaps it.
#[derive(Debug)]
pub struct Process {
    /// Its id, as the caller sees it.
    pub pid: i32,
    /// Its handle, for waiting and signals.
    pub pidfd: OwnedFd,
}

/// What `Container::exec` started.
#[derive(Debug)]
pub struct Executed {
    /// The program.
    pub process: Process,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
}
