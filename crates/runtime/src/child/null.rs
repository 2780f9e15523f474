//! Standard streams that are /dev/null become the container's own: behind the caller's is the host's node, whose mode
//! and owner root of a container could change through its descriptor, for the whole host.
//!
//! In a container that runs it may have been replaced or removed: then they become a node that nobody else has.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, makedev, mknodat, openat, openat2};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};

const OPEN: OFlags = OFlags::RDWR.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// No link on the way, of whatever kind.
const STRAIGHT: ResolveFlags = ResolveFlags::NO_SYMLINKS;

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
    let own = match open_own().or_else(|_| make_own()) {
        // Who may make no device node has no right over the host's either.
        Err(Errno::PERM | Errno::ACCESS) => return Ok(()),
        own => own?,
    };
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

/// The container's, seen to be it before it is opened for more than to look: in a container that runs it may be anything,
/// and a link in /dev may lead to what this process still has open of the host.
fn open_own() -> Result<OwnedFd> {
    let seen = openat2(CWD, c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), STRAIGHT)?;
    if !is_null(seen.as_fd())? {
        return Err(Errno::NODEV);
    }
    let own = openat2(CWD, c"/dev/null", OPEN, Mode::empty(), STRAIGHT)?;
    if is_null(own.as_fd())? { Ok(own) } else { Err(Errno::NODEV) }
}

/// A node in a file system that is mounted nowhere.
fn make_own() -> Result<OwnedFd> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let place = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    mknodat(&place, c"null", FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3))?;
    openat(&place, c"null", OPEN, Mode::empty())
}
