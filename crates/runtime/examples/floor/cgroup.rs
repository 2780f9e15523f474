//! A cgroup with a device program, as bare as it can be.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::bpf::{DeviceProgram, Instruction};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, unlinkat};
use rustix::io::Result;

const PATH: &std::ffi::CStr = c"/sys/fs/cgroup/ross-floor";

/// Major and minor numbers of the devices that may be opened: null, zero, full, random, urandom, tty, console, ptmx.
const DEVICES: [(i32, i32); 8] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
/// Terminals, all minor numbers.
const PTS: i32 = 136;

/// The cgroup, open.
#[derive(Debug)]
pub(crate) struct Group(OwnedFd);

impl Group {
    pub(crate) fn make() -> Result<Self> {
        mkdirat(CWD, PATH, Mode::from_raw_mode(0o755))?;
        let group = Self(open(PATH, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        DeviceProgram::load(&program())?.attach(group.dir())?;
        Ok(group)
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn remove(self) -> Result<()> {
        unlinkat(CWD, PATH, AtFlags::REMOVEDIR)
    }
}

/// Allows making any node and opening [`DEVICES`] and [`PTS`]. Source: linux/bpf.h, `struct bpf_cgroup_dev_ctx`.
fn program() -> Vec<Instruction> {
    const LOAD: u8 = 0x61;
    const SHIFT_RIGHT: u8 = 0x74;
    const MOVE: u8 = 0xb7;
    const UNLESS_EQUAL: u8 = 0x55;
    const EXIT: u8 = 0x95;
    const MKNOD: i32 = 1;
    let instruction = |code, registers, offset, immediate| Instruction { code, registers, offset, immediate };
    let allow = [instruction(MOVE, 0, 0, 1), instruction(EXIT, 0, 0, 0)];
    // Access to r2, without the type, major to r3, minor to r4.
    let mut program = vec![
        instruction(LOAD, 0x12, 0, 0),
        instruction(LOAD, 0x13, 4, 0),
        instruction(LOAD, 0x14, 8, 0),
        instruction(SHIFT_RIGHT, 0x02, 0, 16),
        instruction(UNLESS_EQUAL, 0x02, 2, MKNOD),
    ];
    program.extend(allow);
    for (major, minor) in DEVICES {
        program.push(instruction(UNLESS_EQUAL, 0x03, 3, major));
        program.push(instruction(UNLESS_EQUAL, 0x04, 2, minor));
        program.extend(allow);
    }
    program.push(instruction(UNLESS_EQUAL, 0x03, 2, PTS));
    program.extend(allow);
    program.extend([instruction(MOVE, 0, 0, 0), instruction(EXIT, 0, 0, 0)]);
    program
}
