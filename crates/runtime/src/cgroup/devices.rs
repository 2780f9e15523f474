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

    /// Whether there can be a device it matches.
    fn is_possible(&self) -> bool {
        self.major.is_none_or(|major| major <= MAX_MAJOR) && self.minor.is_none_or(|minor| minor <= MAX_MINOR)
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
        program(&checked).map(Self::Program)
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
const OR_REGISTER_32: u8 = 0x4c;
const AND_32: u8 = 0x54;
const SHIFT_LEFT_32: u8 = 0x64;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP: u8 = 0x05;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_EQUAL_32: u8 = 0x16;
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
/// Both numbers in one word, as in the kernel's `dev_t`.
const DEVICE: u8 = 6;

const MINOR_BITS: u8 = 20;
const MAX_MAJOR: i32 = 0xfff;
const MAX_MINOR: i32 = 0xf_ffff;

/// Where a jump goes that is not written yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Allow,
    Deny,
    /// The decision of the group of rules being written.
    Decision,
    /// What follows it.
    Next,
}

/// A program under construction.
///
/// Loading it is most of what the rules cost, and the time goes by the paths the verifier walks. So a test that fails
/// falls through to the next one, which lets the verifier see the general case first and skip the particular ones.
#[derive(Default)]
struct Writer {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Target)>,
}

impl Writer {
    fn push(&mut self, code: u8, registers: u8, immediate: i32) {
        self.code.push(Instruction { code, registers, offset: 0, immediate });
    }

    fn load(&mut self, register: u8, offset: i16) {
        self.code.push(Instruction {
            code: LOAD_WORD,
            registers: register | CONTEXT << 4,
            offset,
            immediate: 0,
        });
    }

    fn jump(&mut self, code: u8, register: u8, immediate: i32, target: Target) {
        self.jumps.push((self.code.len(), target));
        self.push(code, register, immediate);
    }

    /// Sends the jumps to `target` here; whether there are any.
    fn land(&mut self, target: Target) -> Result<bool, CgroupError> {
        let here = self.code.len();
        let mut any = false;
        for &(at, _) in self.jumps.iter().filter(|(_, to)| *to == target) {
            any = true;
            self.code[at].offset = i16::try_from(here - at - 1).map_err(|_| CgroupError::InvalidValue {
                field: "linux.resources.devices".to_owned(),
                reason: "has too many rules".to_owned(),
            })?;
        }
        self.jumps.retain(|(_, to)| *to != target);
        Ok(any)
    }

    /// Tests that lead to `target` for the devices of these rules; whether any other device gets past them.
    fn matches(&mut self, rules: &[&Rule], target: Target) -> Result<bool, CgroupError> {
        if rules.iter().any(|rule| rule.kind.is_none() && rule.major.is_none() && rule.minor.is_none()) {
            return Ok(false);
        }
        for kind in [None, Some(1), Some(2)] {
            let rules: Vec<&&Rule> = rules.iter().filter(|rule| rule.kind == kind).collect();
            let Some(code) = kind else {
                self.numbers(&rules, target);
                continue;
            };
            if rules.iter().any(|rule| rule.major.is_none() && rule.minor.is_none()) {
                self.jump(JUMP_IF_EQUAL, KIND, i32::from(code), target);
            } else if !rules.is_empty() {
                let at = self.code.len();
                self.push(JUMP_UNLESS_EQUAL, KIND, i32::from(code));
                self.numbers(&rules, target);
                self.code[at].offset = i16::try_from(self.code.len() - at - 1).unwrap_or(i16::MAX);
            }
        }
        Ok(true)
    }

    fn numbers(&mut self, rules: &[&&Rule], target: Target) {
        for rule in rules {
            match (rule.major, rule.minor) {
                (Some(major), Some(minor)) => {
                    self.jump(JUMP_IF_EQUAL_32, DEVICE, major << MINOR_BITS | minor, target);
                }
                (Some(major), None) => self.jump(JUMP_IF_EQUAL, MAJOR, major, target),
                (None, Some(minor)) => self.jump(JUMP_IF_EQUAL, MINOR, minor, target),
                (None, None) => self.jump(JUMP, 0, 0, target),
            }
        }
    }

    fn exit(&mut self, answer: Target) {
        self.push(MOVE, ANSWER, i32::from(answer == Target::Allow));
        self.push(EXIT, 0, 0);
    }
}

fn program(rules: &[Rule]) -> Result<Vec<Instruction>, CgroupError> {
    let mut writer = Writer::default();
    writer.load(KIND, 0);
    writer.push(MOVE_REGISTER_32, OPEN | KIND << 4, 0);
    writer.push(AND_32, KIND, 0xffff);
    writer.push(SHIFT_RIGHT_32, OPEN, 16);
    writer.load(MAJOR, 4);
    writer.load(MINOR, 8);
    writer.push(MOVE_REGISTER_32, DEVICE | MAJOR << 4, 0);
    writer.push(SHIFT_LEFT_32, DEVICE, i32::from(MINOR_BITS));
    writer.push(OR_REGISTER_32, DEVICE | MINOR << 4, 0);

    let mut otherwise = Target::Deny;
    let backwards: Vec<&Rule> = rules.iter().rev().filter(|rule| rule.is_possible()).collect();
    // Neighbours that decide the same may be asked in any order.
    for group in backwards.chunk_by(|a, b| a.allow == b.allow && a.access == b.access) {
        let (allow, access) = (group[0].allow, group[0].access);
        let answer = if allow { Target::Allow } else { Target::Deny };
        if access == ANY {
            if !writer.matches(group, answer)? {
                otherwise = answer;
                break;
            }
            continue;
        }
        if writer.matches(group, Target::Decision)? {
            writer.jump(JUMP, 0, 0, Target::Next);
        }
        writer.land(Target::Decision)?;
        if allow {
            writer.push(AND_32, OPEN, i32::from(ANY & !access));
            writer.jump(JUMP_IF_EQUAL, OPEN, 0, Target::Allow);
        } else {
            writer.push(MOVE_REGISTER_32, CONTEXT | OPEN << 4, 0);
            writer.push(AND_32, CONTEXT, i32::from(access));
            writer.jump(JUMP_UNLESS_EQUAL, CONTEXT, 0, Target::Deny);
        }
        writer.land(Target::Next)?;
    }

    // What nothing leads to must not be there: the verifier refuses it.
    let other = if otherwise == Target::Deny { Target::Allow } else { Target::Deny };
    writer.land(otherwise)?;
    writer.exit(otherwise);
    if writer.land(other)? {
        writer.exit(other);
    }
    Ok(writer.code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a program for one access; `None` is a program that goes wrong.
    fn run(program: &[Instruction], kind: u8, access: u8, major: i32, minor: i32) -> Option<bool> {
        let mut registers = [0_i64; 7];
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
                OR_REGISTER_32 => {
                    registers[to] |= registers[from];
                    false
                }
                AND_32 => {
                    registers[to] &= i64::from(immediate);
                    false
                }
                SHIFT_LEFT_32 => {
                    registers[to] = (registers[to] << immediate) & 0xffff_ffff;
                    false
                }
                SHIFT_RIGHT_32 => {
                    registers[to] >>= immediate;
                    false
                }
                JUMP => true,
                JUMP_IF_EQUAL_32 => registers[to] == i64::from(immediate.cast_unsigned()),
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

    /// The highest numbers there are come along, and one beyond them.
    fn any_number(most: i32) -> impl Strategy<Value = Option<i32>> {
        prop::option::of(prop::sample::select(vec![0, 1, 2, most, most + 1]))
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        (any::<bool>(), prop::option::of(1..3_u8), any_number(MAX_MAJOR), any_number(MAX_MINOR), 1..8_u8)
            .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access })
    }

    proptest! {
        #[test]
        fn programs_say_what_rules_say(rules in prop::collection::vec(any_rule(), 0..12)) {
            let program = program(&rules).unwrap();
            for kind in 1..3 {
                for access in 1..8 {
                    let majors = [0, 1, 2, MAX_MAJOR];
                    let minors = [0, 1, 2, MAX_MINOR];
                    for (major, minor) in majors.into_iter().flat_map(|major| minors.map(|minor| (major, minor))) {
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_verifier_takes_any_program(rules in prop::collection::vec(any_rule(), 0..12)) {
            match DeviceProgram::load(&program(&rules).unwrap()) {
                Err(Errno::PERM) => println!("SKIP the_verifier_takes_any_program: bpf(2) is not permitted"),
                result => prop_assert!(result.is_ok(), "{:?}", result),
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
