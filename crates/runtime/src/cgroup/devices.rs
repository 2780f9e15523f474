//! Device rules as an eBPF program: which device nodes may be made, read and written.
//!
//! The rules mean what they meant to cgroup v1: each adds its accesses to, or takes them from, what the rules before it
//! left, so that for each access the last rule that matches decides. The program walks the rules from the last to the
//! first with the set of accesses nobody has decided yet. What no rule allows is denied.

use std::os::fd::BorrowedFd;

use ross_sys::bpf::{DeviceProgram, Instruction, device_programs};
use rustix::io::Errno;

use crate::spec::{DeviceKind, DeviceRule};

use super::create::io;
use super::{CgroupError, CgroupPath};

const MKNOD: u8 = 1;
const READ: u8 = 2;
const WRITE: u8 = 4;
const ANY: u8 = MKNOD | READ | WRITE;

/// Devices every container may use, whatever its rules say, as in runc: nodes may be made of any kind, since a node
/// gives no access; null, zero, full, random, urandom, tty, console, and the terminals of its own devpts.
#[must_use]
pub fn default_devices() -> Vec<DeviceRule> {
    let rule = |kind, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let mut rules = vec![rule(DeviceKind::Char, None, None, "m"), rule(DeviceKind::Block, None, None, "m")];
    let usable = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(1)),
        (5, Some(2)),
        (136, None),
    ];
    rules.extend(usable.map(|(major, minor)| rule(DeviceKind::Char, Some(major), minor, "rwm")));
    rules
}

/// A rule, checked. An absent field matches anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `BPF_DEVCG_DEV_BLOCK` or `BPF_DEVCG_DEV_CHAR`.
    kind: Option<u8>,
    major: Option<i32>,
    minor: Option<i32>,
    access: u8,
}

impl Rule {
    fn new(index: usize, rule: &DeviceRule) -> Result<Self, CgroupError> {
        let invalid = |part: &str, reason: String| CgroupError::InvalidValue {
            field: format!("linux.resources.devices[{index}].{part}"),
            reason,
        };
        let number = |part: &str, number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => match i32::try_from(number) {
                Ok(number @ 0..) => Ok(Some(number)),
                _ => Err(invalid(part, format!("{number} is not a device number"))),
            },
        };
        let kind = match rule.kind {
            None | Some(DeviceKind::All) => None,
            Some(DeviceKind::Block) => Some(1),
            Some(DeviceKind::Char) => Some(2),
            Some(DeviceKind::Fifo) => return Err(invalid("type", "a FIFO is not a device".to_owned())),
        };
        let mut access = 0;
        for letter in rule.access.as_deref().unwrap_or("rwm").chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                _ => return Err(invalid("access", format!("{letter:?} is not one of r, w and m"))),
            };
        }
        if access == 0 {
            return Err(invalid("access", "is empty".to_owned()));
        }
        Ok(Self {
            allow: rule.allow,
            kind,
            major: number("major", rule.major)?,
            minor: number("minor", rule.minor)?,
            access,
        })
    }

    /// Whether it decides everything, so that no rule before it matters.
    fn is_final(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == ANY
    }
}

/// Device rules in the form the kernel takes.
#[derive(Debug)]
pub(super) enum Policy {
    /// Every access passes: no program is needed.
    Open,
    Program(Vec<Instruction>),
}

impl Policy {
    /// The rules of a container, and after them those every container has.
    pub(super) fn new(rules: &[DeviceRule]) -> Result<Self, CgroupError> {
        let mut checked = Vec::with_capacity(rules.len() + 11);
        for (index, rule) in rules.iter().chain(&default_devices()).enumerate() {
            let rule = Rule::new(index, rule)?;
            // What is said again later is heard then.
            checked.retain(|earlier| *earlier != rule);
            checked.push(rule);
        }
        if let Some(at) = checked.iter().rposition(Rule::is_final) {
            checked.drain(..at);
            if checked.iter().all(|rule| rule.allow) {
                return Ok(Self::Open);
            }
        }
        Ok(Self::Program(program(&checked)))
    }

    /// Attaches the program to a cgroup that has none.
    pub(super) fn attach_first(&self, cgroup: BorrowedFd<'_>, path: &CgroupPath) -> Result<(), CgroupError> {
        let Self::Program(program) = self else { return Ok(()) };
        let result = DeviceProgram::load(program).and_then(|program| program.attach(cgroup));
        tolerate(result, path)
    }

    /// Attaches the program in the place of whatever the cgroup has.
    pub(super) fn attach(&self, cgroup: BorrowedFd<'_>, path: &CgroupPath) -> Result<(), CgroupError> {
        tolerate(self.replace(cgroup), path)
    }

    fn replace(&self, cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut old = Vec::new();
        for id in device_programs(cgroup)? {
            match DeviceProgram::by_id(id) {
                Ok(program) => old.push(program),
                // Gone since the question was answered.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        if let Self::Program(program) = self {
            let program = DeviceProgram::load(program)?;
            match old.pop() {
                // In one step: there is no moment without rules.
                Some(last) => program.replace(cgroup, &last)?,
                None => program.attach(cgroup)?,
            }
        }
        old.iter().try_for_each(|program| program.detach(cgroup))
    }
}

/// In a user namespace device nodes cannot be made and bpf(2) cannot be used: the rules are kept without a program.
fn tolerate(result: Result<(), Errno>, path: &CgroupPath) -> Result<(), CgroupError> {
    match result {
        Err(Errno::PERM | Errno::ACCESS) if in_user_namespace() => Ok(()),
        result => result.map_err(io("attach the device rules", path.as_str())),
    }
}

fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| !map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

// Operations of eBPF, see Documentation/bpf/standardization/instruction-set.rst.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER_32: u8 = 0xbc;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

// Registers.
const ANSWER: u8 = 0;
/// `struct bpf_cgroup_dev_ctx`, then scratch.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// Accesses nobody has decided yet.
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        load(KIND, 0),
        instruction(MOVE_REGISTER_32, OPEN | KIND << 4, 0, 0),
        instruction(AND_32, KIND, 0, 0xffff),
        instruction(SHIFT_RIGHT_32, OPEN, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        let decision = decision(rule);
        let tests = [(KIND, rule.kind.map(i32::from)), (MAJOR, rule.major), (MINOR, rule.minor)];
        let tests: Vec<(u8, i32)> =
            tests.into_iter().filter_map(|(register, value)| Some((register, value?))).collect();
        for (index, (register, value)) in tests.iter().enumerate() {
            let rest = tests.len() - index - 1 + decision.len();
            let rest = i16::try_from(rest).expect("a rule has at most eight instructions");
            code.push(instruction(JUMP_UNLESS_EQUAL, *register, rest, *value));
        }
        code.extend(decision);
        if rule.is_final() {
            // Nothing comes by here any more, and the verifier refuses what cannot be reached.
            return code;
        }
    }
    code.extend(answer(0));
    code
}

/// What a rule does with an access to a device it matches.
fn decision(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let mut code = match (rule.allow, rule.access) {
        (_, ANY) => Vec::new(),
        (true, _) => vec![
            instruction(AND_32, OPEN, 0, i32::from(ANY) & !access),
            instruction(JUMP_UNLESS_EQUAL, OPEN, 2, 0),
        ],
        (false, _) => vec![
            instruction(MOVE_REGISTER_32, CONTEXT | OPEN << 4, 0, 0),
            instruction(AND_32, CONTEXT, 0, access),
            instruction(JUMP_IF_EQUAL, CONTEXT, 2, 0),
        ],
    };
    code.extend(answer(rule.allow.into()));
    code
}

fn answer(value: i32) -> [Instruction; 2] {
    [instruction(MOVE, ANSWER, 0, value), instruction(EXIT, 0, 0, 0)]
}

fn load(register: u8, offset: i16) -> Instruction {
    instruction(LOAD_WORD, register | CONTEXT << 4, offset, 0)
}

fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a program for one access; `None` is a program that goes wrong.
    fn run(program: &[Instruction], kind: u8, access: u8, major: i32, minor: i32) -> Option<bool> {
        let mut registers = [0_i64; 6];
        let context = [i32::from(kind) | i32::from(access) << 16, major, minor];
        let mut at = 0_usize;
        loop {
            let &Instruction { code, registers: pair, offset, immediate } = program.get(at)?;
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            at += 1;
            let jump = match code {
                LOAD_WORD if from == 1 => {
                    registers[to] = context[usize::try_from(offset).ok()? / 4].into();
                    false
                }
                MOVE => {
                    registers[to] = immediate.into();
                    false
                }
                MOVE_REGISTER_32 => {
                    registers[to] = registers[from];
                    false
                }
                AND_32 => {
                    registers[to] &= i64::from(immediate);
                    false
                }
                SHIFT_RIGHT_32 => {
                    registers[to] >>= immediate;
                    false
                }
                JUMP_IF_EQUAL => registers[to] == i64::from(immediate),
                JUMP_UNLESS_EQUAL => registers[to] != i64::from(immediate),
                EXIT => return Some(registers[0] == 1),
                _ => return None,
            };
            if jump {
                at += usize::try_from(offset).ok()?;
            }
        }
    }

    /// The same by the words of cgroup v1: each rule changes the set of accesses.
    fn evaluate(rules: &[Rule], kind: u8, access: u8, major: i32, minor: i32) -> bool {
        let mut allowed = 0;
        for rule in rules {
            let matches = rule.kind.is_none_or(|k| k == kind)
                && rule.major.is_none_or(|m| m == major)
                && rule.minor.is_none_or(|m| m == minor);
            match (matches, rule.allow) {
                (true, true) => allowed |= rule.access,
                (true, false) => allowed &= !rule.access,
                _ => {}
            }
        }
        access & !allowed == 0
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        (
            any::<bool>(),
            prop::option::of(1..3_u8),
            prop::option::of(0..4_i32),
            prop::option::of(0..4_i32),
            1..8_u8,
        )
            .prop_map(|(allow, kind, major, minor, access)| Rule {
                allow,
                kind,
                major,
                minor,
                access,
            })
    }

    proptest! {
        #[test]
        fn programs_say_what_rules_say(rules in prop::collection::vec(any_rule(), 0..12)) {
            let program = program(&rules);
            for kind in 1..3 {
                for access in 1..8 {
                    for (major, minor) in (0..4).flat_map(|major| (0..4).map(move |minor| (major, minor))) {
                        prop_assert_eq!(
                            run(&program, kind, access, major, minor),
                            Some(evaluate(&rules, kind, access, major, minor)),
                            "{} {} {}:{}", kind, access, major, minor
                        );
                    }
                }
            }
        }
    }

    fn rules(json: &str) -> Vec<DeviceRule> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_default_devices_are_always_there() {
        let Policy::Program(program) = Policy::new(&rules(r#"[{"allow":false}]"#)).unwrap() else { panic!() };
        assert_eq!(run(&program, 2, READ | WRITE, 1, 3), Some(true), "null");
        assert_eq!(run(&program, 2, READ | WRITE, 136, 7), Some(true), "pts");
        assert_eq!(run(&program, 1, MKNOD, 8, 0), Some(true), "mknod sda");
        assert_eq!(run(&program, 1, READ, 8, 0), Some(false), "read sda");
        assert_eq!(run(&program, 1, READ | MKNOD, 8, 0), Some(false), "read and mknod sda");
        assert_eq!(run(&program, 2, READ, 10, 200), Some(false), "tun");
    }

    #[test]
    fn everything_allowed_needs_no_program() {
        assert!(matches!(Policy::new(&rules(r#"[{"allow":false},{"allow":true}]"#)).unwrap(), Policy::Open));
        let all_but_one = r#"[{"allow":true,"type":"a"},{"allow":false,"type":"b","major":8,"minor":0}]"#;
        let Policy::Program(program) = Policy::new(&rules(all_but_one)).unwrap() else { panic!() };
        assert_eq!(run(&program, 1, READ, 8, 0), Some(false));
        assert_eq!(run(&program, 1, READ, 8, 16), Some(true));
        // The defaults that a list repeats cost nothing.
        let Policy::Program(twice) = Policy::new(&crate::defaults::default_device_rules()).unwrap() else {
            panic!()
        };
        let Policy::Program(once) = Policy::new(&rules(r#"[{"allow":false}]"#)).unwrap() else { panic!() };
        assert_eq!(twice.len(), once.len());
    }

    #[test]
    fn wrong_rules_are_refused() {
        let check = |json: &str, expected: &str| {
            assert_eq!(Policy::new(&rules(json)).unwrap_err().to_string(), expected);
        };
        check(r#"[{"allow":true,"type":"p"}]"#, "linux.resources.devices[0].type: a FIFO is not a device");
        check(
            r#"[{"allow":true,"access":"rx"}]"#,
            "linux.resources.devices[0].access: 'x' is not one of r, w and m",
        );
        check(r#"[{"allow":true,"access":""}]"#, "linux.resources.devices[0].access: is empty");
        check(
            r#"[{"allow":true},{"allow":true,"major":-2}]"#,
            "linux.resources.devices[1].major: -2 is not a device number",
        );
        assert!(Policy::new(&rules(r#"[{"allow":true,"major":-1,"minor":-1}]"#)).is_ok());
    }
}
