//! Standard streams that are /dev/null become the container's own: behind the caller's is the host's node, whose mode
//! and owner root of a container could change through its descriptor, for the whole host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, makedev, open};
use rustix::io::{Errno, Result};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};

/// Whether this is char 1:3, as devices.txt of the kernel has it.
pub(super) fn is_null(file: BorrowedFd<'_>) -> Result<bool> {
    let stat = fstat(file)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(1, 3))
}

/// Reopens those of the three streams; the root is the container's.
pub(super) fn reopen() -> Result<()> {
    let null = [is_null(stdin()), is_null(stdout()), is_null(stderr())].map(|is| is.unwrap_or(false));
    if null == [false; 3] {
        return Ok(());
    }
    let own = open_own()?;
    let [input, output, error] = null;
    if input {
        dup2_stdin(&own)?;
    }
    if output {
        dup2_stdout(&own)?;
    }
    if error {
        dup2_stderr(&own)?;
    }
    Ok(())
}

/// The container's, seen to be it: in a container that runs it may be anything.
fn open_own() -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = open(c"/dev/null", flags, Mode::empty())?;
    if is_null(own.as_fd())? { Ok(own) } else { Err(Errno::NODEV) }
}
