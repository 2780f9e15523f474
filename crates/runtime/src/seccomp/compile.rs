//! The way in: a profile of `config.json` to a [`Program`].

use std::path::PathBuf;

use ross_sys::seccomp::{Flags, Instruction};

use crate::spec::{Seccomp, SeccompArch, SeccompFlag};

use super::SeccompError;
use super::emit::emit;
use super::rules::Rules;
use super::syscalls::Abi;

/// The longest program the kernel takes (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// A compiled filter, ready for `ross_sys::seccomp::load`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What the kernel runs for every call.
    pub instructions: Vec<Instruction>,
    /// How it is loaded. NEW_LISTENER is among them exactly when there is a [`Program::listener`].
    pub flags: Flags,
    /// Who decides about calls with the action SCMP_ACT_NOTIFY.
    pub listener: Option<Listener>,
}

/// The agent that gets the listener's descriptor, over a Unix socket (config-linux.md, "Container Process State").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its socket, a path of the runtime's mount namespace.
    pub path: PathBuf,
    /// What it is told beside the container's state.
    pub metadata: String,
}

/// Compiles a profile for the machine this runs on.
pub fn compile(profile: &Seccomp) -> Result<Program, SeccompError> {
    compile_for(NATIVE?, profile)
}

/// Compiles a profile for a machine of which `native` is the first architecture.
pub fn compile_for(native: Abi, profile: &Seccomp) -> Result<Program, SeccompError> {
    let rules = Rules::new(profile)?;
    let flags = flags(profile, rules.notifies)?;
    let instructions = emit(&rules, &abis(native, &profile.architectures));
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong { instructions: instructions.len() });
    }
    let listener = rules.notifies.then(|| Listener {
        path: PathBuf::from(&profile.listener_path),
        metadata: profile.listener_metadata.clone(),
    });
    Ok(Program { instructions, flags, listener })
}

const NATIVE: Result<Abi, SeccompError> = if cfg!(target_arch = "x86_64") {
    Ok(Abi::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Ok(Abi::Aarch64)
} else {
    Err(SeccompError::UnsupportedMachine { architecture: std::env::consts::ARCH })
};

/// The architectures of the filter: the machine's own, whether listed or not, and those listed that it can run.
/// Another machine's need no code, since no call can ever come from them.
fn abis(native: Abi, listed: &[SeccompArch]) -> Vec<Abi> {
    let candidates: &[(SeccompArch, Abi)] = match native {
        Abi::Aarch64 | Abi::Arm => &[(SeccompArch::Arm, Abi::Arm)],
        _ => &[(SeccompArch::X86, Abi::I386), (SeccompArch::X32, Abi::X32)],
    };
    let mut abis = vec![native];
    abis.extend(candidates.iter().filter(|(name, _)| listed.contains(name)).map(|&(_, abi)| abi));
    abis
}

fn flags(profile: &Seccomp, notifies: bool) -> Result<Flags, SeccompError> {
    let mut flags = match &profile.flags {
        // As runc: speculation is the workload's own affair unless the profile says otherwise.
        None => Flags::SPEC_ALLOW,
        Some(listed) => listed.iter().fold(Flags::empty(), |flags, flag| {
            flags.union(match flag {
                SeccompFlag::Tsync => Flags::TSYNC,
                SeccompFlag::Log => Flags::LOG,
                SeccompFlag::SpecAllow => Flags::SPEC_ALLOW,
                SeccompFlag::WaitKillableRecv => Flags::WAIT_KILLABLE,
            })
        }),
    };
    if profile.listener_path.is_empty() {
        if notifies {
            return Err(SeccompError::NoListener);
        }
        if !profile.listener_metadata.is_empty() {
            return Err(SeccompError::MetadataWithoutListener);
        }
    }
    if notifies {
        flags = flags.union(Flags::NEW_LISTENER);
        if flags.contains(Flags::TSYNC) {
            flags = flags.union(Flags::TSYNC_ESRCH);
        }
    } else if flags.contains(Flags::WAIT_KILLABLE) {
        return Err(SeccompError::WaitKillableWithoutNotify);
    }
    Ok(flags)
}
