//! Archives from the daemon, to a file or to standard output.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::Context;
use crate::failure::Failure;

/// Refuses an output that no archive can be written to: before anything is asked for.
pub fn check(output: Option<&Path>, context: &Context) -> Result<(), Failure> {
    match output {
        None if context.streams.terminal.stdout => {
            let reason = "standard output is a terminal: name a file with --output, or redirect it";
            Err(Failure::Usage(reason.to_owned()))
        }
        Some(path) if path.is_dir() => {
            Err(Failure::Usage(format!("`{}` is a directory: name the file to write", path.display())))
        }
        _ => Ok(()),
    }
}

/// Writes the pieces of an archive; a file has its name only when the archive is whole.
pub async fn write(
    mut pieces: impl Stream<Item = Result<Bytes, Status>> + Unpin,
    output: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    if let Some(path) = output {
        return to_file(pieces, path).await;
    }
    while let Some(piece) = pieces.next().await {
        context.streams.stdout.write(piece?)?;
    }
    Ok(())
}

/// A file that has its name only when it is whole. Dropped before, it goes.
struct Unfinished {
    path: PathBuf,
    file: File,
    named: bool,
}

impl Unfinished {
    /// Beside `target`. What is no regular file, such as a pipe, is written itself.
    fn beside(target: &Path) -> io::Result<Self> {
        if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(target)?;
            return Ok(Self { path: target.to_owned(), file, named: true });
        }
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let path = target.with_file_name(hidden);
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, named: false })
    }

    fn finish(mut self, target: &Path) -> io::Result<()> {
        if !self.named {
            fs::rename(&self.path, target)?;
            self.named = true;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.named {
            // What made it fail is told; this is only what is left of it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The signals that end a command, caught so that it can clear up first.
struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    fn catch() -> Result<Self, Failure> {
        let catch =
            |kind| signal(kind).map_err(|source| Failure::Stream { what: "cannot catch signals", source });
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    /// The number of the first that comes.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

async fn to_file(
    mut pieces: impl Stream<Item = Result<Bytes, Status>> + Unpin,
    target: &Path,
) -> Result<(), Failure> {
    let failed = |source| Failure::File { what: "cannot write the archive", path: target.to_owned(), source };
    // Before there is something to clear up.
    let mut signals = Ending::catch()?;
    let mut unfinished = None;
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece.transpose()?,
            number = signals.next() => return Err(Failure::Signalled(number)),
        };
        // The first piece tells whether there is anything to write: until then no file is made.
        let unfinished = match &mut unfinished {
            Some(unfinished) => unfinished,
            none => none.insert(Unfinished::beside(target).map_err(failed)?),
        };
        match piece {
            Some(bytes) => unfinished.file.write_all(&bytes).map_err(failed)?,
            None => break,
        }
    }
    unfinished.map_or(Ok(()), |unfinished| unfinished.finish(target)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("images.tar");
        let names = || -> Vec<_> {
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        fs::write(&target, "old").unwrap();
        let mut unfinished = Unfinished::beside(&target).unwrap();
        unfinished.file.write_all(b"half").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        drop(unfinished);
        assert_eq!(names(), ["images.tar"]);
        let mut unfinished = Unfinished::beside(&target).unwrap();
        unfinished.file.write_all(b"whole").unwrap();
        unfinished.finish(&target).unwrap();
        assert_eq!((fs::read(&target).unwrap(), names().len()), (b"whole".to_vec(), 1));
        let null = Unfinished::beside(Path::new("/dev/null")).unwrap();
        drop(null);
        assert!(Path::new("/dev/null").exists());
        assert!(Unfinished::beside(&dir.path().join("none/x")).is_err());
    }
}
