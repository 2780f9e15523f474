//! Sealed files in memory: a program that nobody can change while it runs.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// Copies all of `source`, from its current offset, into a file in memory whose content and size are sealed
/// (`memfd_create(2)`). The descriptor is close-on-exec and can be executed through `/proc/self/fd`.
///
/// # Errors
/// When the source cannot be read, or the kernel or its limits refuse the copy.
pub fn sealed_copy(source: &File, name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC says what is meant where `vm.memfd_noexec` is set; kernels before 6.3 do not know it.
    let fd = match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut copy = File::from(fd);
    let mut reader = source;
    io::copy(&mut reader, &mut copy)?;
    fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;

    #[test]
    fn copy_runs_and_cannot_be_changed() {
        let fd = sealed_copy(&File::open("/bin/true").unwrap(), "true").unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert!(Command::new(&path).status().unwrap().success());
        assert!(File::options().write(true).open(&path).and_then(|mut file| file.write_all(b"x")).is_err());
        assert!(File::from(fd).write_all(b"x").is_err());
    }
}
