//! The socket: made under another name with its owner and mode, then renamed, so that it never stands open to others.
//!
//! A socket that somebody answers on is left alone; one that nobody answers on is replaced.

use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{Gid, Mode, chmod, chown};

const GROUP: &str = "ross";
const GROUPS: &str = "/etc/group";

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`.
    pub fn listen(path: &Path) -> anyhow::Result<(Self, UnixListener)> {
        refuse_if_answered(path)?;
        let parent = path.parent().context("the socket's path has no directory")?;
        std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        let staged = staged(path);
        remove_if_there(&staged)?;
        let listener = UnixListener::bind(&staged).with_context(|| format!("bind {}", path.display()))?;
        let owned = own(&staged).and_then(|()| {
            std::fs::rename(&staged, path).with_context(|| format!("put {} in its place", path.display()))
        });
        if let Err(error) = owned {
            // The failure before is what is told.
            let _ = std::fs::remove_file(&staged);
            return Err(error);
        }
        listener.set_nonblocking(true)?;
        Ok((Self { path: path.to_owned() }, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The engine's lock on its directories says that no other daemon has put its own there.
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn staged(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn refuse_if_answered(path: &Path) -> anyhow::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    };
    if !kind.is_socket() {
        bail!("{} exists and is no socket: remove it, or listen elsewhere", path.display());
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("somebody listens at {} already", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error).with_context(|| format!("try {}", path.display())),
    }
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove {}", path.display())),
    }
}

/// root and, where it exists, the group ross; nobody else.
fn own(path: &Path) -> anyhow::Result<()> {
    let groups = std::fs::read_to_string(GROUPS).unwrap_or_default();
    if let Some(gid) = group_id(&groups, GROUP) {
        chown(path, None, Some(Gid::from_raw(gid)))
            .with_context(|| format!("give {} to the group ross", path.display()))?;
    }
    chmod(path, Mode::from_raw_mode(0o660)).with_context(|| format!("set the mode of {}", path.display()))
}

/// The number of a group in the text of /etc/group.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let id = fields.nth(1);
        if found { id?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn stale_sockets_are_replaced_and_live_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/ross.sock");
        let (socket, listener) = Socket::listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(Socket::listen(&path).unwrap_err().to_string().contains("listens at"));
        drop(listener);
        let (second, _listener) = Socket::listen(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
        assert!(!path.exists());
        drop(socket);
    }

    #[test]
    fn other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ross.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(Socket::listen(&path).unwrap_err().to_string().contains("no socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn groups() {
        let text = "root:x:0:\nrossi:x:7:\nross:x:1234:me,you\nbroken\n";
        assert_eq!(group_id(text, "ross"), Some(1234));
        assert_eq!(group_id(text, "broken"), None);
        assert_eq!(group_id(text, "nobody"), None);
    }
}
