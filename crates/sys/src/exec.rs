//! execve(2), _exit(2) and the signal state a new program inherits.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::error::last_errno;

/// A NULL-terminated array of C strings, such as `argv` and `environ`, made ahead of exec.
#[derive(Debug)]
pub struct CStringArray {
    /// Each ends with a NUL.
    strings: Vec<Vec<u8>>,
    /// Pointers into `strings`, whose buffers do not move, then NULL.
    pointers: Vec<*const c_char>,
}

impl CStringArray {
    /// An array of these strings; allocates.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let strings: Vec<Vec<u8>> = strings.into_iter().map(CString::into_bytes_with_nul).collect();
        let pointers = strings.iter().map(|bytes| bytes.as_ptr().cast()).chain([std::ptr::null()]).collect();
        Self { strings, pointers }
    }

    /// The same with one more string, in a buffer of `room` bytes for [`Self::overwrite`]; allocates.
    #[must_use]
    pub fn with_room(mut self, string: CString, room: usize) -> Self {
        let mut bytes = string.into_bytes_with_nul();
        bytes.resize(bytes.len().max(room), 0);
        self.pointers.insert(self.strings.len(), bytes.as_ptr().cast());
        self.strings.push(bytes);
        self
    }

    /// String `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&CStr> {
        self.strings.get(index).and_then(|bytes| CStr::from_bytes_until_nul(bytes).ok())
    }

    /// Replaces string `index` in its buffer, without allocating; whether there was room.
    pub fn overwrite(&mut self, index: usize, string: &CStr) -> bool {
        let string = string.to_bytes_with_nul();
        let Some(bytes) = self.strings.get_mut(index).filter(|bytes| bytes.len() >= string.len()) else {
            return false;
        };
        bytes[..string.len()].copy_from_slice(string);
        self.pointers[index] = bytes.as_ptr().cast();
        true
    }
}

/// Replaces this process by a program; returns only when that failed.
#[must_use]
pub fn execve(program: &CStr, arguments: &CStringArray, environment: &CStringArray) -> Errno {
    // SAFETY: the string and both arrays are NUL- and NULL-terminated and live across the call. nix and rustix take
    // slices that they copy into an array of pointers at the time of the call, which allocates.
    unsafe { libc::execve(program.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    last_errno()
}

/// As [`execve`], of an open file; the descriptor may be close-on-exec.
#[must_use]
pub fn fexecve(program: BorrowedFd<'_>, arguments: &CStringArray, environment: &CStringArray) -> Errno {
    // SAFETY: as in `execve`; the empty path with AT_EMPTY_PATH means the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// Ends this process at once: no destructors, no exit handlers.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions. std::process::exit runs handlers, which a child of clone must not.
    unsafe { libc::_exit(status) }
}

/// All signals that can be ignored, for [`reset_signals`]: 1 to 31 without SIGKILL and SIGSTOP.
pub const ALL_SIGNALS: u32 = 0x7fff_ffff & !(1 << (libc::SIGKILL - 1)) & !(1 << (libc::SIGSTOP - 1));

/// Gives these signals (bit 0 is signal 1) their default action again and unblocks all, as a new program expects.
///
/// exec does so with signals that have a handler, but keeps ignored ones ignored and blocked ones blocked; Rust programs
/// ignore SIGPIPE.
pub fn reset_signals(ignored: u32) {
    for signal in (1..32).filter(|signal| ignored & ALL_SIGNALS & 1 << (signal - 1) != 0) {
        // SAFETY: SIG_DFL is a valid disposition of every signal. rustix has no sigaction outside its runtime feature.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `none` is writable and of the type asked for.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: sigemptyset initialised the set; the old mask is not wanted.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_replaced_in_place() {
        let string = |text: &str| CString::new(text).unwrap();
        let mut array = CStringArray::new(vec![string("a")]).with_room(string("HOME=/"), 12);
        assert!(array.overwrite(1, c"HOME=/abcde"));
        assert!(!array.overwrite(1, c"HOME=/abcdef"));
        assert!(!array.overwrite(2, c""));
        assert_eq!(array.get(0), Some(c"a"));
        assert_eq!(array.get(1), Some(c"HOME=/abcde"));
        assert_eq!(array.pointers.len(), 3);
        assert!(array.pointers[2].is_null());
    }
}
