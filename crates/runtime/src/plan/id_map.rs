//! Id maps: their text for the kernel, and user namespaces that stand for one, for idmapped mounts.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use ross_sys::SysError;
use ross_sys::clone::{CloneFlags, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::error::Error;
use crate::spec::IdMapping;

/// The lines of /proc/PID/uid_map.
pub(crate) fn text(mappings: &[IdMapping]) -> String {
    let mut text = String::new();
    for mapping in mappings {
        let _ = writeln!(text, "{} {} {}", mapping.container_id, mapping.host_id, mapping.size);
    }
    text
}

/// Writes the maps of a new user namespace in which process `pid` is.
pub(crate) fn write(pid: i32, uid_map: &str, gid_map: &str) -> Result<(), Error> {
    for (name, map) in [("uid_map", uid_map), ("gid_map", gid_map)] {
        let path = format!("/proc/{pid}/{name}");
        // One write(2): the kernel takes a map as a whole.
        let done = rustix::fs::open(path.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| rustix::io::write(&file, map.as_bytes()));
        done.map_err(|errno| SysError::on("write", &path, errno).with(map.trim().replace('\n', ", ")))?;
    }
    Ok(())
}

/// A user namespace with these maps, held by its descriptor alone.
pub(super) fn namespace(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
    let failed = |call| move |errno| SysError::new(call, errno).with("id-mapped mount");
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe2"))?;
    let child = spawn(CloneFlags::NEWUSER, None, || {
        // Stays until the writer is closed, or for good when the parent dies: its copy of the writer keeps it.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        let _ = rustix::io::read(&reader, &mut [0_u8; 1]);
        0
    })
    .map_err(failed("clone3"))?;
    let namespace = write(child.pid, &text(uids), &text(gids)).and_then(|()| {
        let path = format!("/proc/{}/ns/user", child.pid);
        rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| SysError::on("open", &path, errno).into())
    });
    drop(writer);
    let _ = ross_sys::pidfd::send_signal(std::os::fd::AsFd::as_fd(&child.pidfd), 9);
    let _ = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&child.pidfd)), WaitIdOptions::EXITED);
    namespace
}
