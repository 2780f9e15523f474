//! The program: its working directory, its HOME, where it is, and exec.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, fstat, open};
use rustix::io::{Errno, Result, read};
use rustix::process::chdir;

use crate::error::NO_INTERPRETER;
use crate::plan::{HOME_ROOM, ProcessPlan};

use super::path::{Leaf, open_or_make};
use super::report::{At, Failure, Stage, Step};

/// What happens when there is no working directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Fail,
}

/// Whether the working directory was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    Yes,
    /// Root may not (on a network file system, say): the user may be able to.
    LeftToUser,
}

/// Goes to the working directory, before the change of ids.
pub(super) fn enter_directory(plan: &ProcessPlan, missing: Missing) -> Step<Entered> {
    match chdir(plan.cwd.as_c_str()) {
        Err(Errno::ACCESS) if !plan.uid.is_root() => return Ok(Entered::LeftToUser),
        Err(Errno::NOENT) if missing == Missing::Make => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = open(c"/", flags, Mode::empty()).at(Stage::WorkingDirectory)?;
            let made = open_or_make(root.as_fd(), &plan.cwd, Leaf::Directory).at(Stage::WorkingDirectory)?;
            rustix::process::fchdir(&made).at(Stage::WorkingDirectory)?;
        }
        result => result.at(Stage::WorkingDirectory)?,
    }
    Ok(Entered::Yes)
}

/// Goes there with the rights of the user, when those of root were not enough.
pub(super) fn enter_directory_as_user(plan: &ProcessPlan, entered: Entered) -> Step<()> {
    match entered {
        Entered::Yes => Ok(()),
        Entered::LeftToUser => chdir(plan.cwd.as_c_str()).at(Stage::WorkingDirectory),
    }
}

/// Makes sure that the working directory is in the root: one of the host would be a way out (CVE-2024-21626).
pub(super) fn check_directory() -> Step<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    match ross_sys::cwd::read(&mut buffer) {
        Ok(path) if path.first() == Some(&b'/') => Ok(()),
        Ok(_) => Err(Failure::of(Stage::WorkingDirectory, Errno::XDEV)),
        Err(errno) => Err(Failure::of(Stage::WorkingDirectory, errno)),
    }
}

/// Fills the place of HOME with the directory /etc/passwd has for the user; `/` when it has none.
pub(super) fn find_home(plan: &mut ProcessPlan, place: usize) {
    let mut home = [0; HOME_ROOM];
    if read_home(plan.uid.as_raw(), &mut home).is_ok()
        && let Ok(variable) = CStr::from_bytes_until_nul(&home)
        && !variable.is_empty()
    {
        plan.env.overwrite(place, variable);
    }
}

/// `HOME=` and the directory, or nothing.
type Home = [u8; HOME_ROOM];

/// Longest line of /etc/passwd that is looked at.
const LINE_MAX: usize = 1024;

fn read_home(uid: u32, home: &mut Home) -> Result<()> {
    // Not blocking: the container may have put a FIFO there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(c"/etc/passwd", flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut chunk = [0_u8; 4096];
    let mut line = [0_u8; LINE_MAX];
    let mut len = 0;
    loop {
        let count = read(&file, &mut chunk)?;
        for &byte in &chunk[..count] {
            if byte != b'\n' {
                if len < LINE_MAX {
                    line[len] = byte;
                }
                len += 1;
                continue;
            }
            if len <= LINE_MAX && home_of(&line[..len], uid, home) {
                return Ok(());
            }
            len = 0;
        }
        if count == 0 {
            if len <= LINE_MAX {
                home_of(&line[..len], uid, home);
            }
            return Ok(());
        }
    }
}

/// Takes the directory of `name:password:uid:gid:comment:directory:shell` when the uid is this.
fn home_of(line: &[u8], uid: u32, home: &mut Home) -> bool {
    let mut fields = line.split(|&byte| byte == b':');
    let Some(number) = fields.nth(2) else { return false };
    if std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()) != Some(uid) {
        return false;
    }
    let Some(directory) = fields.nth(2) else { return false };
    // One byte less than the room: the string ends with a NUL.
    if directory.is_empty() || directory.len() + b"HOME=".len() >= HOME_ROOM || directory.contains(&0) {
        return true;
    }
    home[..5].copy_from_slice(b"HOME=");
    home[5..5 + directory.len()].copy_from_slice(directory);
    true
}

/// Whether the program can be executed, as far as can be told beforehand.
pub(super) fn find(plan: &ProcessPlan) -> Step<()> {
    let mut errno = Errno::NOENT;
    for candidate in &plan.candidates {
        match accessat(CWD, candidate.as_c_str(), Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if is_file(candidate) => return Ok(()),
            Ok(()) => errno = Errno::ACCESS,
            Err(Errno::ACCESS) => errno = Errno::ACCESS,
            // faccessat2 may be what the profile refuses: exec will tell.
            Err(Errno::PERM | Errno::NOSYS) => return Ok(()),
            Err(_) => {}
        }
    }
    Err(Failure::of(Stage::Exec, errno))
}

fn is_file(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Executes the first candidate that is there; returns why none was. `ENOENT` of a file that is there is about the
/// interpreter it names, and becomes [`NO_INTERPRETER`].
pub(super) fn execute(plan: &ProcessPlan) -> Errno {
    let mut errno = Errno::NOENT;
    for candidate in &plan.candidates {
        match ross_sys::exec::execve(candidate, &plan.args, &plan.env) {
            Errno::NOENT if is_file(candidate) => errno = NO_INTERPRETER,
            Errno::NOENT | Errno::NOTDIR => {}
            // A later directory of PATH may have one that may be executed.
            Errno::ACCESS => errno = Errno::ACCESS,
            other => return other,
        }
    }
    errno
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes() {
        let check = |line: &str, uid: u32, found: bool, home: &str| {
            let mut read = [0; HOME_ROOM];
            assert_eq!(home_of(line.as_bytes(), uid, &mut read), found, "{line}");
            assert_eq!(CStr::from_bytes_until_nul(&read).unwrap().to_bytes(), home.as_bytes(), "{line}");
        };
        check("root:x:0:0:root:/root:/bin/sh", 0, true, "HOME=/root");
        check("root:x:0:0:root:/root:/bin/sh", 1, false, "");
        check("a:x:7:7::/home/a", 7, true, "HOME=/home/a");
        check("a:x:7:7", 7, false, "");
        check("a:x:7x:7:::", 7, false, "");
        check("", 0, false, "");
        check(&format!("a:x:7:7::/{}:", "a".repeat(600)), 7, true, "");
    }

    proptest::proptest! {
        /// The container's own file: whatever is in a line, a home is a variable that ends in its room.
        #[test]
        fn any_line_is_a_home_or_none(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..700),
            fields in proptest::collection::vec("[/a:]{0,9}|7|[0-9]{1,12}|/a{490,510}", 0..8)) {
            for line in [line.as_slice(), fields.join(":").as_bytes()] {
                let mut home = [0; HOME_ROOM];
                home_of(line, 7, &mut home);
                let variable = CStr::from_bytes_until_nul(&home).unwrap().to_bytes();
                assert!(variable.is_empty() || variable.starts_with(b"HOME="));
                assert!(!variable.contains(&b':'));
            }
        }
    }
}
