//! What a service manager has for the program, handed on by the runtime: listening sockets (sd_listen_fds(3)), and one
//! to tell it that the program is ready (sd_notify(3)).
//!
//! The latter is not the manager's own, to which only the runtime may speak: a directory of the container's state is
//! mounted at /run/notify, and who starts the program binds a socket in it and reads what it says.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::Error;
use crate::options::Activation;
use crate::spec::{Mount, Process, Spec};
use crate::state::file;

/// Where runc has the directory in the container, and the name of the socket in it.
const DIRECTORY: &str = "/run/notify";
const SOCKET: &str = "notify.sock";

/// Tells the program of the sockets it gets.
pub(crate) fn pass_sockets(process: &mut Process, sockets: &Activation) -> Result<(), Error> {
    if sockets.names.as_ref().is_some_and(|names| names.contains('\0')) {
        return Err(Error::Options("the names of sockets have a NUL among them".to_owned()));
    }
    set(&mut process.env, "LISTEN_FDS", Some(&sockets.count.to_string()));
    // It is the first process of its pid namespace.
    set(&mut process.env, "LISTEN_PID", Some("1"));
    set(&mut process.env, "LISTEN_FDNAMES", sockets.names.as_deref());
    Ok(())
}

/// Mounts `directory` of the host for the socket, and tells the program where that will be.
pub(crate) fn mount_notify(spec: &mut Spec, directory: &Path) -> Result<(), Error> {
    let Some(source) = directory.to_str() else {
        let directory = directory.display();
        return Err(Error::Options(format!("{directory}: a socket for the program needs a path in UTF-8")));
    };
    spec.mounts.push(Mount {
        destination: DIRECTORY.to_owned(),
        kind: Some("bind".to_owned()),
        source: Some(source.to_owned()),
        options: ["bind", "ro", "nosuid", "nodev", "noexec"].map(str::to_owned).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut spec.process {
        set(&mut process.env, "NOTIFY_SOCKET", Some(&format!("{DIRECTORY}/{SOCKET}")));
    }
    Ok(())
}

/// Makes the directory. Any user of the container is to find the socket in it, whatever the umask is.
pub(crate) fn make_notify(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir(directory)
        .and_then(|()| std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)))
        .map_err(|error| file("create", directory, &error))
}

/// Binds the socket; `None` when the program was promised none.
pub(crate) fn bind_notify(directory: &Path) -> Result<Option<UnixDatagram>, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = match rustix::fs::open(directory, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        result => result.map_err(|errno| file("open", directory, &errno.into()))?,
    };
    // The path of a socket is at most 107 bytes long, and that of the state need not be so short.
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()));
    let bind = || {
        // That of a starter that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777))?;
        Ok(socket)
    };
    bind().map(Some).map_err(|error| file("bind", &directory.join(SOCKET), &error))
}

/// Gives a variable this value in place of any it has, or takes it away.
fn set(env: &mut Vec<String>, name: &str, value: Option<&str>) {
    env.retain(|variable| variable.split_once('=').is_none_or(|(found, _)| found != name));
    env.extend(value.map(|value| format!("{name}={value}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_the_environment() {
        let check = |names: Option<&str>, expected: &[&str]| {
            let env = ["LISTEN_FDS=9", "A=LISTEN_PID=5", "LISTEN_FDNAMES=old", "LISTEN_PID"];
            let mut process = Process { env: env.map(str::to_owned).to_vec(), ..Process::default() };
            let sockets = Activation { count: 2, names: names.map(str::to_owned) };
            pass_sockets(&mut process, &sockets).unwrap();
            assert_eq!(process.env, expected);
        };
        check(None, &["A=LISTEN_PID=5", "LISTEN_PID", "LISTEN_FDS=2", "LISTEN_PID=1"]);
        check(
            Some("web:"),
            &["A=LISTEN_PID=5", "LISTEN_PID", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=web:"],
        );
        let names = Some("a\0b".to_owned());
        assert!(pass_sockets(&mut Process::default(), &Activation { count: 1, names }).is_err());
    }

    #[test]
    fn sockets_for_notifications() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("x".repeat(200)).join("notify");
        assert!(bind_notify(&directory).unwrap().is_none());
        std::fs::create_dir(directory.parent().unwrap()).unwrap();
        make_notify(&directory).unwrap();
        let first = bind_notify(&directory).unwrap().unwrap();
        // Whoever comes later takes its place.
        let second = bind_notify(&directory).unwrap().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&directory), mode(&directory.join(SOCKET))), (0o755, 0o777));
        drop((first, second));

        let mut spec = Spec { process: Some(Process::default()), ..Spec::default() };
        mount_notify(&mut spec, &directory).unwrap();
        assert_eq!(spec.mounts[0].destination, "/run/notify");
        assert_eq!(spec.process.unwrap().env, ["NOTIFY_SOCKET=/run/notify/notify.sock"]);
    }
}
