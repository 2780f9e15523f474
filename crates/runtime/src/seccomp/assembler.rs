//! An assembler for classic BPF that works from the end of the program to its start.
//!
//! All jumps of classic BPF go forward, and conditional ones reach 255 instructions. Written backwards, every
//! target is known when a jump to it is written, and one that is out of reach gets a stepping stone right there:
//! a copy of the return, or an unconditional jump, which reaches anywhere.
//! This module knows nothing of profiles.

use ross_sys::seccomp::Instruction;

/// Load a word of `seccomp_data` into the accumulator.
const LOAD: u16 = 0x20;
/// Accumulator &= operand.
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// A comparison of the accumulator with an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal = 0x15,
    Greater = 0x25,
    GreaterOrEqual = 0x35,
}

/// The farthest a conditional jump reaches.
const REACH: usize = 255;

/// Where control goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goto {
    /// To an instruction written before: its position from the end of the program.
    Label(usize),
    /// Out of the program, with this answer.
    Return(u32),
}

/// A program under construction, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    /// The latest return of each value, the only one that can still be in reach.
    returns: Vec<(u32, usize)>,
}

impl Assembler {
    pub(super) fn new() -> Self {
        Self { code: Vec::with_capacity(512), returns: Vec::with_capacity(8) }
    }

    /// `if accumulator <compare> operand goto yes else goto no`; the place of that instruction.
    pub(super) fn branch(&mut self, compare: Compare, operand: u32, yes: Goto, no: Goto) -> Goto {
        if yes == no {
            return yes;
        }
        // Each of the two may write one instruction, which moves the other one away by one.
        let yes = self.in_reach(yes);
        let no = self.in_reach(no);
        let at = self.code.len();
        let (jt, jf) = (distance(at, yes), distance(at, no));
        self.push(compare as u16, jt, jf, operand)
    }

    /// Loads the word at `offset` of `seccomp_data`, then goes on.
    pub(super) fn load(&mut self, offset: u32, next: Goto) -> Goto {
        self.fall_into(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// Masks the accumulator, then goes on.
    pub(super) fn and(&mut self, mask: u32, next: Goto) -> Goto {
        self.fall_into(next);
        self.push(AND, 0, 0, mask)
    }

    /// The program from `start` on, in the order of execution.
    pub(super) fn finish(mut self, start: Goto) -> Vec<Instruction> {
        self.fall_into(start);
        self.code.reverse();
        self.code
    }

    /// Makes `next` what follows: nothing to do when it was written last.
    fn fall_into(&mut self, next: Goto) {
        match next {
            Goto::Label(label) if label + 1 == self.code.len() => {}
            Goto::Label(label) => self.jump(label),
            Goto::Return(value) => {
                self.ret(value);
            }
        }
    }

    /// The position of something that leads to `target` and is in reach of the instruction after the next.
    fn in_reach(&mut self, target: Goto) -> usize {
        let near = |code: &[Instruction], label: usize| code.len() + 1 - label - 1 <= REACH;
        match target {
            Goto::Label(label) if near(&self.code, label) => label,
            Goto::Label(label) => {
                self.jump(label);
                self.code.len() - 1
            }
            Goto::Return(value) => match self.returns.iter().find(|(known, _)| *known == value) {
                Some(&(_, label)) if near(&self.code, label) => label,
                _ => self.ret(value),
            },
        }
    }

    fn jump(&mut self, label: usize) {
        let distance = self.code.len() - label - 1;
        let distance = u32::try_from(distance).expect("a program has far fewer than 2^32 instructions");
        self.push(JUMP, 0, 0, distance);
    }

    fn ret(&mut self, value: u32) -> usize {
        self.push(RETURN, 0, 0, value);
        let at = self.code.len() - 1;
        match self.returns.iter_mut().find(|(known, _)| *known == value) {
            Some((_, latest)) => *latest = at,
            None => self.returns.push((value, at)),
        }
        at
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Goto {
        self.code.push(Instruction { code, jt, jf, k });
        Goto::Label(self.code.len() - 1)
    }
}

fn distance(at: usize, label: usize) -> u8 {
    u8::try_from(at - label - 1).expect("in_reach put it near")
}

#[cfg(test)]
mod tests {
    use super::super::interpreter::{Data, run};
    use super::*;

    #[test]
    fn far_targets_get_stepping_stones() {
        // A ladder of 700 comparisons, each leading out at the far end or on to the next.
        let mut assembler = Assembler::new();
        let far = assembler.load(4, Goto::Return(99));
        let mut next = Goto::Return(1);
        for number in (0..700).rev() {
            let yes = if number % 3 == 0 { far } else { Goto::Return(number + 1000) };
            next = assembler.branch(Compare::Equal, number, yes, next);
        }
        let start = assembler.load(0, next);
        let program = assembler.finish(start);
        for nr in 0..800 {
            let expected = match nr {
                700.. => 1,
                nr if nr % 3 == 0 => 99,
                nr => nr + 1000,
            };
            assert_eq!(run(&program, &Data { nr, ..Data::default() }), Ok(expected), "{nr}");
        }
    }

    #[test]
    fn a_constant_program_is_one_instruction() {
        let mut assembler = Assembler::new();
        let start = assembler.branch(Compare::Equal, 1, Goto::Return(7), Goto::Return(7));
        assert_eq!(assembler.finish(start), [Instruction { code: RETURN, jt: 0, jf: 0, k: 7 }]);
    }
}
