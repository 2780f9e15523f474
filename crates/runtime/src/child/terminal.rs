//! A pseudo terminal of the container's own devpts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fchown, fstatfs, openat2};
use rustix::io::Errno;
use rustix::process::Uid;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::devices::place;
use super::mounts::attach;
use super::report::{At, Failure, Stage, Step};
use super::root::copy;

/// `DEVPTS_SUPER_MAGIC` of linux/magic.h.
const DEVPTS: rustix::fs::FsWord = 0x1cd1;

/// Opens a terminal; its slave becomes /dev/console when asked. Returns master and slave.
pub(super) fn open(
    dev: BorrowedFd<'_>,
    size: Option<Winsize>,
    owner: Uid,
    console: bool,
) -> Step<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let master = openat2(dev, c"pts/ptmx", flags, Mode::empty(), resolve).at(Stage::Terminal)?;
    if fstatfs(&master).at(Stage::Terminal)?.f_type != DEVPTS {
        return Err(Failure::of(Stage::Terminal, Errno::NODEV));
    }
    unlockpt(&master).at(Stage::Terminal)?;
    // By the master, not by a name: names can be swapped (CVE-2025-52565).
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).at(Stage::Terminal)?;
    if let Some(size) = size {
        tcsetwinsize(&master, size).at(Stage::Terminal)?;
    }
    if !owner.is_root() {
        fchown(&slave, Some(owner), None).at(Stage::Terminal)?;
    }
    if console {
        let target = place(dev, c"console").at(Stage::Terminal)?;
        let source = copy(slave.as_fd(), false).at(Stage::Terminal)?;
        attach(source.as_fd(), target.as_fd()).at(Stage::Terminal)?;
    }
    Ok((master, slave))
}

/// Begins a session that this terminal controls, and makes it the standard streams.
pub(super) fn become_controlled(slave: BorrowedFd<'_>) -> Step<()> {
    rustix::process::setsid().at(Stage::Terminal)?;
    rustix::process::ioctl_tiocsctty(slave).at(Stage::Terminal)?;
    rustix::stdio::dup2_stdin(slave).at(Stage::Terminal)?;
    rustix::stdio::dup2_stdout(slave).at(Stage::Terminal)?;
    rustix::stdio::dup2_stderr(slave).at(Stage::Terminal)
}
