//! personality(2): the execution domain, which setarch(8) sets.

use rustix::io::Result;

use crate::error::last_errno;

/// `PER_LINUX`
pub const LINUX: u32 = 0x0000;
/// `PER_LINUX32`: uname(2) tells of the 32-bit machine.
pub const LINUX32: u32 = 0x0008;

/// Sets the execution domain of this process.
///
/// # Errors
/// As personality(2).
pub fn set(domain: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    if unsafe { libc::personality(libc::c_ulong::from(domain)) } == -1 { Err(last_errno()) } else { Ok(()) }
}
