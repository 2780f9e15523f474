//! getcwd(2) as the kernel answers it, into memory that is there already.

use std::mem::MaybeUninit;

use rustix::io::Result;

use crate::error::last_errno;

/// Reads the path of the working directory. One outside the root begins with `(unreachable)`, which the C library and
/// rustix hide or refuse.
///
/// # Errors
/// As getcwd(2); `ENOENT` when the directory was removed.
pub fn read(buffer: &mut [MaybeUninit<u8>]) -> Result<&[u8]> {
    // SAFETY: the kernel writes at most `len` bytes into the buffer. rustix's getcwd allocates.
    let len = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    let Ok(len) = usize::try_from(len) else { return Err(last_errno()) };
    let written = &buffer[..len.saturating_sub(1)];
    // SAFETY: the kernel wrote `len` bytes, the last of them a NUL.
    Ok(unsafe { written.assume_init_ref() })
}
