//! `save`: an archive of images, to a file or to standard output.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ross_api::v1::{SaveImagesRequest, SaveImagesResponse};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::Streaming;

use super::{Context, Outcome};
use crate::args::SaveArgs;
use crate::failure::Failure;

/// `save`, `image save`
pub async fn save(args: SaveArgs, context: &mut Context) -> Outcome {
    if args.output.is_none() && context.streams.terminal.stdout {
        let reason = "standard output is a terminal: name a file with --output, or redirect it";
        return Err(Failure::Usage(reason.to_owned()));
    }
    if let Some(path) = args.output.as_deref().filter(|path| path.is_dir()) {
        let reason = format!("`{}` is a directory: name the file to write", path.display());
        return Err(Failure::Usage(reason));
    }
    let request = SaveImagesRequest { images: args.images };
    let chunks = context.daemon().await?.images().save_images(request).await?.into_inner();
    match args.output {
        Some(path) => to_file(chunks, &path).await?,
        None => to_stdout(chunks, context).await?,
    }
    Ok(0)
}

async fn to_stdout(mut chunks: Streaming<SaveImagesResponse>, context: &Context) -> Result<(), Failure> {
    while let Some(SaveImagesResponse { chunk }) = chunks.message().await? {
        context.streams.stdout.write(chunk)?;
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

async fn to_file(mut chunks: Streaming<SaveImagesResponse>, target: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::File { what: "cannot write the archive", path: target.to_owned(), source };
    // Before there is something to clear up.
    let mut signals = Ending::catch()?;
    let mut unfinished = Unfinished::beside(target).map_err(failed)?;
    loop {
        let message = tokio::select! {
            message = chunks.message() => message?,
            number = signals.next() => return Err(Failure::Signalled(number)),
        };
        match message {
            Some(SaveImagesResponse { chunk }) => unfinished.file.write_all(&chunk).map_err(failed)?,
            None => break,
        }
    }
    unfinished.finish(target).map_err(failed)
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
