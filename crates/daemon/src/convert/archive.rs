//! An archive that arrives in pieces, as something to read from on a thread of its own.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

/// What arrives of an archive.
#[derive(Debug)]
pub enum Piece {
    Bytes(Bytes),
    /// All of it has arrived.
    End,
}

/// Reads the pieces in order. Blocks; never to be read on a thread that answers.
#[derive(Debug)]
pub struct Archive {
    queue: mpsc::Receiver<io::Result<Piece>>,
    piece: Bytes,
    ended: bool,
}

impl Archive {
    /// The pieces of `queue`. When its senders go before [`Piece::End`], the archive breaks off, which is an error: a
    /// part of an archive often looks like a smaller one.
    pub fn new(queue: mpsc::Receiver<io::Result<Piece>>) -> Self {
        Self { queue, piece: Bytes::new(), ended: false }
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.queue.blocking_recv().transpose()? {
                Some(Piece::Bytes(piece)) => self.piece = piece,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive breaks off")),
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

    fn read(pieces: Vec<io::Result<Piece>>) -> io::Result<String> {
        let (sender, queue) = mpsc::channel(8);
        for piece in pieces {
            sender.blocking_send(piece).unwrap();
        }
        drop(sender);
        let mut text = String::new();
        Archive::new(queue).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn pieces_are_joined_and_failures_come_through() {
        let bytes = |text: &'static str| Ok(Piece::Bytes(Bytes::from_static(text.as_bytes())));
        assert_eq!(read(vec![bytes("ab"), bytes(""), bytes("cde"), Ok(Piece::End)]).unwrap(), "abcde");
        assert_eq!(read(vec![Err(io::Error::other("gone"))]).unwrap_err().to_string(), "gone");
        let broken = read(vec![bytes("ab")]).unwrap_err();
        assert_eq!(
            (broken.kind(), broken.to_string()),
            (io::ErrorKind::UnexpectedEof, "the archive breaks off".into())
        );
    }
}
