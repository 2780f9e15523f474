//! Network namespaces: making one, and running something inside one.
//!
//! A namespace belongs to a thread, so both happen on a thread that is made for it and ends with it: the caller's
//! own thread never changes its namespace, and no pool gets a thread that did.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Makes a network namespace and runs `setup` inside it; the namespace lives as long as the descriptor returned
/// (or a mount of it, a socket or a process in it).
///
/// Sockets that `setup` opens stay in the namespace wherever they are used later.
///
/// # Errors
/// When the thread cannot be made, or unshare(2) or the open of `/proc/thread-self/ns/net` fails.
pub fn create_with<T: Send>(setup: impl FnOnce() -> T + Send) -> io::Result<(OwnedFd, T)> {
    on_own_thread(|| {
        crate::ns::unshare(UnshareFlags::NEWNET)?;
        let namespace = current()?;
        Ok((namespace, setup()))
    })
}

/// Runs `work` inside `namespace`.
///
/// # Errors
/// When the thread cannot be made or setns(2) fails, such as for a descriptor that is no network namespace.
pub fn within<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_own_thread(|| {
        move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
        Ok(work())
    })
}

/// The network namespace of the calling thread.
///
/// # Errors
/// When procfs is not there.
pub fn current() -> io::Result<OwnedFd> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    fn name(namespace: &str) -> String {
        fs::read_link(namespace).unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn the_callers_namespace_stays() {
        assert!(rustix::process::geteuid().is_root(), "making a network namespace needs root");
        let before = name("/proc/thread-self/ns/net");
        let (namespace, inside) = create_with(|| name("/proc/thread-self/ns/net")).unwrap();
        assert_ne!(before, inside);
        assert_eq!(within(namespace.as_fd(), || name("/proc/thread-self/ns/net")).unwrap(), inside);
        assert_eq!(name("/proc/thread-self/ns/net"), before);
    }

    #[test]
    fn refuses_what_is_no_namespace() {
        let file = File::open("/proc/self/status").unwrap();
        assert!(within(file.as_fd(), || ()).is_err());
    }
}
