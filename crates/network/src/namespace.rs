//! Namespaces of containers: made on a thread of their own, kept by a bind mount, gone with it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rtnetlink::LinkUnspec;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::Error;
use crate::netlink::route::{Change, RouteSocket};

/// A namespace that nothing but this value keeps, with `lo` up.
#[derive(Debug)]
pub(crate) struct Namespace {
    fd: OwnedFd,
    /// A socket inside it.
    pub(crate) route: RouteSocket,
}

impl Namespace {
    pub(crate) fn create() -> Result<Self, Error> {
        let (fd, route) = ross_sys::netns::create_with(|| -> io::Result<RouteSocket> {
            // Containers have no IPv6 yet, and an interface that configures itself would say otherwise. `lo` keeps ::1.
            match fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut route = RouteSocket::open()?;
            route.apply([Change::SetLink(LinkUnspec::new_with_name("lo").up().build())])?;
            Ok(route)
        })
        .map_err(|error| Error::io("create a network namespace", error))?;
        let route = route.map_err(|error| Error::io("set up a network namespace", error))?;
        Ok(Self { fd, route })
    }

    /// Makes the namespace outlive this process, at `path`.
    pub(crate) fn pin(&self, path: &Path) -> Result<(), Error> {
        self.try_pin(path)
            .map_err(|error| Error::io(format!("pin network namespace at {}", path.display()), error))
    }

    fn try_pin(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
        let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        mount_bind(source, path).map_err(|errno| {
            // The file is of no use without the mount; the mount's error is the one to tell.
            let _ = fs::remove_file(path);
            errno.into()
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Removes the pin at `path`, and with it the namespace once its last process has gone. No pin is no error.
pub(crate) fn unpin(path: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::io(format!("unpin network namespace {}", path.display()), error);
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno.into())),
    }
    match fs::remove_file(path) {
        // A folder is no pin of ours either.
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
            Err(failed(error))
        }
        _ => Ok(()),
    }
}
