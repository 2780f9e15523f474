//! Random profiles against an evaluator that takes them at their word.

use super::*;

/// What a profile says about one call, the slow way: straight from the profile's words.
fn evaluate(profile: &Seccomp, native: Abi, data: &Data) -> u32 {
    let action = |action: SeccompAction, errno: Option<u32>| match action {
        SeccompAction::KillProcess => KILL_PROCESS,
        SeccompAction::KillThread => 0,
        SeccompAction::Trap => 0x0003_0000,
        SeccompAction::Errno => 0x0005_0000 + errno.unwrap_or(1),
        SeccompAction::Notify => 0x7fc0_0000,
        SeccompAction::Trace => 0x7ff0_0000 + errno.unwrap_or(1),
        SeccompAction::Log => 0x7ffc_0000,
        SeccompAction::Allow => ALLOW,
    };
    let default = action(profile.default_action, profile.default_errno_ret);
    let permissive =
        matches!(profile.default_action, SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace);
    let x32 = native == Abi::X86_64 && data.arch == native.audit_arch() && data.nr >= X32_BIT;
    let (abi, listed) = match (native, data.arch) {
        (_, arch) if arch == native.audit_arch() && !x32 => (native, true),
        (Abi::X86_64, arch) if arch == native.audit_arch() => {
            (Abi::X32, profile.architectures.contains(&SeccompArch::X32))
        }
        (Abi::X86_64, arch) if arch == Abi::I386.audit_arch() => {
            (Abi::I386, profile.architectures.contains(&SeccompArch::X86))
        }
        (Abi::Aarch64, arch) if arch == Abi::Arm.audit_arch() => {
            (Abi::Arm, profile.architectures.contains(&SeccompArch::Arm))
        }
        _ => return KILL_PROCESS,
    };
    if !listed {
        return match abi {
            Abi::X32 if !permissive && default != ENOSYS => ENOSYS,
            Abi::X32 if data.nr == u32::MAX => default,
            _ => KILL_PROCESS,
        };
    }
    let number = |name: &str| lookup_syscall(name).and_then(|numbers| numbers.get(abi));
    // 512 to 547 are calls of x32 alone, 0xf0000 on those of 32-bit Arm.
    let private = |nr: u32| match abi {
        Abi::X32 => (512..548).contains(&(nr & !X32_BIT)),
        Abi::Arm => (0xf0000..0xf0800).contains(&nr),
        _ => false,
    };
    let named = profile.syscalls.iter().flat_map(|rule| &rule.names).filter_map(|name| number(name));
    // To name what i386 has only through another call is to name that one.
    let by_others = profile.syscalls.iter().filter(|rule| action(rule.action, rule.errno_ret) != default);
    let by_others = by_others.filter_map(|rule| multiplexer(rule, abi)).flatten().map(|(nr, ..)| nr);
    let named = named.filter(|&nr| !private(nr)).chain(by_others).max();
    if !permissive && default != ENOSYS && !private(data.nr) && named.is_some_and(|newest| data.nr > newest) {
        return ENOSYS;
    }
    let holds = |arg: &SyscallArg| {
        let mut found = data.args[arg.index as usize];
        let (mut value, mut two) = (arg.value, arg.value_two & arg.value);
        let narrow = matches!(abi, Abi::I386 | Abi::Arm);
        if narrow {
            found &= 0xffff_ffff;
            if matches!(
                arg.op,
                SeccompOperator::Equal | SeccompOperator::NotEqual | SeccompOperator::MaskedEqual
            ) {
                value &= 0xffff_ffff;
                two &= 0xffff_ffff;
            }
        }
        match arg.op {
            SeccompOperator::NotEqual => found != value,
            SeccompOperator::Less => found < value,
            SeccompOperator::LessOrEqual => found <= value,
            SeccompOperator::Equal => found == value,
            SeccompOperator::GreaterOrEqual => found >= value,
            SeccompOperator::Greater => found > value,
            SeccompOperator::MaskedEqual => found & value == two,
        }
    };
    let mut best: Option<u32> = None;
    for rule in &profile.syscalls {
        let answer = action(rule.action, rule.errno_ret);
        let direct = rule.names.iter().any(|name| number(name) == Some(data.nr));
        let through = multiplexer(rule, abi).is_some_and(|mut calls| {
            calls.any(|(nr, mask, call)| nr == data.nr && data.args[0] & 0xffff_ffff & mask == call)
        });
        if answer == default || !(direct || through) {
            continue;
        }
        let alternatives = (0..6).any(|index| rule.args.iter().filter(|arg| arg.index == index).count() > 1);
        let matches =
            through || if alternatives { rule.args.iter().any(holds) } else { rule.args.iter().all(holds) };
        let severity = |answer: u32| (answer & 0xffff_0000).cast_signed();
        if matches && best.is_none_or(|best| severity(answer) < severity(best)) {
            best = Some(answer);
        }
    }
    best.unwrap_or(default)
}

/// The calls of i386 that a rule without conditions is for as well: their number, and which bits of the first argument
/// are to be what.
fn multiplexer(rule: &SyscallRule, abi: Abi) -> Option<impl Iterator<Item = (u32, u64, u64)>> {
    let number = move |name: &str| lookup_syscall(name).and_then(|numbers| numbers.get(abi));
    (abi == Abi::I386 && rule.args.is_empty()).then(|| {
        rule.names.iter().filter_map(move |name| match lookup_syscall(name)?.multiplexed()? {
            Multiplexed::Socketcall(call) => Some((number("socketcall")?, 0xffff_ffff, call.into())),
            Multiplexed::Ipc(call) => Some((number("ipc")?, 0xffff, call.into())),
        })
    })
}

fn any_action() -> impl Strategy<Value = SeccompAction> {
    prop::sample::select(vec![
        SeccompAction::KillProcess,
        SeccompAction::KillThread,
        SeccompAction::Trap,
        SeccompAction::Errno,
        SeccompAction::Notify,
        SeccompAction::Trace,
        SeccompAction::Log,
        SeccompAction::Allow,
    ])
}

/// Numbers near each other and near the borders of words.
pub(super) fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..12_u64,
        Just(u64::MAX),
        Just(0xffff_ffff),
        (0xffff_fffe..0x1_0000_0004_u64),
        (0..4_u64, 0..4_u64).prop_map(|(high, low)| (high << 32) | low),
        any::<u64>(),
    ]
}

pub(super) fn any_arg() -> impl Strategy<Value = SyscallArg> {
    let op = prop::sample::select(vec![
        SeccompOperator::NotEqual,
        SeccompOperator::Less,
        SeccompOperator::LessOrEqual,
        SeccompOperator::Equal,
        SeccompOperator::Equal,
        SeccompOperator::GreaterOrEqual,
        SeccompOperator::Greater,
        SeccompOperator::MaskedEqual,
    ]);
    (0..6_u32, any_value(), any_value(), op).prop_map(|(index, value, value_two, op)| SyscallArg {
        index,
        value,
        value_two,
        op,
    })
}

pub(super) fn any_names() -> impl Strategy<Value = Vec<String>> {
    // For write there is no SCMP_ACT_NOTIFY.
    let all: Vec<&str> = crate::seccomp::syscall_names().filter(|name| *name != "write").collect();
    let few = vec!["read", "close", "mmap", "openat2", "personality", "execve", "no_such_call", "set_tls"];
    let multiplexed = vec!["socketcall", "ipc", "socket", "accept", "send", "shmget", "msgrcv", "semtimedop"];
    prop_oneof![
        2 => prop::collection::vec(prop::sample::select(few), 1..4),
        1 => prop::collection::vec(prop::sample::select(multiplexed), 1..4),
        1 => prop::collection::vec(prop::sample::select(all), 1..150),
    ]
    .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn any_rule() -> impl Strategy<Value = SyscallRule> {
    (any_names(), any_action(), prop::option::of(0..200_u32), prop::collection::vec(any_arg(), 0..4))
        .prop_map(|(names, action, errno, args)| {
            let takes_errno = matches!(action, SeccompAction::Errno | SeccompAction::Trace);
            SyscallRule { names, action, errno_ret: errno.filter(|_| takes_errno), args }
        })
}

fn any_profile() -> impl Strategy<Value = Seccomp> {
    let arches = prop::sample::subsequence(vec![SeccompArch::X86, SeccompArch::X32, SeccompArch::Arm], 0..=3);
    let default = any_action().prop_filter("not a default", |action| *action != SeccompAction::Notify);
    (default, any::<bool>(), arches, prop::collection::vec(any_rule(), 0..12)).prop_map(
        |(default_action, nosys, architectures, syscalls)| Seccomp {
            default_action,
            default_errno_ret: (nosys && default_action == SeccompAction::Errno).then_some(38),
            architectures,
            syscalls,
            listener_path: "/agent".to_owned(),
            ..Default::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn programs_say_what_profiles_say(
        profile in any_profile(),
        native in prop::sample::select(vec![Abi::X86_64, Abi::X86_64, Abi::Aarch64, Abi::I386, Abi::Arm]),
        calls in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), prop::collection::vec(any_value(), 6)), 60),
    ) {
        // Whatever the machine is, calls of every kind come: those that cannot are refused all the same.
        let abis = [Abi::X86_64, Abi::X32, Abi::I386, Abi::Aarch64, Abi::Arm];
        match compile_for(native, &profile) {
            Err(SeccompError::TooLong { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
            Ok(program) => {
                prop_assert_eq!(check(&program.instructions), Ok(()));
                let mut data = Vec::new();
                for &abi in &abis {
                    let base = if abi == Abi::X32 { X32_BIT } else { 0 };
                    // Every number once, with quiet arguments; then calls the profile names, with telling ones.
                    data.extend((0..600).chain([0xf_0002, 0x3fff_ffff, 0x7fff_ffff, u32::MAX]).map(|nr| numbered(abi, nr.max(base) | base, &[])));
                    let named: Vec<u32> = profile.syscalls.iter().flat_map(|rule| &rule.names)
                        .filter_map(|name| lookup_syscall(name)?.get(abi)).collect();
                    let values: Vec<u64> = profile.syscalls.iter().flat_map(|rule| &rule.args)
                        .flat_map(|arg| [arg.value, arg.value.wrapping_add(1), arg.value.wrapping_sub(1), arg.value_two]).collect();
                    for (index, known, args) in &calls {
                        if named.is_empty() { break }
                        let mut args = args.clone();
                        if *known && !values.is_empty() {
                            for (at, arg) in args.iter_mut().enumerate() {
                                *arg = values[(index.index(values.len()) + at) % values.len()];
                            }
                        }
                        data.push(numbered(abi, named[index.index(named.len())], &args));
                    }
                    // What i386 makes through another call, with versions in the upper half of its number.
                    for by in ["socketcall", "ipc"].into_iter().filter_map(|name| lookup_syscall(name)?.get(abi)) {
                        let numbers = (0..26).chain([1 << 16 | 2, 0x1_0000_0003, 0xffff_ffff]);
                        data.extend(numbers.map(|call| numbered(abi, by, &[call])));
                    }
                }
                for data in data {
                    prop_assert_eq!(run(&program.instructions, &data), Ok(evaluate(&profile, native, &data)), "{:x?}", data);
                }
            }
        }
    }

    #[test]
    fn any_json_is_refused_or_compiled(profile in any_profile(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = serde_json::to_vec(&profile).unwrap();
        crate::seccomp::fuzz::fuzz(&json);
        let at = cut.index(json.len());
        json[at] = byte;
        crate::seccomp::fuzz::fuzz(&json);
        crate::seccomp::fuzz::fuzz(&json[..at]);
    }

    #[test]
    fn any_bytes_are_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::seccomp::fuzz::fuzz(&data);
    }
}
