//! seccompiler knows one action per filter, three 64-bit architectures and no ENOSYS: within that, both must agree. Its
//! programs differ by architecture in the first test alone, so that they can stand in for one it does not know: the
//! numbers are that one's, and arguments of 32 bits are its `Dword`.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction as Action, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::random::{any_arg, any_names, any_value};
use super::*;

fn condition(arg: &SyscallArg, abi: Abi) -> SeccompCondition {
    let length = if abi.has_wide_arguments() { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
    let op = match arg.op {
        SeccompOperator::NotEqual => SeccompCmpOp::Ne,
        SeccompOperator::Less => SeccompCmpOp::Lt,
        SeccompOperator::LessOrEqual => SeccompCmpOp::Le,
        SeccompOperator::Equal => SeccompCmpOp::Eq,
        SeccompOperator::GreaterOrEqual => SeccompCmpOp::Ge,
        SeccompOperator::Greater => SeccompCmpOp::Gt,
        SeccompOperator::MaskedEqual => SeccompCmpOp::MaskedEq(arg.value),
    };
    let value = if arg.op == SeccompOperator::MaskedEqual { arg.value_two } else { arg.value };
    let index = u8::try_from(arg.index).unwrap();
    SeccompCondition::new(index, length, op, value).unwrap()
}

/// The profile's rules, all with one action, as seccompiler takes them; none when its linear program, which is longer
/// than ours, exceeds the kernel's bound.
fn oracle(profile: &Seccomp, abi: Abi, target: TargetArch) -> Option<Vec<Instruction>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut unconditional = Vec::new();
    for rule in &profile.syscalls {
        for name in &rule.names {
            let Some(number) = lookup_syscall(name).and_then(|numbers| numbers.get(abi)) else {
                continue;
            };
            let chain = rules.entry(number.into()).or_default();
            if rule.args.is_empty() {
                unconditional.push(i64::from(number));
            } else {
                chain.push(
                    SeccompRule::new(rule.args.iter().map(|arg| condition(arg, abi)).collect()).unwrap(),
                );
            }
        }
    }
    for number in unconditional {
        rules.insert(number, Vec::new());
    }
    let filter = SeccompFilter::new(rules, Action::Errno(1), Action::Allow, target).unwrap();
    let program: BpfProgram = match filter.try_into() {
        Ok(program) => program,
        Err(BackendError::FilterTooLarge(_)) => return None,
        Err(error) => panic!("seccompiler: {error}"),
    };
    Some(program.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect())
}

fn any_plain_rule() -> impl Strategy<Value = SyscallRule> {
    (any_names(), prop::collection::vec(any_arg(), 0..4)).prop_map(|(names, mut args)| {
        args.sort_by_key(|arg| arg.index);
        args.dedup_by_key(|arg| arg.index);
        SyscallRule { names, action: SeccompAction::Allow, errno_ret: None, args }
    })
}

/// The same rules, without what seccompiler cannot say: conditions beyond the width of arguments, and the calls of i386
/// that stand for others.
fn sayable(rules: &[SyscallRule], abi: Abi) -> Vec<SyscallRule> {
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        if !abi.has_wide_arguments() {
            for arg in &mut rule.args {
                arg.value &= 0xffff_ffff;
                arg.value_two &= 0xffff_ffff;
            }
        }
        if abi == Abi::I386 {
            let is_apart =
                |name: &str| lookup_syscall(name).is_some_and(|known| known.multiplexed().is_some());
            rule.names.retain(|name| !is_apart(name) && !["socketcall", "ipc"].contains(&name.as_str()));
        }
    }
    rules
}

/// `audit` is the architecture that seccompiler's program looks for.
fn agree(rules: &[SyscallRule], abi: Abi, (target, audit): (TargetArch, u32), values: &[Vec<u64>]) {
    let mut profile = profile_without_architectures(SeccompAction::Errno, sayable(rules, abi));
    // x32 is never a machine's own.
    let native = if abi == Abi::X32 { Abi::X86_64 } else { abi };
    if abi == Abi::X32 {
        profile.architectures = vec![SeccompArch::X32];
    }
    let Ok(program) = compile_for(native, &profile) else { return };
    let Some(oracle) = oracle(&profile, abi, target) else { return };
    let named = profile.syscalls.iter().flat_map(|rule| &rule.names);
    let named: Vec<u32> = named.filter_map(|name| lookup_syscall(name)?.get(abi)).collect();
    let common = named.iter().filter(|nr| !abi.private_numbers().contains(nr));
    // No number is newer than the profile.
    let newest = common.max().copied().unwrap_or(abi.first_number());
    for &nr in (abi.first_number()..=newest).collect::<Vec<_>>().iter().chain(&named) {
        for args in values {
            let data = numbered(abi, nr, args);
            let answer = run(&oracle, &Data { arch: audit, ..data });
            assert_eq!(run(&program.instructions, &data), answer, "{abi:?} {data:x?}");
        }
    }
}

const X86_64: (TargetArch, u32) = (TargetArch::x86_64, 0xc000_003e);
const AARCH64: (TargetArch, u32) = (TargetArch::aarch64, 0xc000_00b7);
const RISCV64: (TargetArch, u32) = (TargetArch::riscv64, 0xc000_00f3);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn seccompiler_agrees(
        rules in prop::collection::vec(any_plain_rule(), 1..6),
        values in prop::collection::vec(prop::collection::vec(any_value(), 6), 6),
    ) {
        agree(&rules, Abi::X86_64, X86_64, &values);
        agree(&rules, Abi::X32, X86_64, &values);
        agree(&rules, Abi::Aarch64, AARCH64, &values);
        agree(&rules, Abi::I386, RISCV64, &values);
        agree(&rules, Abi::Arm, RISCV64, &values);
    }
}
