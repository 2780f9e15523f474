//! Running the `nft` program on a text.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ross_types::ErrorKind;

use crate::Error;

/// Daemons are often started with a PATH that lacks the administrator's folders.
const ELSEWHERE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Has `nft` carry out `script` as one transaction.
pub(super) fn run(script: &str) -> Result<(), Error> {
    let program = find(std::env::var_os("PATH").as_deref()).ok_or_else(|| {
        let text =
            "the program `nft` was not found: install the package nftables, or use network mode none or host";
        Error::new(ErrorKind::FailedPrecondition, text)
    })?;
    let output = feed(&program, script).map_err(|error| Error::io("run nft", error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first =
        said.lines().find(|line| line.contains("Error")).or(said.lines().next()).unwrap_or("no message");
    Err(Error::new(ErrorKind::Internal, format!("nft refused the table ({}): {first}", output.status)))
}

fn feed(program: &Path, script: &str) -> io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .args(["-f", "-"])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // nft reads all of its input before it writes anything.
    let fed = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    // When it ended early, what it said is the better error.
    if output.status.success() { fed.map(|()| output) } else { Ok(output) }
}

fn find(path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let listed = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let elsewhere = ELSEWHERE.iter().map(PathBuf::from);
    listed
        .into_iter()
        .filter(|folder| folder.is_absolute())
        .chain(elsewhere)
        .map(|folder| folder.join("nft"))
        .find(|file| file.is_file())
}
