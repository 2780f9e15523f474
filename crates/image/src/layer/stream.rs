//! The two halves of an unpack: one thread reads, inflates (inside the reader) and hashes, the other writes files.
//!
//! Chunks go from [`pump`] to [`Chunks`] over a short queue and come back empty, so a layer costs a fixed amount of
//! memory whatever its size.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use ross_types::{Digest, DigestAlgorithm};

use crate::content::Hasher;

const CHUNK: usize = 256 << 10;
/// Full chunks that may wait. With the two being filled and emptied, a layer has at most `QUEUE + 2` of them.
const QUEUE: usize = 3;

struct Chunk {
    bytes: Box<[u8]>,
    len: usize,
}

/// The sending half.
pub(super) struct Pump {
    full: SyncSender<Chunk>,
    empty: Receiver<Box<[u8]>>,
}

/// The receiving half, a buffered reader that ends when the pump is dropped.
pub(super) struct Chunks {
    full: Receiver<Chunk>,
    empty: Sender<Box<[u8]>>,
    current: Option<Chunk>,
    at: usize,
}

/// A queue between two threads.
pub(super) fn pair() -> (Pump, Chunks) {
    let (full_in, full) = sync_channel(QUEUE);
    let (empty, empty_out) = channel();
    (Pump { full: full_in, empty: empty_out }, Chunks { full, empty, current: None, at: 0 })
}

/// How a pump ended, when nothing failed.
pub(super) enum Pumped {
    /// Everything was read; this is the digest of it.
    All(Digest),
    /// The other half gave up; it knows why.
    Refused,
}

impl Pump {
    /// Reads `reader` to its end, hashing every byte.
    pub(super) fn run(
        self,
        mut reader: impl Read,
        algorithm: DigestAlgorithm,
        progress: &dyn Fn(u64),
    ) -> io::Result<Pumped> {
        let mut hasher = Hasher::new(algorithm);
        let mut total = 0;
        loop {
            let mut bytes = self.empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK].into_boxed_slice());
            let len = fill(&mut reader, &mut bytes)?;
            if len == 0 {
                return Ok(Pumped::All(hasher.finish()));
            }
            hasher.update(&bytes[..len]);
            if self.full.send(Chunk { bytes, len }).is_err() {
                return Ok(Pumped::Refused);
            }
            total += len as u64;
            progress(total);
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(into.len());
        into[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.as_ref().is_none_or(|chunk| self.at == chunk.len) {
            if let Some(used) = self.current.take() {
                // The pump may be gone already; then nobody needs the buffer.
                let _ = self.empty.send(used.bytes);
            }
            self.current = self.full.recv().ok();
            self.at = 0;
        }
        Ok(self.current.as_ref().map_or(&[], |chunk| &chunk.bytes[self.at..chunk.len]))
    }

    fn consume(&mut self, len: usize) {
        self.at += len;
    }
}
