//! Entering namespaces: those of a plan, or those of a container that runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ross_sys::clone::{CloneFlags, spawn};
use rustix::io::Errno;
use rustix::thread::{
    ThreadNameSpaceType, UnshareFlags, move_into_link_name_space, move_into_thread_name_spaces,
};

use crate::plan::{NamespacePlan, Plan, namespace_link_type};

use super::report::{At, Failure, Message, Stage, Step, send, send_moved, wait_go};

/// A container to join: its first process, and which namespaces it has of its own.
#[derive(Debug)]
pub(crate) struct Joined {
    pub pidfd: OwnedFd,
    pub namespaces: ThreadNameSpaceType,
    pub userns: bool,
    pub pid_namespace: bool,
}

/// Joins what is to be joined, leaves the cgroup namespace, and waits for the id maps.
pub(super) fn enter(plan: &NamespacePlan, channel: BorrowedFd<'_>) -> Step<()> {
    if plan.joins_userns() {
        // The one that cloned this child tells the parent of it, and is to be heard first.
        wait_go(channel)?;
    }
    // A joined user namespace was entered before this child was cloned.
    let rest = plan.join.iter().enumerate().skip(usize::from(plan.joins_userns()));
    for (index, join) in rest {
        move_into_link_name_space(join.file.as_fd(), Some(namespace_link_type(join.kind)))
            .at_index(Stage::Join, index)?;
    }
    if plan.new_cgroup {
        ross_sys::ns::unshare(UnshareFlags::NEWCGROUP).at(Stage::CgroupNamespace)?;
    }
    if plan.maps.is_some() {
        send(channel, Message::MapIds).at(Stage::MapIds)?;
        wait_go(channel)?;
    }
    Ok(())
}

/// Starts, from a process in no new namespaces, the one that becomes the container, inside the user namespace that is
/// joined: the other new namespaces must belong to it, so it is entered first, and the child is cloned from there, as
/// a sibling of this process.
pub(super) fn clone_inside_userns(plan: &mut Plan, channel: OwnedFd, spare: &OwnedFd) -> Step<()> {
    let user = plan.namespaces.join.first().ok_or(Failure::of(Stage::Join, Errno::INVAL))?;
    move_into_link_name_space(user.file.as_fd(), Some(namespace_link_type(user.kind))).at(Stage::Join)?;
    let flags = plan.namespaces.new | CloneFlags::PARENT;
    let child = spawn(flags, None, || super::create(plan, channel)).at(Stage::Join)?;
    send_moved(spare.as_fd(), child.pidfd.as_fd()).at(Stage::Join)
}

/// Joins the namespaces of a running container, all at once; the root and the working directory become its root.
pub(super) fn join_container(joined: &Joined) -> Step<()> {
    match move_into_thread_name_spaces(joined.pidfd.as_fd(), joined.namespaces) {
        Err(Errno::SRCH) => Err(Failure::of(Stage::Join, Errno::SRCH)),
        result => result.at(Stage::Join),
    }
}
