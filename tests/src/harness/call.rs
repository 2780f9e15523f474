//! Runs a command to its end, with patience that has an end too.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Output;

/// How long anything may take that the test machine's emulation makes slow.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Collects what `command` says and its exit code; `input` goes to its stdin, which is the caller's to set else.
/// `shown` is what failures call it.
pub fn call(mut command: Command, shown: String, input: Option<&[u8]>) -> Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().with_context(|| format!("start {shown}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input)?;
    }
    let output = wait_with_deadline(child).with_context(|| shown.clone())?;
    Ok(Output {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Collects a child's output; one that outlives [`PATIENCE`] is killed and is an error.
fn wait_with_deadline(child: Child) -> Result<std::process::Output> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id())?).context("pid")?;
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let (done, waiter) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match waiter.recv_timeout(PATIENCE) {
        Ok(output) => Ok(output?),
        Err(_) => {
            rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL)?;
            bail!("did not end within {PATIENCE:?}")
        }
    }
}
