//! Device control of cgroup v2: loading a `BPF_PROG_TYPE_CGROUP_DEVICE` program, attaching it to a
//! cgroup, finding and detaching what is attached.
//!
//! Only these operations of bpf(2) are here. What a program decides is not this module's concern.
//! nix and rustix have no bpf(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::error::last_errno;

/// One eBPF instruction, the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation, see linux/bpf.h and linux/bpf_common.h.
    pub code: u8,
    /// Destination register in the low nibble, source register in the high one (little endian).
    pub registers: u8,
    /// Jump distance or memory offset.
    pub offset: i16,
    /// The operand.
    pub immediate: i32,
}

const _: () = assert!(size_of::<Instruction>() == 8);

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const F_ALLOW_MULTI: u32 = 1 << 1;
const F_REPLACE: u32 = 1 << 2;

/// More programs than the kernel allows on one cgroup (`BPF_CGROUP_MAX_PROGS`).
const MAX_PROGS: u32 = 64;

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    // The kernel copies as much of its union as the caller says it has; it may write here (6.6).
    reserved: [u32; 9],
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// A loaded device program. It lives as long as it is open or attached.
#[derive(Debug)]
pub struct DeviceProgram(OwnedFd);

impl DeviceProgram {
    /// Has the kernel verify and load `program` (CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN).
    pub fn load(program: &[Instruction]) -> Result<Self, Errno> {
        let attr = LoadAttr {
            prog_type: PROG_TYPE_CGROUP_DEVICE,
            insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
            insns: program.as_ptr().expose_provenance() as u64,
            license: c"Dual MIT/GPL".as_ptr().expose_provenance() as u64,
            prog_name: *b"ross_device\0\0\0\0\0",
            expected_attach_type: ATTACH_CGROUP_DEVICE,
            ..LoadAttr::default()
        };
        // SAFETY: the attributes describe `insn_cnt` initialised instructions and a C string, which the
        // kernel only reads and which outlive the call.
        let fd = unsafe { bpf(PROG_LOAD, &attr) }?;
        // SAFETY: a successful BPF_PROG_LOAD answers with a new descriptor (close-on-exec) nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Opens an attached program by its id, for [`Self::replace`] and [`Self::detach`] (CAP_SYS_ADMIN).
    pub fn by_id(id: u32) -> Result<Self, Errno> {
        let attr = IdAttr { prog_id: id, ..IdAttr::default() };
        // SAFETY: the attributes hold no pointer.
        let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &attr) }?;
        // SAFETY: a successful BPF_PROG_GET_FD_BY_ID answers with a new descriptor nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Attaches the program beside those that are there: an access must pass all of them.
    pub fn attach(&self, cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
        self.attach_with(cgroup, F_ALLOW_MULTI, 0)
    }

    /// Puts the program in the place of `old` in one step (Linux 5.6).
    pub fn replace(&self, cgroup: BorrowedFd<'_>, old: &Self) -> Result<(), Errno> {
        self.attach_with(cgroup, F_ALLOW_MULTI | F_REPLACE, raw(old.0.as_fd()))
    }

    /// Takes the program off the cgroup.
    pub fn detach(&self, cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
        let attr = AttachAttr {
            target_fd: raw(cgroup),
            attach_bpf_fd: raw(self.0.as_fd()),
            attach_type: ATTACH_CGROUP_DEVICE,
            ..AttachAttr::default()
        };
        // SAFETY: the attributes hold descriptors that are open, and no pointer.
        unsafe { bpf(PROG_DETACH, &attr) }.map(drop)
    }

    fn attach_with(&self, cgroup: BorrowedFd<'_>, flags: u32, replaced: u32) -> Result<(), Errno> {
        let attr = AttachAttr {
            target_fd: raw(cgroup),
            attach_bpf_fd: raw(self.0.as_fd()),
            attach_type: ATTACH_CGROUP_DEVICE,
            attach_flags: flags,
            replace_bpf_fd: replaced,
        };
        // SAFETY: the attributes hold descriptors that are open, and no pointer.
        unsafe { bpf(PROG_ATTACH, &attr) }.map(drop)
    }
}

/// The ids of the device programs attached to the cgroup itself (not those of its ancestors).
pub fn device_programs(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut ids = vec![0_u32; MAX_PROGS as usize];
    let mut attr = QueryAttr {
        target_fd: raw(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr().expose_provenance() as u64,
        prog_cnt: MAX_PROGS,
        ..QueryAttr::default()
    };
    // SAFETY: the kernel writes at most `prog_cnt` ids to `ids`, which is that long, and its answer to
    // the attributes, of which it is told the size.
    unsafe { bpf_mut(PROG_QUERY, &mut attr) }?;
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// # Safety
/// Every pointer inside `attr` is valid for what `command` does with it.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> Result<libc::c_int, Errno> {
    // SAFETY: `attr` is a prefix of the kernel's `union bpf_attr` whose size is passed; the commands of
    // this function only read it. Pointers inside are the caller's promise.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    answer(ret)
}

/// # Safety
/// Every pointer inside `attr` is valid for what `command` does with it.
unsafe fn bpf_mut<T>(command: libc::c_int, attr: &mut T) -> Result<libc::c_int, Errno> {
    // SAFETY: as for `bpf`; the kernel may write back within the size that is passed.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    answer(ret)
}

fn answer(ret: libc::c_long) -> Result<libc::c_int, Errno> {
    match libc::c_int::try_from(ret) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(last_errno()),
    }
}
