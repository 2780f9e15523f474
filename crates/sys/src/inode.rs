//! What the making of inodes needs of a thread, and rustix does not offer safely.
//!
//! Everything else about inodes (mknodat, fsetxattr, utimensat, openat2, syncfs) comes straight from rustix.

use rustix::fs::Mode;
use rustix::thread::UnshareFlags;

/// Gives the calling thread a file-creation mask of its own, which is empty, and a working directory of its own.
///
/// Modes handed to `openat`, `mkdirat` and `mknodat` on this thread are then exact, and no other thread sees a
/// change. There is no way back: call it on a thread made for the purpose, never on a pool's.
pub fn take_empty_umask() -> rustix::io::Result<()> {
    // SAFETY: CLONE_FS only gives this thread a private copy of its root, working directory and umask; no memory
    // and no descriptor table is affected. rustix has no safe form because of CLONE_FILES, which is not asked for.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?;
    rustix::process::umask(Mode::empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_of_other_threads_is_untouched() {
        let before = rustix::process::umask(Mode::from_raw_mode(0o027));
        std::thread::spawn(|| {
            take_empty_umask().unwrap();
            assert_eq!(rustix::process::umask(Mode::empty()), Mode::empty());
        })
        .join()
        .unwrap();
        assert_eq!(rustix::process::umask(before), Mode::from_raw_mode(0o027));
    }
}
