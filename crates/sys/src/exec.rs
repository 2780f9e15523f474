//! execve(2), _exit(2) and the signal state a new program inherits.

use std::ffi::{CStr, CString, c_char};

use rustix::io::Errno;

use crate::clone::last_errno;

/// A NULL-terminated array of C strings, such as `argv` and `environ`, made ahead of exec.
#[derive(Debug)]
pub struct CStringArray {
    strings: Vec<CString>,
    /// Pointers into `strings`, whose buffers do not move, then NULL.
    pointers: Vec<*const c_char>,
}

impl CStringArray {
    /// An array of these strings; allocates.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Self { strings, pointers }
    }

    /// The strings.
    #[must_use]
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }

    /// Replaces string `index` by another, and frees nothing.
    ///
    /// # Panics
    /// When there is no such string.
    pub fn with_replaced<T>(&mut self, index: usize, string: &CStr, use_it: impl FnOnce(&Self) -> T) -> T {
        assert!(index < self.strings.len(), "an index of the array");
        let before = std::mem::replace(&mut self.pointers[index], string.as_ptr());
        let result = use_it(self);
        self.pointers[index] = before;
        result
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

/// Ends this process at once: no destructors, no exit handlers.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions. std::process::exit runs handlers, which a child of clone must not.
    unsafe { libc::_exit(status) }
}

/// Gives every signal its default action again and unblocks all, as a new program expects.
///
/// exec keeps ignored signals ignored and blocked ones blocked; Rust programs ignore SIGPIPE.
pub fn reset_signals() {
    for signal in 1..32 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL is a valid disposition of every signal. rustix has no sigaction outside its runtime feature.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `none` is writable and of the type asked for.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: sigemptyset initialised the set; the old mask is not wanted.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}
