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
use super::syscalls::{Abi, Numbers, lookup};

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
    /// Calls, each with the index of its case, in no order. A rule without cases repeats the default.
    calls: Vec<(Numbers, Option<u16>)>,
    /// i386 has two calls that stand for many others: (call, first argument, case).
    multiplexed: Vec<(Multiplexer, u16)>,
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
            multiplexed: Vec::new(),
        };
        let mut order = Vec::with_capacity(profile.syscalls.len());
        for (index, rule) in profile.syscalls.iter().enumerate() {
            let answer = answer(rule.action, rule.errno_ret, || {
                format!("linux.seccomp.syscalls[{index}].errnoRet")
            })?;
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
        let repeats_default = answer == self.default;
        let first = self.cases.len();
        if !repeats_default {
            self.cases.extend(alternatives(answer, &rule.args));
            if u16::try_from(self.cases.len()).is_err() {
                return Err(SeccompError::TooLong { instructions: self.cases.len() });
            }
        }
        for name in &rule.names {
            let multiplexed = multiplexer(name);
            let numbers = lookup(name);
            if answer == USER_NOTIF && numbers.is_some() {
                self.notifies = true;
                if name == "write" {
                    return Err(SeccompError::NotifyUnsafe { rule: index, name: "write" });
                }
            }
            if let Some(numbers) = numbers {
                if repeats_default {
                    self.calls.push((numbers, None));
                }
                for case in first..self.cases.len() {
                    self.calls.push((numbers, Some(to_u16(case))));
                }
            }
            if let Some(multiplexed) = multiplexed
                && rule.args.is_empty()
                && !repeats_default
            {
                let case = to_u16(self.cases.len());
                let _ = case;
                self.multiplexed.push((multiplexed, to_u16(first)));
            }
        }
        Ok(())
    }

    /// The decisions for one architecture.
    pub(super) fn decisions(&self, abi: Abi) -> Decisions {
        let start = if abi == Abi::X32 { super::syscalls::X32_BIT } else { 0 };
        let mut newest = None;
        let mut calls: Vec<(u32, u16)> = Vec::with_capacity(self.calls.len());
        for (numbers, case) in &self.calls {
            let Some(number) = numbers.get(abi) else { continue };
            newest = newest.max(Some(number));
            if let Some(case) = case {
                calls.push((number, *case));
            }
        }
        calls.sort_unstable();
        calls.dedup();

        let beyond = if self.refuse_newer { Decision::Answer(NEWER) } else { Decision::Answer(self.default) };
        let mut decisions = Decisions { runs: vec![(start, Decision::Answer(self.default))], chains: Vec::new() };
        for same in calls.chunk_by(|a, b| a.0 == b.0) {
            let number = same[0].0;
            let decision = self.chain(same, &mut decisions.chains);
            decisions.run(number, decision);
            decisions.run(number + 1, Decision::Answer(self.default));
        }
        if let Some(newest) = newest {
            decisions.run(newest + 1, beyond);
        }
        decisions
    }

    /// The decision for the cases of one call, most severe first.
    fn chain(&self, calls: &[(u32, u16)], chains: &mut Vec<Chain>) -> Decision {
        let mut chain = Chain { cases: Vec::new(), otherwise: self.default };
        for &(_, index) in calls {
            let case = &self.cases[usize::from(index)];
            if case.conditions.is_empty() {
                chain.otherwise = case.answer;
                break;
            }
            chain.cases.push(index);
        }
        // A test at the end changes nothing when both its ways lead to the same answer.
        while chain.cases.last().is_some_and(|&last| self.cases[usize::from(last)].answer == chain.otherwise) {
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
