//! keyctl(2): a session keyring for a container, so that it does not see the caller's keys.

use std::ffi::CStr;

use rustix::io::Result;

use crate::error::last_errno;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
const KEYCTL_SETPERM: libc::c_int = 5;
/// Everything for who possesses it, view and search and link for the user: a joining exec must find it.
const PERMISSIONS: u32 = 0x3f1b_0000;

/// Makes a session keyring of this name, or joins the one there is, and returns its serial number.
///
/// # Errors
/// As keyctl(2); `ENOSYS` where the kernel has no keyrings.
pub fn join_session(name: &CStr) -> Result<i64> {
    // SAFETY: `name` is NUL-terminated and only read. rustix has no keyctl.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    if serial < 0 { Err(last_errno()) } else { Ok(serial) }
}

/// Lets processes of the same user that join the session find its keyring.
///
/// # Errors
/// As keyctl(2).
pub fn share_with_user(serial: i64) -> Result<()> {
    // SAFETY: no memory is passed.
    let done = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SETPERM, serial, PERMISSIONS) };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}
