//! The numbers a child reported, as an error in words.

use rustix::io::Errno;

use crate::child::{Failure, HookFailure, Stage};
use crate::error::Error;
use crate::plan::device_paths;
use crate::spec::{Hook, Mount, Process, Spec};

/// Says what a failure of a child was about.
pub(crate) fn explain(failure: Failure, spec: &Spec, process: &Process) -> Error {
    let errno = Errno::from_raw_os_error(failure.errno);
    let step = match failure.stage {
        Stage::Exec => {
            return Error::Exec { program: process.args.first().cloned().unwrap_or_default(), errno };
        }
        Stage::CreateContainerHook => return hook(failure, spec, "createContainer"),
        Stage::StartContainerHook => return hook(failure, spec, "startContainer"),
        stage => describe(stage, usize::from(failure.index), spec, process),
    };
    let step = match newer_calls(failure.stage) {
        Some(calls) if errno == Errno::NOSYS => format!("{step}: {calls}"),
        _ => step,
    };
    Error::Setup { step, errno }
}

/// What a step needs of calls that are newer than Linux 5.0: if one is not there, it is one of these.
fn newer_calls(stage: Stage) -> Option<&'static str> {
    Some(match stage {
        Stage::Propagation | Stage::MountChange | Stage::RootReadonly | Stage::RootPropagation => {
            "mount_setattr"
        }
        Stage::MountTarget | Stage::DeviceDirectory | Stage::Device => "openat2",
        Stage::MountNew => "fsopen, fsconfig or fsmount",
        Stage::MountParameter => "fsconfig",
        Stage::RootAttach | Stage::MountAttach => "move_mount",
        Stage::MaskedPath | Stage::ReadonlyPath | Stage::Terminal => "openat2, open_tree or move_mount",
        Stage::Sysctl | Stage::AppArmor | Stage::Selinux => "openat2 or fsopen",
        Stage::PreserveFds => "close_range",
        _ => return None,
    })
}

fn hook(failure: Failure, spec: &Spec, kind: &'static str) -> Error {
    let hooks = spec.hooks.as_ref();
    let list = match kind {
        "createContainer" => hooks.map(|hooks| &hooks.create_container),
        _ => hooks.map(|hooks| &hooks.start_container),
    };
    let hook = list.and_then(|list| list.get(usize::from(failure.index)));
    hook_error(kind, hook, HookFailure::from_number(failure.errno))
}

/// A failed hook in words.
pub(crate) fn hook_error(kind: &'static str, hook: Option<&Hook>, failure: HookFailure) -> Error {
    let reason = match failure {
        HookFailure::Run(errno) => ross_sys::error::describe(errno),
        HookFailure::Exited(127) => "cannot be executed (exit code 127)".to_owned(),
        HookFailure::Exited(code) => format!("exit code {code}"),
        HookFailure::Killed(signal) => format!("killed by signal {signal}"),
        HookFailure::TimedOut => "timed out and was killed".to_owned(),
    };
    Error::Hook { kind, path: hook.map(|hook| hook.path.clone()).unwrap_or_default(), reason }
}

/// A mount by its source, target and type, each as far as it says more than the others.
fn mount_in_words(mount: &Mount) -> String {
    let kind = mount.kind.as_deref().unwrap_or_default();
    let target = &mount.destination;
    match mount.source.as_deref().unwrap_or_default() {
        "" => format!("{kind} on {target}"),
        source if source == kind || kind.is_empty() => format!("{source} on {target}"),
        source => format!("{source} on {target} (type {kind})"),
    }
}

fn describe(stage: Stage, index: usize, spec: &Spec, process: &Process) -> String {
    let linux = spec.linux.as_ref();
    let mount = |what: &str| match spec.mounts.get(index) {
        Some(mount) => format!("mount {}: {what}", mount_in_words(mount)),
        None => format!("mount: {what}"),
    };
    let item =
        |list: Option<&Vec<String>>| list.and_then(|list| list.get(index)).cloned().unwrap_or_default();
    match stage {
        Stage::Sync => "talk with the runtime".to_owned(),
        Stage::Join => "join the namespaces".to_owned(),
        Stage::Affinity => "set process.execCPUAffinity.final".to_owned(),
        Stage::Scheduler => "set process.scheduler".to_owned(),
        Stage::IoPriority => "set process.ioPriority".to_owned(),
        Stage::CgroupNamespace => "make a cgroup namespace".to_owned(),
        Stage::MapIds => "map the ids of the user namespace".to_owned(),
        Stage::OomScore => "set process.oomScoreAdj".to_owned(),
        Stage::Propagation => "cut off the mount namespace".to_owned(),
        Stage::RootPlace | Stage::RootAttach => {
            format!(
                "put the root {} in place",
                spec.root.as_ref().map(|root| root.path.as_str()).unwrap_or_default()
            )
        }
        Stage::MountTarget => mount("open the target in the root"),
        Stage::MountOverProc => mount("the target is inside /proc, which may not be covered"),
        Stage::MountNew => mount("make the file system"),
        Stage::MountParameter => mount("set the options"),
        Stage::MountCopyUp => mount("copy what the target holds"),
        Stage::MountAttach => mount("attach"),
        Stage::MountChange => mount("change the attributes"),
        Stage::DeviceDirectory => "open /dev in the root".to_owned(),
        Stage::Device => {
            format!("make device {}", device_paths(spec.linux()).nth(index).unwrap_or_default())
        }
        Stage::DeviceLink => "make the links of /dev".to_owned(),
        Stage::Terminal => "open a terminal of the container's /dev/pts".to_owned(),
        Stage::Stdio => "connect the standard streams".to_owned(),
        Stage::Null => "open /dev/null of the container for the standard streams".to_owned(),
        Stage::Hostname => format!("set hostname {}", spec.hostname),
        Stage::Domainname => format!("set domainname {}", spec.domainname),
        Stage::Sysctl => {
            let name = linux.and_then(|linux| linux.sysctl.keys().nth(index)).cloned().unwrap_or_default();
            format!("set linux.sysctl.{name}")
        }
        Stage::MaskedPath => format!("mask {}", item(linux.map(|linux| &linux.masked_paths))),
        Stage::ReadonlyPath => format!("make {} read-only", item(linux.map(|linux| &linux.readonly_paths))),
        Stage::Pivot => "change the root".to_owned(),
        Stage::AppArmor => format!("set AppArmor profile {}", process.apparmor_profile),
        Stage::Selinux => format!("set SELinux label {}", process.selinux_label),
        Stage::WorkingDirectory => format!("chdir to process.cwd {}", process.cwd),
        Stage::RootReadonly => "make the root read-only".to_owned(),
        Stage::RootPropagation => "set linux.rootfsPropagation".to_owned(),
        Stage::Keyring => "make a session keyring".to_owned(),
        Stage::Personality => "set linux.personality".to_owned(),
        Stage::MemoryPolicy => "set linux.memoryPolicy".to_owned(),
        Stage::Rlimit => {
            format!(
                "set process.rlimits {}",
                process.rlimits.get(index).map_or("", |limit| limit.kind.as_str())
            )
        }
        Stage::PreserveFds => "keep descriptors across exec".to_owned(),
        Stage::Groups => "set process.user.additionalGids".to_owned(),
        Stage::User => format!("set process.user {}:{}", process.user.uid, process.user.gid),
        Stage::Capabilities => "set process.capabilities".to_owned(),
        Stage::NoNewPrivileges => "set process.noNewPrivileges".to_owned(),
        Stage::Seccomp => "load linux.seccomp".to_owned(),
        Stage::CreateContainerHook | Stage::StartContainerHook | Stage::Exec => String::new(),
    }
}
