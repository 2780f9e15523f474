//! What a process inherits from the one that started it.

use std::io;

/// Closes every descriptor above standard error (`close_range(2)`, Linux 5.9).
///
/// To be called first thing in `main`: whatever this process opened itself before would be closed under its
/// owner.
///
/// # Panics
/// When the process has started threads already, which may own descriptors.
pub fn close_inherited() {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert_eq!(threads, 1, "descriptors are let go of before threads are started");
    // SAFETY: no owner of a descriptor above 2 exists yet: the caller is the only thread and has opened
    // nothing. rustix has no close_range.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    debug_assert_eq!(result, 0, "close_range: {}", io::Error::last_os_error());
}
