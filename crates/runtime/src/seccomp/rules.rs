//! What a profile decides, before it is code: for each call a chain of tests and an answer at its end.
//!
//! The meaning given to a profile: of all rules that match a call, the one with the most severe action decides, as
//! the kernel does among several filters; of two that return an errno, the first. When none matches, the default does.
//! For rules that do not overlap this is what libseccomp does as well; where they do, libseccomp lets a rule without
//! conditions silence the others, and this is never more permissive. Other facts kept from runc:
//! rules that repeat the default are dropped, unknown names are skipped, and conditions of which two look at
//! the same argument are alternatives.

use crate::spec::{Seccomp, SeccompAction, SeccompOperator, SyscallArg, SyscallRule};

use super::SeccompError;
use super::syscalls::{Abi, Multiplexed, Numbers, lookup};

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The largest errno the kernel returns (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;

/// The answer to a call of an architecture the profile does not have.
pub(super) const FOREIGN: u32 = KILL_PROCESS;
/// The answer to a call that is newer than the profile.
pub(super) const NEWER: u32 = ERRNO | ENOSYS;

/// A test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) operator: SeccompOperator,
    /// The value, or the mask of a masked comparison.
    pub(super) value: u64,
    /// What a masked argument is compared with.
    pub(super) masked: u64,
}

/// An action and the conditions that must all hold for it; one alternative of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) answer: u32,
    pub(super) conditions: Vec<Condition>,
}

/// A profile checked and resolved: what is common to all architectures.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) default: u32,
    /// Whether calls newer than the profile get ENOSYS: not when unknown calls are let through anyway.
    pub(super) refuse_newer: bool,
    pub(super) notifies: bool,
    /// Most severe first.
    pub(super) cases: Vec<Case>,
    /// Which case is for which call.
    calls: Vec<Call>,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    numbers: Numbers,
    /// An index into the cases; none when the rule only repeats the default.
    case: Option<u16>,
    /// The only architecture this is for.
    only: Option<Abi>,
}

/// What a call of one architecture leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Answer(u32),
    /// An index into [`Decisions::chains`].
    Chain(usize),
}

/// Cases to try in order, and the answer when none holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) cases: Vec<u16>,
    pub(super) otherwise: u32,
}

/// All calls of one architecture: runs of numbers with the same decision.
#[derive(Debug)]
pub(super) struct Decisions {
    /// First number of each run, ascending, the first one 0 (or the x32 bit).
    pub(super) runs: Vec<(u32, Decision)>,
    pub(super) chains: Vec<Chain>,
}

impl Rules {
    pub(super) fn new(profile: &Seccomp) -> Result<Self, SeccompError> {
        if profile.default_action == SeccompAction::Notify {
            return Err(SeccompError::NotifyByDefault);
        }
        let default = answer(profile.default_action, profile.default_errno_ret, || {
            "linux.seccomp.defaultErrnoRet".to_owned()
        })?;
        let mut rules = Self {
            default,
            refuse_newer: default != NEWER
                && !matches!(
                    profile.default_action,
                    SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace
                ),
            notifies: false,
            cases: Vec::new(),
            calls: Vec::with_capacity(512),
        };
        let mut order = Vec::with_capacity(profile.syscalls.len());
        for (index, rule) in profile.syscalls.iter().enumerate() {
            let answer =
                answer(rule.action, rule.errno_ret, || format!("linux.seccomp.syscalls[{index}].errnoRet"))?;
            check_arguments(index, rule)?;
            order.push((severity(answer), index, answer));
        }
        order.sort_unstable_by_key(|&(severity, index, _)| (severity, index));
        for (_, index, answer) in order {
            rules.add(index, &profile.syscalls[index], answer)?;
        }
        Ok(rules)
    }

    fn add(&mut self, index: usize, rule: &SyscallRule, answer: u32) -> Result<(), SeccompError> {
        let first = self.cases.len();
        if answer != self.default {
            self.cases.extend(alternatives(answer, &rule.args));
        }
        let after = self.cases.len();
        for name in &rule.names {
            let Some(numbers) = lookup(name) else { continue };
            if answer == USER_NOTIF {
                if name == "write" {
                    return Err(SeccompError::NotifyUnsafe { rule: index, name: "write" });
                }
                self.notifies = true;
            }
            if rule.args.is_empty() && answer != self.default {
                self.add_multiplexed(numbers, answer);
            }
            if first == after {
                self.calls.push(Call { numbers, case: None, only: None });
            }
            for case in first..after {
                self.calls.push(Call { numbers, case: Some(case_index(case)?), only: None });
            }
        }
        // What follows counts cases in 16 bits; the kernel's limit is reached long before.
        case_index(self.cases.len()).map(drop)
    }

    /// On i386 the calls of sockets and System V IPC can also be made through socketcall(2) and ipc(2), with the number
    /// of the call in the first argument. A rule without conditions is for that way as well. One with conditions is
    /// not: the arguments it looks at are behind a pointer there.
    fn add_multiplexed(&mut self, numbers: Numbers, answer: u32) {
        let (by, operator, value, masked) = match numbers.multiplexed() {
            None => return,
            Some(Multiplexed::Socketcall(call)) => ("socketcall", SeccompOperator::Equal, u64::from(call), 0),
            // The upper half is a version.
            Some(Multiplexed::Ipc(call)) => ("ipc", SeccompOperator::MaskedEqual, 0xffff, u64::from(call)),
        };
        let numbers = lookup(by).expect("the table has both");
        if let Ok(case) = case_index(self.cases.len()) {
            let conditions = vec![Condition { argument: 0, operator, value, masked }];
            self.cases.push(Case { answer, conditions });
            self.calls.push(Call { numbers, case: Some(case), only: Some(Abi::I386) });
        }
    }

    /// The decisions for one architecture.
    pub(super) fn decisions(&self, abi: Abi) -> Decisions {
        let private = abi.private_numbers();
        let mut newest = None;
        // Number and case in one word: sorting these is most of what compiling costs.
        let mut calls: Vec<u64> = Vec::with_capacity(self.calls.len());
        for call in self.calls.iter().filter(|call| call.only.is_none_or(|only| only == abi)) {
            let Some(number) = call.numbers.get(abi) else { continue };
            if !private.contains(&number) {
                newest = newest.max(Some(number));
            }
            if let Some(case) = call.case {
                calls.push(u64::from(number) << 16 | u64::from(case));
            }
        }
        calls.sort_unstable();
        calls.dedup();

        let mut decisions = Decisions { runs: Vec::with_capacity(128), chains: Vec::new() };
        let mut background = self.background(abi, newest).into_iter().peekable();
        let mut around = self.default;
        for same in calls.chunk_by(|a, b| a >> 16 == b >> 16) {
            let number = u32::try_from(same[0] >> 16).expect("it was made of 32 bits");
            while let Some((start, answer)) = background.next_if(|&(start, _)| start <= number) {
                around = answer;
                decisions.run(start, Decision::Answer(answer));
            }
            let decision = self.chain(same, &mut decisions.chains);
            decisions.run(number, decision);
            decisions.run(number + 1, Decision::Answer(around));
        }
        for (start, answer) in background {
            decisions.run(start, Decision::Answer(answer));
        }
        decisions
    }

    /// What calls without a case lead to: the default up to the newest call the profile names, ENOSYS beyond, so that a
    /// program that probes for a new call gets the answer of an older kernel. Numbers outside the common
    /// series say nothing about age.
    fn background(&self, abi: Abi, newest: Option<u32>) -> Vec<(u32, u32)> {
        let mut runs = vec![(abi.first_number(), self.default)];
        if let (Some(newest), true) = (newest, self.refuse_newer) {
            let private = abi.private_numbers();
            runs.push((newest + 1, NEWER));
            if !private.is_empty() {
                runs.extend([(private.start, self.default), (private.end, NEWER)]);
            }
        }
        runs
    }

    /// The decision for the cases of one call, most severe first.
    fn chain(&self, calls: &[u64], chains: &mut Vec<Chain>) -> Decision {
        let mut chain = Chain { cases: Vec::new(), otherwise: self.default };
        for &call in calls {
            let index = u16::try_from(call & 0xffff).expect("the mask leaves 16 bits");
            let case = &self.cases[usize::from(index)];
            if case.conditions.is_empty() {
                chain.otherwise = case.answer;
                break;
            }
            chain.cases.push(index);
        }
        // A test at the end changes nothing when both its ways lead to the same answer.
        while chain.cases.last().is_some_and(|&last| self.cases[usize::from(last)].answer == chain.otherwise)
        {
            chain.cases.pop();
        }
        if chain.cases.is_empty() {
            return Decision::Answer(chain.otherwise);
        }
        let known = chains.iter().position(|known| *known == chain);
        Decision::Chain(known.unwrap_or_else(|| {
            chains.push(chain);
            chains.len() - 1
        }))
    }
}

impl Decisions {
    /// From `number` on, `decision` holds. Numbers come in ascending order; a later word for a number replaces the earlier.
    pub(super) fn run(&mut self, number: u32, decision: Decision) {
        if self.runs.last().is_some_and(|&(start, _)| start == number) {
            self.runs.pop();
        }
        if self.runs.last().is_none_or(|&(_, current)| current != decision) {
            self.runs.push((number, decision));
        }
    }
}

/// The value a filter returns for an action; `path` names the errno's field in errors.
fn answer(action: SeccompAction, errno: Option<u32>, path: impl Fn() -> String) -> Result<u32, SeccompError> {
    let (base, most) = match action {
        SeccompAction::Errno => (ERRNO, MAX_ERRNO),
        SeccompAction::Trace => (TRACE, u32::from(u16::MAX)),
        _ if errno.is_some() => return Err(SeccompError::ErrnoUnused { path: path() }),
        SeccompAction::KillProcess => return Ok(KILL_PROCESS),
        SeccompAction::KillThread => return Ok(KILL_THREAD),
        SeccompAction::Trap => return Ok(TRAP),
        SeccompAction::Notify => return Ok(USER_NOTIF),
        SeccompAction::Log => return Ok(LOG),
        SeccompAction::Allow => return Ok(ALLOW),
    };
    let errno = errno.unwrap_or(EPERM);
    if errno > most {
        return Err(SeccompError::ErrnoRange { path: path(), errno });
    }
    Ok(base | errno)
}

/// Orders answers as the kernel does: its actions are signed numbers, the least is the most severe (seccomp(2)).
fn severity(answer: u32) -> i32 {
    (answer & 0xffff_0000).cast_signed()
}

fn check_arguments(index: usize, rule: &SyscallRule) -> Result<(), SeccompError> {
    match rule.args.iter().find(|argument| argument.index > 5) {
        Some(argument) => Err(SeccompError::ArgumentIndex { rule: index, index: argument.index }),
        None => Ok(()),
    }
}

/// The cases of one rule: all its conditions together, or, when two look at the same argument, each by itself.
fn alternatives(answer: u32, arguments: &[SyscallArg]) -> Vec<Case> {
    let conditions = arguments.iter().map(|argument| Condition {
        argument: u8::try_from(argument.index).expect("checked to be 0 to 5"),
        operator: argument.op,
        value: argument.value,
        masked: argument.value_two,
    });
    let repeated =
        (0..6).any(|index| arguments.iter().filter(|argument| argument.index == index).count() > 1);
    if repeated {
        conditions.map(|condition| Case { answer, conditions: vec![condition] }).collect()
    } else {
        vec![Case { answer, conditions: conditions.collect() }]
    }
}

fn case_index(index: usize) -> Result<u16, SeccompError> {
    u16::try_from(index).map_err(|_| SeccompError::TooLong { instructions: index })
}
