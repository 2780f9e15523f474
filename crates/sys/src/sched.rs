//! How a process gets CPUs, disks and memory nodes: sched_setattr(2), sched_setaffinity(2), ioprio_set(2),
//! set_mempolicy(2).

use rustix::io::Result;

use crate::error::last_errno;

/// `struct sched_attr` of sched_setattr(2), without its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedulerAttributes {
    /// `SCHED_OTHER` and so on.
    pub policy: u32,
    /// `SCHED_FLAG_RESET_ON_FORK` and so on.
    pub flags: u64,
    /// Nice value of SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// Static priority of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// SCHED_DEADLINE: runtime in nanoseconds.
    pub runtime: u64,
    /// SCHED_DEADLINE: deadline in nanoseconds.
    pub deadline: u64,
    /// SCHED_DEADLINE: period in nanoseconds.
    pub period: u64,
}

/// `SCHED_ATTR_SIZE_VER0`: without clamps of utilization.
const ATTRIBUTES_SIZE: u32 = 48;
const _: () = assert!(size_of::<libc::sched_attr>() == ATTRIBUTES_SIZE as usize);

/// Sets policy and parameters of a thread; 0 is the caller.
///
/// # Errors
/// As sched_setattr(2).
pub fn set_scheduler(pid: i32, attributes: &SchedulerAttributes) -> Result<()> {
    let attributes = libc::sched_attr {
        size: ATTRIBUTES_SIZE,
        sched_policy: attributes.policy,
        sched_flags: attributes.flags,
        sched_nice: attributes.nice,
        sched_priority: attributes.priority,
        sched_runtime: attributes.runtime,
        sched_deadline: attributes.deadline,
        sched_period: attributes.period,
    };
    // SAFETY: `attributes` is a sched_attr that says its own size, and is only read. Neither nix nor rustix has
    // sched_setattr.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, std::ptr::from_ref(&attributes), 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// As many as a kernel can be built for: `NR_CPUS` of arch/x86/Kconfig.
const MOST_CPUS: usize = 8192;

/// Lets this thread run on every CPU of its cpuset.
///
/// # Errors
/// As sched_setaffinity(2).
pub fn use_all_cpus() -> Result<()> {
    let all = [u64::MAX; MOST_CPUS / 64];
    // SAFETY: `all` has as many bytes as are named, which are only read. The CpuSet of rustix ends at CPU 1023.
    let done = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(&all), all.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// `IOPRIO_WHO_PROCESS` of linux/ioprio.h.
const WHO_PROCESS: libc::c_int = 1;
/// `IOPRIO_CLASS_SHIFT`.
const CLASS_SHIFT: u32 = 13;

/// Sets I/O class and priority within the class of a thread; 0 is the caller.
///
/// # Errors
/// As ioprio_set(2).
pub fn set_io_priority(pid: i32, class: u8, priority: u8) -> Result<()> {
    let value = u32::from(class) << CLASS_SHIFT | u32::from(priority);
    // SAFETY: no memory is passed. Neither nix nor rustix has ioprio_set.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, pid, value) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets the memory policy of this thread; `mode` has the flags in it, bit n of `nodes` is node n.
///
/// # Errors
/// As set_mempolicy(2).
pub fn set_memory_policy(mode: i32, nodes: &[libc::c_ulong]) -> Result<()> {
    // The kernel looks at one bit less than it is told of: get_nodes() of mm/mempolicy.c.
    let bits = if nodes.is_empty() { 0 } else { size_of_val(nodes) * 8 + 1 };
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: `mask` points to that many bits, which are only read, or is null with none. Neither nix nor rustix has
    // set_mempolicy.
    let done = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
