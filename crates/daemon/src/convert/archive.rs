//! An archive that arrives in pieces, as something to read from on a thread of its own.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

/// Reads the pieces in order. Blocks; never to be read on a thread that answers.
#[derive(Debug)]
pub struct Archive {
    queue: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Archive {
    /// The pieces of `queue`; the archive ends where its senders do.
    pub fn new(queue: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { queue, piece: Bytes::new() }
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.queue.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_and_failures_come_through() {
        let (pieces, queue) = mpsc::channel(8);
        for piece in ["ab", "", "cde"] {
            pieces.blocking_send(Ok(Bytes::from_static(piece.as_bytes()))).unwrap();
        }
        drop(pieces);
        let mut text = String::new();
        Archive::new(queue).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcde");
        let (pieces, queue) = mpsc::channel(8);
        pieces.blocking_send(Err(io::Error::other("gone"))).unwrap();
        assert_eq!(Archive::new(queue).read_to_string(&mut text).unwrap_err().to_string(), "gone");
    }
}
