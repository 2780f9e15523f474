//! The phases of a run, told apart by the calls that begin them.
//!
//! The way to the end goes through the runtime until clone3, through its child until that has ended, and through the
//! runtime again. A call has the time until the next one begins, on that way: with the thinking that follows it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::Share;
use super::log::{Event, Kind};

/// In the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Start,
    Protect,
    Load,
    State,
    Cgroup,
    Devices,
    Sources,
    Clone,
    Namespaces,
    Mounts,
    Nodes,
    Masks,
    Pivot,
    Sysctl,
    Credentials,
    Seccomp,
    Exec,
    Program,
    CleanUp,
    Beside,
}

impl Phase {
    pub const ALL: [Self; 20] = [
        Self::Start,
        Self::Protect,
        Self::Load,
        Self::State,
        Self::Cgroup,
        Self::Devices,
        Self::Sources,
        Self::Clone,
        Self::Namespaces,
        Self::Mounts,
        Self::Nodes,
        Self::Masks,
        Self::Pivot,
        Self::Sysctl,
        Self::Credentials,
        Self::Seccomp,
        Self::Exec,
        Self::Program,
        Self::CleanUp,
        Self::Beside,
    ];

    /// For the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Start => "exec of the runtime",
            Self::Protect => "exec of itself from a read-only mount",
            Self::Load => "arguments, signals, config.json",
            Self::State => "state directory",
            Self::Cgroup => "cgroup and its limits",
            Self::Devices => "device program",
            Self::Sources => "root and sources of mounts, the plan",
            Self::Clone => "clone3 into namespaces and cgroup",
            Self::Namespaces => "child: namespaces, propagation, root in place",
            Self::Mounts => "child: mounts",
            Self::Nodes => "child: device nodes, host name",
            Self::Masks => "child: masked and read-only paths",
            Self::Pivot => "child: pivot_root",
            Self::Sysctl => "child: sysctls",
            Self::Credentials => "child: descriptors, keyring, limits, capabilities, ids",
            Self::Seccomp => "child: seccomp",
            Self::Exec => "child: exec",
            Self::Program => "the program, the end of its namespaces",
            Self::CleanUp => "clean-up: cgroup, state",
            Self::Beside => "the runtime beside its child: state file",
        }
    }

    /// The phase of a call of the runtime before clone3.
    fn before_clone(self, call: &str) -> Self {
        match call {
            _ if call.starts_with("clone3(") => Self::Clone,
            _ if call.starts_with("open_tree(") && call.contains("\"/proc/self/exe\"") => Self::Protect,
            // The first call of the runtime proper, in either of its two lives.
            _ if call.starts_with("signalfd4(") || call.contains("/config.json\"") => Self::Load,
            _ if call.starts_with("mkdir(") => Self::State,
            _ if call.contains("\"/sys/fs/cgroup\"") => Self::Cgroup,
            _ if call.starts_with("bpf(") => Self::Devices,
            _ if call.starts_with("open_tree(") => Self::Sources,
            _ => self,
        }
    }

    /// The phase of a call of the child.
    fn of_child(self, call: &str) -> Self {
        let begins = |name: &str| call.starts_with(name);
        match self {
            Self::Clone => Self::Namespaces,
            Self::Namespaces if begins("openat2(") => Self::Mounts,
            Self::Mounts if begins("mknodat(") || begins("symlinkat(") => Self::Nodes,
            Self::Nodes if begins("openat2(") || call.contains("\"sys/") => Self::in_root(call),
            Self::Sysctl | Self::Masks if call.contains("\"sys/") || begins("openat2(") => {
                Self::in_root(call)
            }
            Self::Nodes | Self::Sysctl | Self::Masks if begins("fchdir(") => Self::Pivot,
            Self::Pivot if begins("close_range(") => Self::Credentials,
            Self::Pivot | Self::Credentials | Self::Seccomp if begins("execve") => Self::Exec,
            Self::Pivot | Self::Credentials if begins("seccomp(") => Self::Seccomp,
            Self::Seccomp => Self::Credentials,
            Self::Exec | Self::Program => Self::Program,
            phase => phase,
        }
    }

    /// Masks are opened by their whole path, parameters of the kernel below a procfs.
    fn in_root(call: &str) -> Self {
        if call.contains("\"sys/") { Self::Sysctl } else { Self::Masks }
    }
}

/// Cuts a log into phases; what strace adds to each call is taken off.
pub fn shares(events: &[Event]) -> Result<BTreeMap<Phase, Share>> {
    let way = way(events)?;
    let stops = strace_per_call(&way)?;
    let mut shares = BTreeMap::<Phase, Share>::new();
    for pair in way.windows(2) {
        let [(phase, event), (_, next)] = pair else { continue };
        let share = shares.entry(*phase).or_default();
        share.calls += usize::from(event.kind == Kind::Call);
        share.micros += ((next.time - event.time) * 1e6 - stops).max(0.0);
    }
    let runtime = events[0].pid;
    let beside = events.iter().filter(|event| event.pid == runtime && event.kind == Kind::Call);
    let beside = beside.skip_while(|event| !event.text.starts_with("clone3(")).skip(1);
    let calls = beside.take_while(|event| !event.text.starts_with("recvmsg(")).count();
    shares.insert(Phase::Beside, Share { calls, micros: 0.0 });
    Ok(shares)
}

/// The events on the way to the end, each with its phase.
fn way(events: &[Event]) -> Result<Vec<(Phase, &Event)>> {
    let runtime = events.first().context("an empty log")?.pid;
    let child = events.iter().find(|event| event.pid != runtime).context("no child")?.pid;
    let mut way: Vec<(Phase, &Event)> = Vec::new();
    let mut phase = Phase::Start;
    for event in events.iter().filter(|event| event.pid == runtime && event.kind == Kind::Call) {
        phase = phase.before_clone(&event.text);
        way.push((phase, event));
        if phase == Phase::Clone {
            break;
        }
    }
    ensure!(phase == Phase::Clone, "no clone3");
    for event in events.iter().filter(|event| event.pid == child && event.kind == Kind::Call) {
        phase = phase.of_child(&event.text);
        way.push((phase, event));
    }
    ensure!(phase == Phase::Program, "the child came no further than {phase:?}");
    let (_, last) = way.last().context("no events")?;
    let after = last.time;
    way.extend(
        events
            .iter()
            .filter(|event| event.pid == runtime && event.time > after)
            .map(|event| (Phase::CleanUp, event)),
    );
    Ok(way)
}

/// What strace adds to a call, µs: the median of those that drop a capability from the bounding set, which is a few
/// instructions for the kernel.
fn strace_per_call(way: &[(Phase, &Event)]) -> Result<f64> {
    let nothing = |event: &Event| event.text.starts_with("prctl(PR_CAPBSET_DROP");
    let mut seen: Vec<f64> = way
        .windows(2)
        .filter(|pair| nothing(pair[0].1))
        .map(|pair| (pair[1].1.time - pair[0].1.time) * 1e6)
        .collect();
    ensure!(!seen.is_empty(), "no capability is dropped");
    seen.sort_by(f64::total_cmp);
    Ok(seen[seen.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::super::log::parse;
    use super::*;

    /// A run of few calls, ten microseconds apart; the two that drop capabilities take ten each.
    const LOG: &str = "\
7 1.000000 execve(\"/r\", [\"/r\"], 0x1 /* 1 var */) = 0
7 1.000110 open_tree(AT_FDCWD, \"/proc/self/exe\", OPEN_TREE_CLONE) = 3
7 1.000120 signalfd4(-1, [], 8, SFD_CLOEXEC) = 3
7 1.000130 mkdir(\"/state/x\", 0700) = 0
7 1.000140 open(\"/sys/fs/cgroup\", O_RDONLY) = 4
7 1.000150 bpf(BPF_PROG_LOAD, {}) = 5
7 1.000160 open_tree(AT_FDCWD, \"/b/rootfs\", OPEN_TREE_CLONE) = 6
7 1.000170 clone3({flags=CLONE_NEWNS}, 88) = 8
8 1.000300 umask(000 <unfinished ...>
7 1.000305 openat(AT_FDCWD, \"/state/x/state.json\", O_WRONLY) = 9
8 1.000306 <... umask resumed>) = 022
7 1.000309 recvmsg(8,  <unfinished ...>
8 1.000310 openat2(6, \"/proc\", {}, 24) = 11
8 1.000320 mknodat(33, \"null\", S_IFCHR|0666, makedev(0x1, 0x3)) = 0
8 1.000330 openat2(6, \"/proc/acpi\", {}, 24) = 34
8 1.000340 fchdir(6) = 0
8 1.000350 close_range(3, 8, 0) = 0
8 1.000360 prctl(PR_CAPBSET_DROP, CAP_CHOWN) = 0
8 1.000370 prctl(PR_CAPBSET_DROP, CAP_KILL) = 0
8 1.000380 seccomp(SECCOMP_SET_MODE_FILTER, 0, {}) = 0
8 1.000480 execve(\"/bin/true\", [\"/bin/true\"], 0x1) = 0
8 1.000500 exit_group(0) = ?
7 1.000600 <... recvmsg resumed>) = 0
8 1.000601 +++ exited with 0 +++
7 1.000610 unlinkat(4, \"x\", AT_REMOVEDIR) = 0
7 1.000640 +++ exited with 0 +++
";

    #[test]
    fn a_run() {
        let shares = shares(&parse(LOG).unwrap()).unwrap();
        let check = |phase: Phase, calls: usize, micros: f64| {
            let share = shares[&phase];
            assert_eq!(share.calls, calls, "{phase:?}");
            assert!((share.micros - micros).abs() < 0.5, "{phase:?}: {share:?}");
        };
        check(Phase::Start, 1, 100.0);
        check(Phase::Protect, 1, 0.0);
        check(Phase::Clone, 1, 120.0);
        check(Phase::Mounts, 1, 0.0);
        check(Phase::Masks, 1, 0.0);
        check(Phase::Seccomp, 1, 90.0);
        check(Phase::Exec, 1, 10.0);
        check(Phase::Program, 1, 90.0);
        check(Phase::CleanUp, 1, 20.0);
        check(Phase::Beside, 1, 0.0);
    }

    #[test]
    fn no_run() {
        assert!(shares(&parse("7 1.0 execve(\"/r\") = 0\n").unwrap()).is_err());
        assert!(parse("strace: exec: no such file").is_err());
    }
}
