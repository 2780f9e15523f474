//! Debian's docker-registry on a loopback port: a real registry for quickstart and bench.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::host;
use crate::server::Server;

/// A running registry; it ends when dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    _server: Server,
}

impl Registry {
    /// Starts one that keeps its data in `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let program =
            host::find(host::REGISTRY.name).context("no docker-registry here; install docker-registry")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = dir.join("registry.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '{address}'}}\n",
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
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// A port nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
