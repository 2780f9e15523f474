//! The bare floor that `cargo xtask bench runtime` measures against: one clone3 with the namespaces of an ordinary
//! container, exec in the child, wait. No mounts, no cgroup, no limits: what no runtime can be faster than.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use ross_sys::clone::{CloneFlags, spawn};
use ross_sys::exec::{CStringArray, execve};
use rustix::process::{WaitId, WaitIdOptions, waitid};

fn main() -> ExitCode {
    let Some(program) = std::env::args_os().nth(1) else {
        eprintln!("usage: floor PROGRAM");
        return ExitCode::from(2);
    };
    let Ok(program) = CString::new(program.into_vec()) else { return ExitCode::from(2) };
    let arguments = CStringArray::new(vec![program.clone()]);
    let environment = CStringArray::new(Vec::new());
    let namespaces = CloneFlags::NEWNS
        | CloneFlags::NEWPID
        | CloneFlags::NEWNET
        | CloneFlags::NEWIPC
        | CloneFlags::NEWUTS
        | CloneFlags::NEWCGROUP;
    let child = spawn(namespaces, None, || {
        let _ = execve(&program, &arguments, &environment);
        127
    });
    let Ok(child) = child else { return ExitCode::FAILURE };
    let ended = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&child.pidfd)), WaitIdOptions::EXITED);
    match ended {
        Ok(Some(status)) if status.exit_status() == Some(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
