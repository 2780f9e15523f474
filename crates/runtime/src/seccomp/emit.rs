//! Decisions to instructions: a search tree over runs of call numbers for each architecture, and blocks of
//! argument tests at its leaves.
//!
//! It decides nothing; the order of `seccomp_data` and of words in it is all it knows besides `rules`.
//! Arguments are little endian, as on every architecture supported here.

use ross_sys::seccomp::Instruction;

use crate::spec::SeccompOperator;

use super::assembler::{Assembler, Compare, Goto};
use super::rules::{Case, Chain, Condition, Decision, Decisions, FOREIGN, NEWER, Rules};
use super::syscalls::{Abi, X32_BIT};

/// Offset of `seccomp_data.nr`.
const NUMBER: u32 = 0;
/// Offset of `seccomp_data.arch`.
const ARCHITECTURE: u32 = 4;
/// Offset of `seccomp_data.args`.
const ARGUMENTS: u32 = 16;

/// The program for these architectures.
pub(super) fn emit(rules: &Rules, abis: &[Abi]) -> Vec<Instruction> {
    let mut assembler = Assembler::new();
    let mut dispatch = Goto::Return(FOREIGN);
    let mut targets = Vec::with_capacity(abis.len());
    // The native architecture comes first in the list, and closest to the start of the program.
    for &abi in abis.iter().rev() {
        let runs = match abi {
            Abi::X32 => continue,
            Abi::X86_64 => x86_64_runs(&mut assembler, rules, abis.contains(&Abi::X32)),
            _ => numbered_runs(&mut assembler, rules, abi),
        };
        let tree = search(&mut assembler, &runs);
        targets.push((abi, assembler.load(NUMBER, tree)));
    }
    for (abi, target) in targets {
        dispatch = assembler.branch(Compare::Equal, abi.audit_arch(), target, dispatch);
    }
    let start = assembler.load(ARCHITECTURE, dispatch);
    assembler.finish(start)
}

type Runs = Vec<(u32, Goto)>;

fn numbered_runs(assembler: &mut Assembler, rules: &Rules, abi: Abi) -> Runs {
    let Decisions { runs, chains } = rules.decisions(abi);
    let blocks: Vec<Goto> =
        chains.iter().map(|chain| block(assembler, rules, chain, abi.has_wide_arguments())).collect();
    let mut merged: Runs = Vec::with_capacity(runs.len());
    for (start, decision) in runs {
        let goto = match decision {
            Decision::Answer(answer) => Goto::Return(answer),
            Decision::Chain(chain) => blocks[chain],
        };
        if merged.last().is_none_or(|&(_, current)| current != goto) {
            merged.push((start, goto));
        }
    }
    merged
}

/// x32 shares the audit architecture of x86-64 and has numbers of its own, from [`X32_BIT`] on.
fn x86_64_runs(assembler: &mut Assembler, rules: &Rules, with_x32: bool) -> Runs {
    let mut runs = numbered_runs(assembler, rules, Abi::X86_64);
    if with_x32 {
        runs.extend(numbered_runs(assembler, rules, Abi::X32));
    } else if rules.refuse_newer {
        runs.push((X32_BIT, Goto::Return(NEWER)));
    } else {
        runs.push((X32_BIT, Goto::Return(FOREIGN)));
        // -1 is what a tracer sets to have a call skipped.
        runs.push((u32::MAX, Goto::Return(rules.default)));
    }
    runs.dedup_by(|next, current| next.1 == current.1);
    runs
}

/// A binary search for the run the accumulator is in.
fn search(assembler: &mut Assembler, runs: &[(u32, Goto)]) -> Goto {
    match runs {
        [] => unreachable!("runs start at the lowest number there is"),
        [(_, only)] => *only,
        // One number in the middle of a run.
        [(_, around), (number, goto), (next, after)] if around == after && *next == number + 1 => {
            assembler.branch(Compare::Equal, *number, *goto, *around)
        }
        _ => {
            let (low, high) = runs.split_at(runs.len() / 2);
            let above = search(assembler, high);
            let below = search(assembler, low);
            assembler.branch(Compare::GreaterOrEqual, high[0].0, above, below)
        }
    }
}

/// Tries the cases of a chain in order.
fn block(assembler: &mut Assembler, rules: &Rules, chain: &Chain, wide: bool) -> Goto {
    let cases: Vec<&Case> = chain.cases.iter().map(|&case| &rules.cases[usize::from(case)]).collect();
    let mut next = Goto::Return(chain.otherwise);
    let mut groups: Vec<&[&Case]> = cases.chunk_by(|a, b| same_set(a, b, wide)).collect();
    while let Some(group) = groups.pop() {
        next = match group {
            [case] => case.conditions.iter().rev().fold(Goto::Return(case.answer), |yes, condition| {
                test(assembler, condition, wide, yes, next)
            }),
            _ => member(assembler, group, wide, next),
        };
    }
    next
}

/// Whether two cases say the same about two values of the same argument, so that one search does for both.
fn same_set(a: &Case, b: &Case, wide: bool) -> bool {
    match (a.conditions.as_slice(), b.conditions.as_slice()) {
        ([a_only], [b_only]) => {
            a.answer == b.answer
                && a_only.argument == b_only.argument
                && a_only.operator == SeccompOperator::Equal
                && b_only.operator == SeccompOperator::Equal
                && (!wide || high(a_only.value) == high(b_only.value))
        }
        _ => false,
    }
}

/// A search for the argument among the values of the cases.
fn member(assembler: &mut Assembler, cases: &[&Case], wide: bool, no: Goto) -> Goto {
    let yes = Goto::Return(cases[0].answer);
    let first = cases[0].conditions[0];
    let mut values: Vec<u32> = cases.iter().map(|case| low(case.conditions[0].value)).collect();
    values.sort_unstable();
    values.dedup();
    let mut runs: Runs = vec![(0, no)];
    for value in values {
        if runs.last().is_some_and(|&(start, _)| start == value) {
            runs.pop();
        }
        if runs.last().is_none_or(|&(_, current)| current != yes) {
            runs.push((value, yes));
        }
        if let Some(next) = value.checked_add(1) {
            runs.push((next, no));
        }
    }
    let found = search(assembler, &runs);
    let found = assembler.load(low_word(first.argument), found);
    if !wide {
        return found;
    }
    let found = assembler.branch(Compare::Equal, high(first.value), found, no);
    assembler.load(high_word(first.argument), found)
}

/// One condition: loads the argument, one half after the other, and compares.
fn test(assembler: &mut Assembler, condition: &Condition, wide: bool, yes: Goto, no: Goto) -> Goto {
    let &Condition { argument, operator, value, masked } = condition;
    let (argument, value, masked) = (argument, value, masked & value);
    match operator {
        SeccompOperator::Equal => equal(assembler, argument, u64::MAX, value, wide, yes, no),
        SeccompOperator::NotEqual => equal(assembler, argument, u64::MAX, value, wide, no, yes),
        SeccompOperator::MaskedEqual => equal(assembler, argument, value, masked, wide, yes, no),
        SeccompOperator::Greater => above(assembler, argument, Compare::Greater, value, wide, yes, no),
        SeccompOperator::GreaterOrEqual => {
            above(assembler, argument, Compare::GreaterOrEqual, value, wide, yes, no)
        }
        SeccompOperator::Less => above(assembler, argument, Compare::GreaterOrEqual, value, wide, no, yes),
        SeccompOperator::LessOrEqual => above(assembler, argument, Compare::Greater, value, wide, no, yes),
    }
}

/// `argument & mask == value`. Narrow arguments are compared with the low half alone, so that a negative number
/// that was widened to 64 bits still means itself.
fn equal(
    assembler: &mut Assembler,
    argument: u8,
    mask: u64,
    value: u64,
    wide: bool,
    yes: Goto,
    no: Goto,
) -> Goto {
    let mut half = |offset: u32, mask: u32, value: u32, yes: Goto| {
        if mask == 0 {
            return yes;
        }
        let compared = assembler.branch(Compare::Equal, value, yes, no);
        let compared = if mask == u32::MAX { compared } else { assembler.and(mask, compared) };
        assembler.load(offset, compared)
    };
    let low_half = half(low_word(argument), low(mask), low(value), yes);
    if wide { half(high_word(argument), high(mask), high(value), low_half) } else { low_half }
}

/// `argument > value` or `argument >= value`.
fn above(
    assembler: &mut Assembler,
    argument: u8,
    compare: Compare,
    value: u64,
    wide: bool,
    yes: Goto,
    no: Goto,
) -> Goto {
    if !wide && high(value) != 0 {
        return no;
    }
    let low_half = assembler.branch(compare, low(value), yes, no);
    let low_half = assembler.load(low_word(argument), low_half);
    if !wide {
        return low_half;
    }
    let equal = match high(value) {
        0 => low_half,
        high => assembler.branch(Compare::Equal, high, low_half, no),
    };
    let high_half = assembler.branch(Compare::Greater, high(value), yes, equal);
    assembler.load(high_word(argument), high_half)
}

fn low_word(argument: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(argument)
}

fn high_word(argument: u8) -> u32 {
    low_word(argument) + 4
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    low(value >> 32)
}
