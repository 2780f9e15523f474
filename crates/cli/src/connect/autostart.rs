//! Starting rossd: only for root, only at the default address, only the binary beside this one.
//!
//! The daemon outlives this process; it gets a process group of its own, so that a ctrl-c meant for `ross` passes it by.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Unreached};
use super::host::Host;
use crate::failure::Failure;
use crate::streams::Streams;

/// How long a daemon may take to find its containers again.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Between two attempts to connect: first and longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Whether a daemon may be started for `host`.
pub fn is_allowed(host: &Host) -> bool {
    host.is_default() && rustix::process::geteuid().is_root() && binary().is_some()
}

fn binary() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join("rossd");
    path.is_file().then_some(path)
}

/// Starts the daemon and waits until it answers.
pub async fn start(host: &Host, streams: &Streams) -> Result<Daemon, Failure> {
    let binary = binary().ok_or_else(|| Unreached::Absent.describe(host))?;
    let failed = |what: &str, error: std::io::Error| Failure::Connect(format!("cannot {what}: {error}"));
    let log_path = host.path().with_file_name("rossd.log");
    let log = open_log(&log_path).map_err(|error| failed(&format!("write {}", log_path.display()), error))?;
    streams.stderr.say(format_args!("no rossd is listening; starting {}", binary.display()));
    let mut child = Command::new(&binary)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| failed(&format!("start {}", binary.display()), error))?;
    let daemon = until_ready(host, &mut child)
        .await
        .map_err(|why| Failure::Connect(format!("rossd {why}; see {}", log_path.display())))?;
    streams.stderr.say(format_args!("rossd is ready; it writes its log to {}", log_path.display()));
    Ok(daemon)
}

fn open_log(path: &std::path::Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

async fn until_ready(host: &Host, child: &mut Child) -> Result<Daemon, String> {
    let deadline = Instant::now() + READY_WITHIN;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(daemon) = Daemon::reach(host).await {
            return Ok(daemon);
        }
        // Another `ross` may have started one at the same time: then this one ends, and that one answers.
        let ended = child.try_wait().map_err(|error| format!("cannot be watched: {error}"))?;
        if let Some(status) = ended {
            return Daemon::reach(host).await.map_err(|_| format!("ended at once ({status})"));
        }
        if Instant::now() >= deadline {
            return Err(format!("was not ready within {} s", READY_WITHIN.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
