//! Debian's docker-registry on a loopback port: a real registry for quickstart, tests and bench.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::Server;

/// Who may log in to a registry that lets nobody else in.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// The name.
    pub name: &'static str,
    /// The password.
    pub password: &'static str,
    /// The line of an htpasswd file. The registry takes bcrypt only, for which Debian has no program of its own.
    line: &'static str,
}

/// The one user.
pub const USER: User = User {
    name: "ada",
    password: "secret",
    line: "ada:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
};

/// A running registry; it ends when dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    _server: Server,
}

impl Registry {
    /// Starts one that keeps its data in `dir`.
    ///
    /// # Errors
    /// When the program is not installed or does not come up.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, "")
    }

    /// The same with nobody let in but [`USER`].
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_with_login(dir: &Path) -> Result<Self> {
        let users = dir.join("htpasswd");
        fs::write(&users, format!("{}\n", USER.line))?;
        Self::start_with(
            dir,
            &format!("auth: {{htpasswd: {{realm: registry, path: {}}}}}\n", users.display()),
        )
    }

    fn start_with(dir: &Path, more: &str) -> Result<Self> {
        let program = Path::new("/usr/bin/docker-registry");
        if !program.is_file() {
            bail!("no docker-registry here; install the package docker-registry");
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = dir.join("registry.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '{address}'}}\n{more}",
                dir.join("registry").display()
            ),
        )?;
        let log_path = dir.join("registry.log");
        let log = File::create(&log_path)?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = Server::start(command, &log_path, || TcpStream::connect(address).is_ok())?;
        Ok(Self { address, _server: server })
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// A port of 127.0.0.1 nobody listens on at this moment.
///
/// # Errors
/// When the kernel has none left.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
