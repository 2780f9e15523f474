//! The heap of this process.

/// Gives memory that is free back to the kernel (`malloc_trim(3)`). Without glibc there is nothing to call.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions; it takes the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}
