//! The bare floor that `cargo xtask bench runtime` measures against: `floor spawn PROGRAM` is one clone3 with the
//! namespaces of an ordinary container, exec in the child, wait. `floor container ROOTFS PROGRAM [SOURCE TARGET]...`
//! also makes what the bundles of the bench ask for: cgroup, device program, mounts, device nodes, masks, pivot. No JSON is read, no path
//! is checked, no state kept, no right dropped: what the kernel's part costs when somebody knows everything already.
#![forbid(unsafe_code)]

mod cgroup;
mod root;

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use ross_sys::clone::{Child, CloneFlags, spawn};
use ross_sys::exec::{CStringArray, execve};
use rustix::io::{Errno, Result};
use rustix::process::{WaitId, WaitIdOptions, waitid};

fn main() -> ExitCode {
    let words: Vec<CString> =
        std::env::args_os().skip(1).filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let done = match &words[..] {
        [how, program] if how.as_c_str() == c"spawn" => alone(program),
        [how, root, program, binds @ ..] if how.as_c_str() == c"container" => container(root, program, binds),
        _ => {
            eprintln!("usage: floor spawn PROGRAM | floor container ROOTFS PROGRAM [SOURCE TARGET]...");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprintln!("floor: {errno}");
            ExitCode::FAILURE
        }
    }
}

fn namespaces() -> CloneFlags {
    CloneFlags::NEWNS | CloneFlags::NEWPID | CloneFlags::NEWNET | CloneFlags::NEWIPC | CloneFlags::NEWUTS
}

/// Clone, exec, wait.
fn alone(program: &CString) -> Result<()> {
    let (arguments, environment) = vectors(program);
    let child = spawn(namespaces() | CloneFlags::NEWCGROUP, None, || {
        let _ = execve(program, &arguments, &environment);
        127
    })?;
    wait(&child)
}

/// The same in a cgroup and a root of its own.
fn container(root: &CString, program: &CString, binds: &[CString]) -> Result<()> {
    let (binds, _) = binds.as_chunks::<2>();
    let (arguments, environment) = vectors(program);
    let group = cgroup::Group::make()?;
    let child = spawn(namespaces(), Some(group.dir()), || match root::enter(root, binds) {
        Ok(()) => {
            let _ = execve(program, &arguments, &environment);
            127
        }
        Err(errno) => errno.raw_os_error(),
    })?;
    let ended = wait(&child);
    group.remove()?;
    ended
}

fn vectors(program: &CString) -> (CStringArray, CStringArray) {
    (CStringArray::new(vec![program.clone()]), CStringArray::new(Vec::new()))
}

fn wait(child: &Child) -> Result<()> {
    match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)? {
        Some(status) if status.exit_status() == Some(0) => Ok(()),
        Some(status) => Err(Errno::from_raw_os_error(status.exit_status().unwrap_or(4))),
        None => Err(Errno::CHILD),
    }
}
