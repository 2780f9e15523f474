//! An interpreter of classic BPF for tests, after Documentation/networking/filter.rst, and the kernel's checks of
//! a seccomp program (`bpf_check_classic`, `seccomp_check_filter`). It shares nothing with the assembler.

use ross_sys::seccomp::Instruction;

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Data {
    pub(super) nr: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> Result<u32, String> {
        match offset {
            0 => Ok(self.nr),
            4 => Ok(self.arch),
            16..64 if offset.is_multiple_of(4) => {
                let index = ((offset - 16) / 8) as usize;
                let [a, b, c, d, e, f, g, h] = self.args[index].to_le_bytes();
                Ok(u32::from_le_bytes(if offset % 8 == 4 { [e, f, g, h] } else { [a, b, c, d] }))
            }
            _ => Err(format!("load at {offset}")),
        }
    }
}

/// What the kernel checks before it takes a program.
pub(super) fn check(program: &[Instruction]) -> Result<(), String> {
    if program.is_empty() || program.len() > 4096 {
        return Err(format!("{} instructions", program.len()));
    }
    for (at, instruction) in program.iter().enumerate() {
        let target = |distance: usize| at + 1 + distance < program.len();
        let fine = match instruction.code {
            0x20 => instruction.k < 64 && instruction.k.is_multiple_of(4),
            0x54 | 0x06 => true,
            0x05 => target(instruction.k as usize),
            0x15 | 0x25 | 0x35 => target(instruction.jt.into()) && target(instruction.jf.into()),
            _ => false,
        };
        if !fine {
            return Err(format!("instruction {at}: {instruction:?}"));
        }
    }
    match program.last() {
        Some(last) if last.code == 0x06 => Ok(()),
        _ => Err("the end is open".to_owned()),
    }
}

/// Runs a program on one call.
pub(super) fn run(program: &[Instruction], data: &Data) -> Result<u32, String> {
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let instruction = program.get(at).ok_or_else(|| format!("ran off the end at {at}"))?;
        at += 1;
        let holds = match instruction.code {
            0x20 => {
                accumulator = data.word(instruction.k)?;
                continue;
            }
            0x54 => {
                accumulator &= instruction.k;
                continue;
            }
            0x05 => {
                at += instruction.k as usize;
                continue;
            }
            0x06 => return Ok(instruction.k),
            0x15 => accumulator == instruction.k,
            0x25 => accumulator > instruction.k,
            0x35 => accumulator >= instruction.k,
            code => return Err(format!("unknown code {code:#x}")),
        };
        at += usize::from(if holds { instruction.jt } else { instruction.jf });
    }
}
