//! Archives between this side and the daemon: pieces of a file, a directory or of standard input on their way there.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Context, layout};
use crate::failure::Failure;

/// Bytes of an archive in one message, and messages read ahead.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS: usize = 4;

/// An archive that is being read.
pub struct Sending {
    what: PathBuf,
    finished: oneshot::Receiver<std::io::Result<()>>,
}

/// A message's share of an archive.
pub struct Chunk {
    pub bytes: Bytes,
    /// All of it has been sent. Without it the daemon takes the archive for broken off.
    pub last: bool,
}

impl Chunk {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(bytes), last: false }
    }
}

/// What is sent.
enum Source {
    Archive(Box<dyn Read + Send>),
    /// The directory of an OCI layout, which is packed on the way.
    Layout(PathBuf),
}

/// Opens an archive, or the directory of an OCI layout, which becomes one.
pub fn open_or_pack(
    path: Option<&Path>,
    hint: &str,
    context: &mut Context,
) -> Result<(Sending, ReceiverStream<Chunk>), Failure> {
    match path.filter(|path| path.is_dir()) {
        Some(dir) => {
            layout::check(dir).map_err(|source| unreadable(dir, source))?;
            Ok(start(dir.to_owned(), Source::Layout(dir.to_owned())))
        }
        None => open(path, hint, context),
    }
}

/// Opens an archive, standard input when there is no path; `hint` says how else to name one.
pub fn open(
    path: Option<&Path>,
    hint: &str,
    context: &mut Context,
) -> Result<(Sending, ReceiverStream<Chunk>), Failure> {
    let what = path.map_or_else(|| PathBuf::from("standard input"), Path::to_owned);
    let archive: Box<dyn Read + Send> = match path {
        Some(path) => Box::new(File::open(path).map_err(|source| unreadable(&what, source))?),
        None if context.streams.terminal.stdin => {
            return Err(Failure::Usage(format!("standard input is a terminal: {hint}")));
        }
        None => context.streams.stdin.take().ok_or(Failure::Protocol("standard input is taken"))?,
    };
    Ok(start(what, Source::Archive(archive)))
}

fn start(what: PathBuf, source: Source) -> (Sending, ReceiverStream<Chunk>) {
    let (chunks, queue) = mpsc::channel(CHUNKS);
    let (finish, finished) = oneshot::channel();
    std::thread::spawn(move || {
        let sent = send(source, &chunks);
        let is_whole = sent.is_ok();
        // Nobody asks when the daemon refused before the end.
        let _ = finish.send(sent);
        if is_whole {
            let _ = chunks.blocking_send(Chunk { bytes: Bytes::new(), last: true });
        }
    });
    (Sending { what, finished }, ReceiverStream::new(queue))
}

fn unreadable(what: &Path, source: std::io::Error) -> Failure {
    Failure::File { what: "cannot read the archive", path: what.to_owned(), source }
}

impl Sending {
    /// The answer of a call that takes the archive. One that cannot be read to its end ends the call at once.
    pub async fn answer<T>(mut self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            Ok(Err(source)) = &mut self.finished => Err(unreadable(&self.what, source)),
            answer = call => self.checked().and(answer.map_err(Failure::from)),
        }
    }

    /// To be asked when the daemon has answered: what could not be read ends the archive too early, of which the daemon
    /// complains in turn, and the cause is what is told. The thread tells before it lets go of its end of the queue, so
    /// that nothing has to be waited for.
    fn checked(mut self) -> Result<(), Failure> {
        match self.finished.try_recv() {
            Ok(Err(source)) => Err(unreadable(&self.what, source)),
            _ => Ok(()),
        }
    }
}

/// Sends what is written on as messages.
struct Chunks<'a>(&'a mpsc::Sender<Chunk>);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.blocking_send(Chunk::of(bytes));
        sent.map(|()| bytes.len()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn send(source: Source, chunks: &mpsc::Sender<Chunk>) -> std::io::Result<()> {
    match source {
        Source::Archive(archive) => send_archive(archive, chunks),
        Source::Layout(dir) => {
            let packed = layout::pack(&dir, BufWriter::with_capacity(CHUNK_BYTES, Chunks(chunks)));
            // The daemon does not take any more, and says why.
            packed.or_else(|error| if chunks.is_closed() { Ok(()) } else { Err(error) })
        }
    }
}

fn send_archive(mut archive: Box<dyn Read + Send>, chunks: &mpsc::Sender<Chunk>) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                if chunks.blocking_send(Chunk::of(&buffer[..length])).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
