//! seccompiler knows one action per filter, one architecture and no ENOSYS: within that, both must agree.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction as Action, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::random::{any_arg, any_names, any_value};
use super::*;

fn condition(arg: &SyscallArg) -> SeccompCondition {
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
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, value).unwrap()
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
                chain.push(SeccompRule::new(rule.args.iter().map(condition).collect()).unwrap());
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

fn agree(rules: &[SyscallRule], abi: Abi, target: TargetArch, values: &[Vec<u64>]) {
    // Every name once more, so that no number is newer than the profile.
    let profile = profile_without_architectures(SeccompAction::Errno, rules.to_vec());
    let Ok(program) = compile_for(abi, &profile) else { return };
    let Some(oracle) = oracle(&profile, abi, target) else { return };
    let newest = profile
        .syscalls
        .iter()
        .flat_map(|rule| &rule.names)
        .filter_map(|name| lookup_syscall(name)?.get(abi))
        .max()
        .unwrap_or(0);
    for nr in 0..=newest {
        for args in values {
            let data = numbered(abi, nr, args);
            assert_eq!(run(&program.instructions, &data), run(&oracle, &data), "{data:x?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn seccompiler_agrees(
        rules in prop::collection::vec(any_plain_rule(), 1..6),
        values in prop::collection::vec(prop::collection::vec(any_value(), 6), 8),
    ) {
        agree(&rules, Abi::X86_64, TargetArch::x86_64, &values);
        agree(&rules, Abi::Aarch64, TargetArch::aarch64, &values);
    }
}
