//! The compiler against a naive evaluator, on an interpreter of BPF, and against seccompiler.

mod oracle;
mod random;

use proptest::prelude::*;
use ross_sys::seccomp::{Flags, Instruction};

use super::interpreter::{Data, check, run};
use super::{Abi, Multiplexed, SeccompError, X32_BIT, compile_for, lookup_syscall};
use crate::spec::{
    Seccomp, SeccompAction, SeccompArch, SeccompFlag, SeccompOperator, SyscallArg, SyscallRule,
};

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn rule(names: &[&str], action: SeccompAction) -> SyscallRule {
    SyscallRule { names: names.iter().map(|&name| name.to_owned()).collect(), action, ..Default::default() }
}

fn when(names: &[&str], action: SeccompAction, args: &[(u32, SeccompOperator, u64, u64)]) -> SyscallRule {
    let args = args.iter().map(|&(index, op, value, value_two)| SyscallArg { index, value, value_two, op });
    SyscallRule { args: args.collect(), ..rule(names, action) }
}

fn profile(default_action: SeccompAction, syscalls: Vec<SyscallRule>) -> Seccomp {
    let architectures = vec![SeccompArch::X86, SeccompArch::X32, SeccompArch::Arm];
    Seccomp { default_action, syscalls, architectures, ..Default::default() }
}

fn call(abi: Abi, name: &str, args: &[u64]) -> Data {
    let nr = lookup_syscall(name).unwrap().get(abi).unwrap();
    numbered(abi, nr, args)
}

fn numbered(abi: Abi, nr: u32, given: &[u64]) -> Data {
    let mut args = [0; 6];
    args[..given.len()].copy_from_slice(given);
    Data { nr, arch: abi.audit_arch(), args }
}

fn compiled(native: Abi, profile: &Seccomp) -> Vec<Instruction> {
    let program = compile_for(native, profile).unwrap().instructions;
    check(&program).unwrap();
    program
}

#[test]
fn calls_get_their_answers() {
    let profile = profile(
        SeccompAction::Errno,
        vec![
            rule(&["read", "write", "openat", "no_such_call", "mmap2"], SeccompAction::Allow),
            rule(&["ptrace"], SeccompAction::KillProcess),
            SyscallRule { errno_ret: Some(38), ..rule(&["clone3"], SeccompAction::Errno) },
            SyscallRule { errno_ret: Some(7), ..rule(&["chroot"], SeccompAction::Trace) },
            rule(&["reboot"], SeccompAction::KillThread),
            rule(&["acct"], SeccompAction::Trap),
            rule(&["sync"], SeccompAction::Log),
        ],
    );
    let program = compiled(Abi::X86_64, &profile);
    let check = |data: Data, expected: u32| assert_eq!(run(&program, &data), Ok(expected), "{data:x?}");
    for abi in [Abi::X86_64, Abi::I386, Abi::X32] {
        check(call(abi, "read", &[]), ALLOW);
        check(call(abi, "openat", &[]), ALLOW);
        check(call(abi, "ptrace", &[]), KILL_PROCESS);
        check(call(abi, "kexec_load", &[]), EPERM);
        check(call(abi, "clone3", &[]), ENOSYS);
        check(call(abi, "chroot", &[]), 0x7ff0_0007);
        check(call(abi, "reboot", &[]), 0);
        check(call(abi, "acct", &[]), 0x0003_0000);
        check(call(abi, "sync", &[]), 0x7ffc_0000);
        check(call(abi, "mount", &[]), EPERM);
        // Newer than clone3, the newest call the profile names.
        check(call(abi, "openat2", &[]), ENOSYS);
        check(call(abi, "mseal", &[]), ENOSYS);
    }
    check(call(Abi::I386, "mmap2", &[]), ALLOW);
    check(numbered(Abi::X86_64, 9999, &[]), ENOSYS);
    check(numbered(Abi::X86_64, u32::MAX, &[]), ENOSYS);
    check(numbered(Abi::Aarch64, 63, &[]), KILL_PROCESS);
}

#[test]
fn architectures_that_are_not_listed() {
    let mut open = profile(SeccompAction::Allow, vec![rule(&["read"], SeccompAction::Errno)]);
    open.architectures.clear();
    let program = compiled(Abi::X86_64, &open);
    let check = |data: Data, expected: u32| assert_eq!(run(&program, &data), Ok(expected), "{data:x?}");
    check(call(Abi::X86_64, "read", &[]), EPERM);
    check(call(Abi::X86_64, "write", &[]), ALLOW);
    check(numbered(Abi::X86_64, 9999, &[]), ALLOW);
    check(numbered(Abi::X86_64, u32::MAX, &[]), ALLOW);
    check(call(Abi::X32, "write", &[]), KILL_PROCESS);
    check(numbered(Abi::X86_64, X32_BIT, &[]), KILL_PROCESS);
    check(call(Abi::I386, "write", &[]), KILL_PROCESS);

    let closed =
        profile_without_architectures(SeccompAction::Errno, vec![rule(&["read"], SeccompAction::Allow)]);
    let program = compiled(Abi::X86_64, &closed);
    assert_eq!(run(&program, &call(Abi::X32, "read", &[])), Ok(ENOSYS));
    assert_eq!(run(&program, &call(Abi::I386, "read", &[])), Ok(KILL_PROCESS));
}

fn profile_without_architectures(default: SeccompAction, syscalls: Vec<SyscallRule>) -> Seccomp {
    Seccomp { architectures: Vec::new(), ..profile(default, syscalls) }
}

#[test]
fn arm_calls_get_their_answers() {
    let profile = profile(SeccompAction::Errno, vec![rule(&["read", "set_tls"], SeccompAction::Allow)]);
    let program = compiled(Abi::Aarch64, &profile);
    assert_eq!(run(&program, &call(Abi::Aarch64, "read", &[])), Ok(ALLOW));
    assert_eq!(run(&program, &call(Abi::Arm, "read", &[])), Ok(ALLOW));
    assert_eq!(run(&program, &call(Abi::Arm, "set_tls", &[])), Ok(ALLOW));
    assert_eq!(run(&program, &call(Abi::Arm, "exit", &[])), Ok(EPERM));
    assert_eq!(run(&program, &call(Abi::Arm, "write", &[])), Ok(ENOSYS));
    assert_eq!(run(&program, &call(Abi::Arm, "cacheflush", &[])), Ok(EPERM));
    assert_eq!(run(&program, &call(Abi::X86_64, "read", &[])), Ok(KILL_PROCESS));
}

#[test]
fn conditions_compare_all_64_bits() {
    const BIG: u64 = 0x0000_0005_0000_0007;
    let check = |op: SeccompOperator, value: u64, two: u64, argument: u64, expected: bool| {
        let profile = profile(
            SeccompAction::Errno,
            vec![when(&["read"], SeccompAction::Allow, &[(3, op, value, two)])],
        );
        let program = compiled(Abi::X86_64, &profile);
        let answer = run(&program, &call(Abi::X86_64, "read", &[0, 0, 0, argument])).unwrap();
        assert_eq!(answer == ALLOW, expected, "{argument:#x} {op:?} {value:#x} {two:#x}");
    };
    use SeccompOperator as Op;
    for (argument, below, equal) in [
        (BIG, false, true),
        (BIG - 1, true, false),
        (BIG + 1, false, false),
        (7, true, false),
        (BIG + (1 << 32), false, false),
        (BIG - (1 << 32) + 9, true, false),
        (u64::MAX, false, false),
    ] {
        check(Op::Equal, BIG, 0, argument, equal);
        check(Op::NotEqual, BIG, 0, argument, !equal);
        check(Op::Less, BIG, 0, argument, below);
        check(Op::LessOrEqual, BIG, 0, argument, below || equal);
        check(Op::Greater, BIG, 0, argument, !below && !equal);
        check(Op::GreaterOrEqual, BIG, 0, argument, !below);
    }
    check(Op::MaskedEqual, 0x7e02_0000, 0, 0x11, true);
    check(Op::MaskedEqual, 0x7e02_0000, 0, 0x1000_0011, false);
    check(Op::MaskedEqual, 0xff00_0000_00ff, 0x1200_0000_0034, 0xab12_3333_3333_0034, false);
    check(Op::MaskedEqual, 0xff00_0000_00ff, 0x1200_0000_0034, 0x7712_3333_3333, false);
    check(Op::MaskedEqual, 0xff00_0000_00ff, 0x1200_0000_0034, 0x1233_3333_3334, true);
    check(Op::MaskedEqual, 0, 0, u64::MAX, true);
}

#[test]
fn conditions_on_the_same_argument_are_alternatives() {
    use SeccompOperator as Op;
    let both = when(
        &["personality"],
        SeccompAction::Allow,
        &[(0, Op::Equal, 8, 0), (0, Op::Equal, 3, 0), (1, Op::Equal, 1, 0)],
    );
    let program = compiled(Abi::X86_64, &profile(SeccompAction::Errno, vec![both]));
    let answer = |args: &[u64]| run(&program, &call(Abi::X86_64, "personality", args)).unwrap();
    assert_eq!(answer(&[8, 0]), ALLOW);
    assert_eq!(answer(&[3, 0]), ALLOW);
    assert_eq!(answer(&[0, 1]), ALLOW);
    assert_eq!(answer(&[0, 0]), EPERM);
}

#[test]
fn the_most_severe_rule_that_matches_decides() {
    use SeccompOperator as Op;
    let vsock = SyscallRule {
        errno_ret: Some(97),
        ..when(&["socket"], SeccompAction::Errno, &[(0, Op::Equal, 40, 0)])
    };
    for rules in [
        vec![rule(&["socket"], SeccompAction::Allow), vsock.clone()],
        vec![vsock.clone(), rule(&["socket"], SeccompAction::Allow)],
    ] {
        let program = compiled(Abi::X86_64, &profile(SeccompAction::Errno, rules));
        assert_eq!(run(&program, &call(Abi::X86_64, "socket", &[40])), Ok(0x0005_0061));
        assert_eq!(run(&program, &call(Abi::X86_64, "socket", &[2])), Ok(ALLOW));
    }
}

#[test]
fn i386_multiplexers_follow_rules_without_conditions() {
    let rules = vec![rule(&["socket", "semget"], SeccompAction::KillProcess)];
    let program = compiled(Abi::X86_64, &profile(SeccompAction::Allow, rules));
    let answer = |name: &str, argument: u64| run(&program, &call(Abi::I386, name, &[argument])).unwrap();
    assert_eq!(answer("socket", 0), KILL_PROCESS);
    assert_eq!(answer("socketcall", 1), KILL_PROCESS);
    assert_eq!(answer("socketcall", 2), ALLOW);
    assert_eq!(answer("ipc", 2), KILL_PROCESS);
    assert_eq!(answer("ipc", 0x1_0002), KILL_PROCESS, "the version in the upper half does not matter");
    assert_eq!(answer("ipc", 1), ALLOW);
}

#[test]
fn narrow_arguments_are_compared_by_their_low_half() {
    use SeccompOperator as Op;
    let minus_one = when(&["setpriority"], SeccompAction::Allow, &[(2, Op::Equal, u64::MAX, 0)]);
    let huge = when(&["nice"], SeccompAction::Allow, &[(0, Op::Less, 1 << 40, 0)]);
    let program = compiled(Abi::X86_64, &profile(SeccompAction::Errno, vec![minus_one, huge]));
    assert_eq!(run(&program, &call(Abi::I386, "setpriority", &[0, 0, 0xffff_ffff])), Ok(ALLOW));
    assert_eq!(run(&program, &call(Abi::X86_64, "setpriority", &[0, 0, 0xffff_ffff])), Ok(EPERM));
    assert_eq!(run(&program, &call(Abi::I386, "nice", &[0xffff_ffff])), Ok(ALLOW));
}

#[test]
fn wrong_profiles_are_refused() {
    use SeccompOperator as Op;
    let check = |profile: Seccomp, expected: &str| {
        let error = compile_for(Abi::X86_64, &profile).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let allow = |syscalls| profile(SeccompAction::Allow, syscalls);
    check(
        allow(vec![when(&["read"], SeccompAction::Errno, &[(6, Op::Equal, 0, 0)])]),
        "linux.seccomp.syscalls[0].args: index 6 is not one of the arguments 0 to 5",
    );
    check(
        allow(vec![SyscallRule { errno_ret: Some(4096), ..rule(&["read"], SeccompAction::Errno) }]),
        "linux.seccomp.syscalls[0].errnoRet: errno 4096 is out of range",
    );
    check(
        allow(vec![SyscallRule { errno_ret: Some(1), ..rule(&["read"], SeccompAction::Trap) }]),
        "linux.seccomp.syscalls[0].errnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno",
    );
    check(
        profile(SeccompAction::Notify, vec![]),
        "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default",
    );
    check(
        allow(vec![rule(&["mount"], SeccompAction::Notify)]),
        "linux.seccomp.listenerPath: required by SCMP_ACT_NOTIFY",
    );
    check(
        Seccomp { listener_path: "/s".to_owned(), ..allow(vec![rule(&["write"], SeccompAction::Notify)]) },
        "linux.seccomp.syscalls[0]: SCMP_ACT_NOTIFY cannot be used for write",
    );
    check(
        Seccomp { listener_metadata: "m".to_owned(), ..allow(vec![]) },
        "linux.seccomp.listenerMetadata: set without a listenerPath",
    );
    check(
        Seccomp { flags: Some(vec![SeccompFlag::WaitKillableRecv]), ..allow(vec![]) },
        "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY",
    );
    let names: Vec<&str> = super::syscall_names().collect();
    let endless = (0..40_u32)
        .map(|n| {
            when(
                &names,
                SeccompAction::Errno,
                &[(n % 5, Op::MaskedEqual, u64::MAX - 1, u64::from(n)), (5, Op::NotEqual, 1, 0)],
            )
        })
        .enumerate()
        .map(|(n, rule)| SyscallRule { names: rule.names[n..].to_vec(), ..rule })
        .collect();
    let error = compile_for(Abi::X86_64, &allow(endless)).unwrap_err();
    assert!(matches!(error, SeccompError::TooLong { instructions: 4097.. }), "{error}");
}

#[test]
fn flags_and_listener_are_handed_on() {
    let mut notify = profile(SeccompAction::Allow, vec![rule(&["mount"], SeccompAction::Notify)]);
    notify.listener_path = "/run/agent.sock".to_owned();
    notify.listener_metadata = "who".to_owned();
    let program = compile_for(Abi::X86_64, &notify).unwrap();
    assert_eq!(program.flags, Flags::SPEC_ALLOW.union(Flags::NEW_LISTENER));
    let listener = program.listener.unwrap();
    assert_eq!((listener.path.to_str(), listener.metadata.as_str()), (Some("/run/agent.sock"), "who"));

    notify.flags = Some(vec![SeccompFlag::Tsync, SeccompFlag::Log, SeccompFlag::WaitKillableRecv]);
    let flags = compile_for(Abi::X86_64, &notify).unwrap().flags;
    for flag in [Flags::TSYNC, Flags::TSYNC_ESRCH, Flags::LOG, Flags::WAIT_KILLABLE, Flags::NEW_LISTENER] {
        assert!(flags.contains(flag), "{flag:?}");
    }
    assert!(!flags.contains(Flags::SPEC_ALLOW));

    // Without a rule that notifies, the path is of no use and nothing waits for it.
    let silent = Seccomp { syscalls: vec![], flags: Some(vec![]), ..notify };
    let program = compile_for(Abi::X86_64, &silent).unwrap();
    assert_eq!((program.flags, program.listener), (Flags::empty(), None));
}
