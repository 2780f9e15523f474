//! Starting a shim: from a sealed copy of its binary in memory, so that no container can reach the file on
//! disk (CVE-2019-5736), and without waiting longer than until its socket listens.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use ross_types::ErrorKind;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::{ClientError, ShimClient};
use crate::config::{READY, SOCKET_FILE, ShimConfig};

/// A sealed copy of the `ross-shim` binary, made once per daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShimBinary {
    sealed: Arc<OwnedFd>,
}

/// Which shim to launch.
#[derive(Debug, Clone, Copy)]
pub struct LaunchSpec<'a> {
    /// What it is told.
    pub config: &'a ShimConfig,
    /// The container's state directory: `shim.json` is written there, `shim.sock` appears there.
    pub dir: &'a Path,
    /// The container's directory that outlives a reboot. A shim that crashes leaves `shim.log` there.
    pub root: &'a Path,
}

/// A shim that listens.
#[derive(Debug)]
pub struct Launched {
    /// Its pid. It is reaped by a task in the background.
    pub pid: i32,
    /// A connection to it.
    pub client: ShimClient,
}

/// Why a shim could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The binary could not be copied.
    #[error("copy the shim {}", path.display())]
    Binary {
        /// The binary.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration could not be written.
    #[error("write the shim configuration in {}", dir.display())]
    Config {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process could not be made.
    #[error("launch the shim of container {id}")]
    Spawn {
        /// The container.
        id: String,
        /// Why.
        source: io::Error,
    },
    /// The shim gave up.
    #[error("the shim of container {id} could not start: {text}")]
    Failed {
        /// The container.
        id: String,
        /// What it said.
        text: String,
    },
    /// It listens, and cannot be talked to.
    #[error("the shim of container {id} does not answer")]
    Connect {
        /// The container.
        id: String,
        /// Why.
        source: ClientError,
    },
}

impl LaunchError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { source, .. } => source.kind(),
            _ => ErrorKind::Internal,
        }
    }
}

impl ShimBinary {
    /// Copies the binary at `path` into memory and seals it.
    ///
    /// # Errors
    /// When it cannot be read or there is no memory.
    pub fn open(path: &Path) -> Result<Self, LaunchError> {
        let sealed = File::open(path)
            .and_then(|file| ross_sys::memfd::sealed_copy(&file, "ross-shim"))
            .map_err(|source| LaunchError::Binary { path: path.to_owned(), source })?;
        Ok(Self { sealed: Arc::new(sealed) })
    }
}

/// Writes the configuration, starts a shim and returns when it listens. It belongs to a session of its own
/// and outlives this process.
///
/// Dropped before it is ready, this leaves a shim that no one knows and that has started nothing: whoever
/// reconciles finds its socket.
///
/// # Errors
/// When it cannot be started; its own words are in [`LaunchError::Failed`].
pub async fn launch(binary: &ShimBinary, spec: LaunchSpec<'_>) -> Result<Launched, LaunchError> {
    let id = &spec.config.id;
    let spawn_error = |source| LaunchError::Spawn { id: id.clone(), source };
    // Writing a file and waiting for exec(2) is nothing for a thread that serves others.
    let spawning = tokio::task::spawn_blocking({
        let (binary, config) = (binary.clone(), spec.config.clone());
        let (dir, root) = (spec.dir.to_owned(), spec.root.to_owned());
        move || spawn(&binary, LaunchSpec { config: &config, dir: &dir, root: &root })
    });
    let (mut child, ready) = spawning.await.map_err(|error| spawn_error(io::Error::other(error)))??;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    // Without this a shim that ends before its daemon would stay a zombie. The wait is on a pidfd: no
    // thread, no poll.
    tokio::spawn(async move { child.wait().await });

    let mut said = Vec::new();
    let mut ready = pipe::Receiver::from_owned_fd(ready).map_err(spawn_error)?;
    ready.read_to_end(&mut said).await.map_err(spawn_error)?;
    if said != READY {
        let text = match String::from_utf8_lossy(&said).trim() {
            "" => "it ended without a word".to_owned(),
            text => text.to_owned(),
        };
        return Err(LaunchError::Failed { id: id.clone(), text });
    }
    let client = ShimClient::connect(&spec.dir.join(SOCKET_FILE))
        .await
        .map_err(|source| LaunchError::Connect { id: id.clone(), source })?;
    Ok(Launched { pid, client })
}

/// Writes the configuration and starts the process; the end of the pipe on which it says that it is ready. Blocks.
fn spawn(binary: &ShimBinary, spec: LaunchSpec<'_>) -> Result<(Child, OwnedFd), LaunchError> {
    let id = &spec.config.id;
    spec.config.write(spec.dir).map_err(|source| LaunchError::Config { dir: spec.dir.to_owned(), source })?;
    let spawn_error = |source| LaunchError::Spawn { id: id.clone(), source };
    let (ready, its_end) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| spawn_error(errno.into()))?;
    let its_stderr = its_end.try_clone().map_err(spawn_error)?;
    let child = Command::new(format!("/proc/self/fd/{}", binary.sealed.as_raw_fd()))
        .arg0("ross-shim")
        .args(["--id", id])
        .arg("--dir")
        .arg(spec.dir)
        .arg("--root")
        .arg(spec.root)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(its_end)
        .stderr(its_stderr)
        .spawn()
        .map_err(spawn_error)?;
    Ok((child, ready))
}
