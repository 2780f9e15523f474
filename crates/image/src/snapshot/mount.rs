//! Mounting overlay with any number of lower directories.
//!
//! | kernel | how | why |
//! |---|---|---|
//! | ≥ 6.8 | fsconfig `lowerdir+`, one by one | no limit on their length |
//! | 6.1 – 6.7 | mount(2), directories named `/proc/self/fd/<n>` | all options must fit in one page; 127 layer paths do not |
//!
//! A `lowerdir+` that the kernel does not know ends in EINVAL before anything is mounted. The kernel writes a line about
//! it into its log, so a process asks once.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};

/// Bytes of one fsconfig value (`strndup_user(_value, 256)` in fs/fsopen.c) without its end.
const VALUE_MAX: usize = 255;
/// Bytes of mount(2)'s option page without its end.
const PAGE_MAX: usize = 4095;

/// Whether the kernel is known to lack `lowerdir+`.
static NO_APPEND: AtomicBool = AtomicBool::new(false);

/// The directories of an overlay mount, opened by name and known by descriptor.
pub(super) struct Overlay {
    /// Highest first.
    pub(super) lower: Vec<Named>,
    /// `upper` and `work`; none for a mount that cannot be written to.
    pub(super) writable: Option<(Named, Named)>,
    pub(super) volatile: bool,
}

/// A directory, by descriptor and by the name it is shown under in /proc/mounts.
pub(super) struct Named {
    pub(super) fd: OwnedFd,
    pub(super) path: std::path::PathBuf,
}

/// What Docker sets too. Without these, what the options mean depends on the host's module parameters, and upper
/// directories would not be plain layers: `redirect_dir` and `metacopy` leave things out of them.
const FIXED: [(&str, &str); 3] = [("index", "off"), ("redirect_dir", "off"), ("metacopy", "off")];

impl Overlay {
    /// Mounts it at `target`.
    pub(super) fn mount(&self, target: &Path) -> rustix::io::Result<()> {
        if NO_APPEND.load(Ordering::Relaxed) {
            return self.mount_by_page(target);
        }
        match self.mount_by_context(target) {
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.mount_by_page(target)?;
                NO_APPEND.store(true, Ordering::Relaxed);
                Ok(())
            }
            done => done,
        }
    }

    /// fsopen, fsconfig `lowerdir+`, fsmount, move_mount.
    fn mount_by_context(&self, target: &Path) -> rustix::io::Result<()> {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        rustix::mount::fsconfig_set_string(context, "source", "overlay")?;
        for lower in &self.lower {
            rustix::mount::fsconfig_set_string(context, "lowerdir+", lower.name(VALUE_MAX))?;
        }
        if let Some((upper, work)) = &self.writable {
            rustix::mount::fsconfig_set_string(context, "upperdir", upper.name(VALUE_MAX))?;
            rustix::mount::fsconfig_set_string(context, "workdir", work.name(VALUE_MAX))?;
        }
        for (key, value) in FIXED {
            rustix::mount::fsconfig_set_string(context, key, value)?;
        }
        if self.volatile {
            rustix::mount::fsconfig_set_flag(context, "volatile")?;
        }
        rustix::mount::fsconfig_create(context)?;
        let attributes = match self.writable {
            Some(_) => MountAttrFlags::empty(),
            None => MountAttrFlags::MOUNT_ATTR_RDONLY,
        };
        let mount = rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        rustix::mount::move_mount(&mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// mount(2), with names when they fit and descriptors when they do not.
    fn mount_by_page(&self, target: &Path) -> rustix::io::Result<()> {
        let mut options = self.options(usize::MAX);
        if options.len() > PAGE_MAX {
            options = self.options(0);
        }
        if options.len() > PAGE_MAX {
            return Err(Errno::TOOBIG);
        }
        let flags = match self.writable {
            Some(_) => MountFlags::empty(),
            None => MountFlags::RDONLY,
        };
        let options = CString::new(options).map_err(|_| Errno::INVAL)?;
        rustix::mount::mount("overlay", target, "overlay", flags, Some(&*options))
    }

    fn options(&self, name_max: usize) -> Vec<u8> {
        let mut options = b"lowerdir=".to_vec();
        for (index, lower) in self.lower.iter().enumerate() {
            if index > 0 {
                options.push(b':');
            }
            options.extend(escaped(&lower.name(name_max)));
        }
        if let Some((upper, work)) = &self.writable {
            options.extend(b",upperdir=");
            options.extend(escaped(&upper.name(name_max)));
            options.extend(b",workdir=");
            options.extend(escaped(&work.name(name_max)));
        }
        for (key, value) in FIXED {
            options.extend(format!(",{key}={value}").into_bytes());
        }
        if self.volatile {
            options.extend(b",volatile");
        }
        options
    }
}

impl Named {
    /// Its path, or when that is longer than `max`, its descriptor's path in /proc.
    fn name(&self, max: usize) -> Vec<u8> {
        let path = self.path.as_os_str().as_encoded_bytes();
        if path.len() <= max {
            path.to_vec()
        } else {
            format!("/proc/self/fd/{}", self.fd.as_raw_fd()).into()
        }
    }
}

/// Overlay splits its page at commas and colons unless a backslash stands before them.
fn escaped(path: &[u8]) -> Vec<u8> {
    let special = |byte: &u8| matches!(byte, b',' | b':' | b'\\');
    path.iter().flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(escaped(b"/a,b:c\\d"), b"/a\\,b\\:c\\\\d");
    }

    /// Both ways, with more and longer paths than a page of options takes: this kernel may only ever use the first.
    #[test]
    fn many_layers_mount_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let named = |name: String| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            let fd = std::fs::File::open(&path).unwrap().into();
            Named { fd, path }
        };
        let layer = |index| {
            let layer = named(format!("{index:0100}"));
            std::fs::write(layer.path.join(format!("file{index}")), "x").unwrap();
            layer
        };
        let overlay = Overlay {
            lower: (0..127).map(layer).collect(),
            writable: Some((named("upper".into()), named("work".into()))),
            volatile: false,
        };
        assert!(overlay.options(usize::MAX).len() > PAGE_MAX && overlay.options(0).len() < PAGE_MAX);
        let target = named("target".into()).path;
        for mount in [Overlay::mount, Overlay::mount_by_page] {
            mount(&overlay, &target).unwrap();
            let files = std::fs::read_dir(&target).unwrap().count();
            rustix::mount::unmount(&target, rustix::mount::UnmountFlags::DETACH).unwrap();
            assert_eq!(files, 127);
        }
    }
}
