//! The program and its surroundings, for the first process of a container and for those that join it.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use ross_sys::exec::{ALL_SIGNALS, CStringArray};
use ross_sys::seccomp::{Flags, Instruction};
use rustix::process::{Resource, Rlimit};
use rustix::termios::Winsize;
use rustix::thread::CapabilitySet;
use rustix::{fs::Mode, process::Gid, process::Uid};

use crate::error::Error;
use crate::options::Stdio;
use crate::seccomp::Listener;
use crate::spec::{self, KNOWN_CAPABILITIES, Linux};
use crate::state::process_stat;

use super::affinity::AffinityPlan;
use super::{MemoryPolicyPlan, SchedulingPlan, c_string, selinux};

/// A process, ready to be executed.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    /// Where the program may be, in order.
    pub candidates: Vec<CString>,
    pub args: CStringArray,
    pub env: CStringArray,
    /// The place in `env` that waits for the home directory of /etc/passwd.
    pub home: Option<usize>,
    pub cwd: CString,
    pub uid: Uid,
    pub gid: Gid,
    pub groups: Vec<Gid>,
    pub umask: Mode,
    pub capabilities: CapabilityPlan,
    pub rlimits: Vec<(Resource, Rlimit)>,
    pub no_new_privileges: bool,
    pub seccomp: Option<SeccompPlan>,
    /// Text for /proc/self/oom_score_adj.
    pub oom_score_adj: Option<String>,
    /// Text for /proc/self/attr/apparmor/exec.
    pub apparmor: Option<String>,
    /// Text for /proc/self/attr/exec.
    pub selinux: Option<String>,
    /// Name of the session keyring.
    pub keyring: Option<CString>,
    pub personality: Option<u32>,
    /// Those of the runtime, which the program is not to inherit; bit 0 is signal 1.
    pub ignored_signals: u32,
    pub stdio: StdioPlan,
    pub preserve_fds: u32,
    pub scheduling: SchedulingPlan,
    pub memory_policy: Option<MemoryPolicyPlan>,
    /// For an exec only: the first process of a container has the CPUs of its cgroup.
    pub affinity: AffinityPlan,
    /// Whether it waits until the parent has put it into its group of resctrl, and left it alone in its scope of systemd.
    pub waits_for_groups: bool,
}

/// The five sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CapabilityPlan {
    pub bounding: CapabilitySet,
    pub effective: CapabilitySet,
    pub inheritable: CapabilitySet,
    pub permitted: CapabilitySet,
    pub ambient: CapabilitySet,
}

/// The filter.
#[derive(Debug)]
pub(crate) struct SeccompPlan {
    pub instructions: Vec<Instruction>,
    pub flags: Flags,
    /// Who decides about some of the calls.
    pub listener: Option<Listener>,
}

/// Standard streams.
#[derive(Debug)]
pub(crate) enum StdioPlan {
    Inherit,
    Fds([OwnedFd; 3]),
    Terminal(Option<Winsize>),
}

/// What a process without PATH gets searched: that of a login by root.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Room for `HOME=`, a path and a NUL.
pub(crate) const HOME_ROOM: usize = 512;

impl ProcessPlan {
    pub(crate) fn new(
        process: &spec::Process,
        linux: &Linux,
        stdio: Stdio,
        preserve_fds: u32,
        keyring: Option<String>,
    ) -> Result<Self, Error> {
        let stdio = match (stdio, process.terminal) {
            (Stdio::Terminal | Stdio::AsConfigured, true) => {
                StdioPlan::Terminal(process.console_size.as_ref().map(winsize))
            }
            (Stdio::Terminal, false) => {
                return Err(Error::Options("a console is offered, but process.terminal is false".to_owned()));
            }
            (_, true) => {
                return Err(Error::Options("process.terminal is true, but no console is offered".to_owned()));
            }
            (Stdio::Inherit | Stdio::AsConfigured, false) => StdioPlan::Inherit,
            (Stdio::Fds { stdin, stdout, stderr }, false) => StdioPlan::Fds([stdin, stdout, stderr]),
        };
        let mut env = CStringArray::new(super::c_strings(&process.env));
        let home = process.env.iter().all(|text| !text.starts_with("HOME=")).then_some(process.env.len());
        if home.is_some() {
            env = env.with_room(c_string("HOME=/"), HOME_ROOM);
        }
        let seccomp =
            linux.seccomp.as_ref().map(crate::seccomp::compile).transpose().map_err(Error::Seccomp)?;
        Ok(Self {
            candidates: candidates(process),
            args: CStringArray::new(super::c_strings(&process.args)),
            env,
            home,
            cwd: c_string(process.cwd.as_str()),
            uid: Uid::from_raw_unchecked(process.user.uid),
            gid: Gid::from_raw_unchecked(process.user.gid),
            groups: process.user.additional_gids.iter().map(|&gid| Gid::from_raw_unchecked(gid)).collect(),
            umask: Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)),
            capabilities: CapabilityPlan::new(
                process.capabilities.as_ref().unwrap_or(&spec::Capabilities::default()),
            ),
            rlimits: process.rlimits.iter().map(rlimit).collect(),
            no_new_privileges: process.no_new_privileges,
            seccomp: seccomp.map(|p| SeccompPlan {
                instructions: p.instructions,
                flags: p.flags,
                listener: p.listener,
            }),
            oom_score_adj: process.oom_score_adj.map(|value| value.to_string()),
            apparmor: Some(process.apparmor_profile.as_str())
                .filter(|name| !name.is_empty())
                .map(|name| format!("exec {name}")),
            selinux: selinux::label("process.selinuxLabel", &process.selinux_label)?,
            keyring: keyring.map(c_string),
            personality: linux.personality.as_ref().map(|personality| match personality.domain.as_str() {
                "LINUX32" => ross_sys::personality::LINUX32,
                _ => ross_sys::personality::LINUX,
            }),
            ignored_signals: process_stat("self").map_or(ALL_SIGNALS, |stat| stat.ignored),
            stdio,
            preserve_fds,
            scheduling: SchedulingPlan::new(process)?,
            memory_policy: linux.memory_policy.as_ref().map(MemoryPolicyPlan::new).transpose()?,
            affinity: AffinityPlan::new(process.exec_cpu_affinity.as_ref())?,
            waits_for_groups: linux.intel_rdt.is_some(),
        })
    }
}

impl ProcessPlan {
    /// Whether an agent decides about some of its calls.
    pub(crate) fn is_notified(&self) -> bool {
        self.listener().is_some()
    }

    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.seccomp.as_ref().and_then(|filter| filter.listener.as_ref())
    }
}

fn winsize(size: &spec::ConsoleSize) -> Winsize {
    let clamp = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    Winsize { ws_row: clamp(size.height), ws_col: clamp(size.width), ws_xpixel: 0, ws_ypixel: 0 }
}

fn candidates(process: &spec::Process) -> Vec<CString> {
    let program = process.args[0].as_str();
    if program.contains('/') {
        return vec![c_string(program)];
    }
    let path = process.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH="));
    let in_dir = |dir: &str| match dir {
        // POSIX: an empty entry is the working directory.
        "" => c_string(format!("./{program}")),
        dir => c_string(format!("{dir}/{program}")),
    };
    path.unwrap_or(DEFAULT_PATH).split(':').map(in_dir).collect()
}

fn rlimit(limit: &spec::Rlimit) -> (Resource, Rlimit) {
    let value = |value: u64| (value != u64::MAX).then_some(value);
    let resource = match limit.kind.as_str() {
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_STACK" => Resource::Stack,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        _ => Resource::Nofile,
    };
    (resource, Rlimit { current: value(limit.soft), maximum: value(limit.hard) })
}

impl CapabilityPlan {
    fn new(sets: &spec::Capabilities) -> Self {
        let set = |names: &[String]| {
            let bit = |name: &String| KNOWN_CAPABILITIES.iter().position(|known| known == name);
            let bits = names.iter().filter_map(bit).fold(0_u64, |bits, bit| bits | 1 << bit);
            CapabilitySet::from_bits_retain(bits)
        };
        let inheritable = set(&sets.inheritable);
        Self {
            bounding: set(&sets.bounding),
            effective: set(&sets.effective),
            inheritable,
            permitted: set(&sets.permitted),
            // The kernel refuses what is not inheritable. What `runc spec` writes asks for it, and runc goes on without.
            ambient: set(&sets.ambient) & inheritable,
        }
    }
}

/// Names of a configuration that no kernel known to ross has, for a warning: they are dropped.
pub(crate) fn unknown_capabilities(sets: &spec::Capabilities) -> Vec<String> {
    let lists = [&sets.bounding, &sets.effective, &sets.inheritable, &sets.permitted, &sets.ambient];
    let unknown = lists.into_iter().flatten().filter(|name| !KNOWN_CAPABILITIES.contains(&name.as_str()));
    let names: std::collections::BTreeSet<&String> = unknown.collect();
    names.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_programs_are() {
        let check = |program: &str, path: Option<&str>, expected: &[&str]| {
            let process = spec::Process {
                args: vec![program.to_owned()],
                env: path.map(|path| format!("PATH={path}")).into_iter().collect(),
                ..spec::Process::default()
            };
            let expected: Vec<CString> = expected.iter().map(|&text| c_string(text)).collect();
            assert_eq!(candidates(&process), expected);
        };
        check("/bin/sh", Some("/a"), &["/bin/sh"]);
        check("./sh", Some("/a"), &["./sh"]);
        check("sh", Some("/a:/b"), &["/a/sh", "/b/sh"]);
        check("sh", Some("/a::b"), &["/a/sh", "./sh", "b/sh"]);
        assert_eq!(candidates(&spec::Process { args: vec!["x".into()], ..Default::default() }).len(), 6);
    }

    #[test]
    fn capability_bits() {
        let sets = spec::Capabilities {
            bounding: vec!["CAP_CHOWN".into(), "CAP_CHECKPOINT_RESTORE".into(), "CAP_FLY".into()],
            ..Default::default()
        };
        assert_eq!(CapabilityPlan::new(&sets).bounding.bits(), 1 | 1 << 40);
        let half = spec::Capabilities {
            ambient: vec!["CAP_CHOWN".into(), "CAP_KILL".into()],
            inheritable: vec!["CAP_KILL".into()],
            ..Default::default()
        };
        assert_eq!(CapabilityPlan::new(&half).ambient.bits(), 1 << 5);
        assert_eq!(unknown_capabilities(&sets), ["CAP_FLY"]);
    }
}
