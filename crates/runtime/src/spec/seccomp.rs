//! `linux.seccomp`: the system call filter, in libseccomp's vocabulary.

use serde::{Deserialize, Serialize};

/// What the kernel does with a call; seccomp(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SeccompAction {
    /// Kills the process.
    #[default]
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// Kills the thread; `SCMP_ACT_KILL` is its old name.
    #[serde(rename = "SCMP_ACT_KILL_THREAD", alias = "SCMP_ACT_KILL")]
    KillThread,
    /// Sends SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// Fails with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// Asks the listener.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
    /// Asks the tracer.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Allows and logs.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Allows.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
}

/// Architectures of libseccomp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SeccompArch {
    /// The architecture of the host.
    #[serde(rename = "SCMP_ARCH_NATIVE")]
    Native,
    /// i386.
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    /// x86-64.
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X8664,
    /// x86-64 with 32-bit pointers.
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    /// 32-bit Arm.
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    /// 64-bit Arm.
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    /// LoongArch.
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
    /// Motorola 68000.
    #[serde(rename = "SCMP_ARCH_M68K")]
    M68k,
    /// MIPS.
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    /// MIPS64.
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    /// MIPS64 N32.
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64n32,
    /// MIPS, little endian.
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    /// MIPS64, little endian.
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    /// MIPS64 N32, little endian.
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64n32,
    /// PA-RISC.
    #[serde(rename = "SCMP_ARCH_PARISC")]
    Parisc,
    /// PA-RISC, 64 bit.
    #[serde(rename = "SCMP_ARCH_PARISC64")]
    Parisc64,
    /// PowerPC.
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    /// PowerPC, 64 bit.
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    /// PowerPC, 64 bit, little endian.
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64le,
    /// RISC-V, 64 bit.
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    /// IBM S/390.
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    /// IBM Z.
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390x,
    /// SuperH.
    #[serde(rename = "SCMP_ARCH_SH")]
    Sh,
    /// SuperH, big endian.
    #[serde(rename = "SCMP_ARCH_SHEB")]
    Sheb,
}

/// Flags of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SeccompFlag {
    /// Apply to all threads.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// Log all actions but allow.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// No mitigation of speculative store bypass.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// Only fatal signals interrupt a wait for the listener.
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}

/// Comparisons of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SeccompOperator {
    /// `arg != value`
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// `arg < value`
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// `arg <= value`
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// `arg == value`
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// `arg >= value`
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// `arg > value`
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// `arg & value == valueTwo`
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// The filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// What happens to a call no rule matches.
    pub default_action: SeccompAction,
    /// The errno of that, EPERM when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Architectures besides the native one.
    #[serde(default, deserialize_with = "super::absent::nullable", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<SeccompArch>,
    /// Flags of the load; the runtime's own choice when absent, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<SeccompFlag>>,
    /// Socket the listener's descriptor is sent to.
    #[serde(default, deserialize_with = "super::absent::nullable", skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// What is sent along with it.
    #[serde(default, deserialize_with = "super::absent::nullable", skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    /// Rules.
    #[serde(default, deserialize_with = "super::absent::nullable", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<SyscallRule>,
}

/// One rule: calls, conditions, action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyscallRule {
    /// Calls by name; names unknown here are skipped.
    #[serde(deserialize_with = "super::absent::nullable")]
    pub names: Vec<String>,
    /// What happens.
    pub action: SeccompAction,
    /// The errno of [`SeccompAction::Errno`] or data of [`SeccompAction::Trace`], EPERM when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// All must hold; several on the same argument are alternatives.
    #[serde(default, deserialize_with = "super::absent::nullable", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<SyscallArg>,
}

/// A condition on one argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyscallArg {
    /// Which, 0 to 5.
    pub index: u32,
    /// Value, or mask of [`SeccompOperator::MaskedEqual`].
    pub value: u64,
    /// Value of [`SeccompOperator::MaskedEqual`].
    #[serde(default)]
    pub value_two: u64,
    /// Comparison.
    pub op: SeccompOperator,
}
