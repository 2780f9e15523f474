//! An archive on its way out: written on a thread of its own, in pieces, no faster than it is read.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::Stream;
use ross_api::v1::SaveImagesResponse;
use ross_image::Saving;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::status::of_image;

/// Bytes of one message.
const PIECE: usize = 256 * 1024;

/// Messages that wait for their reader.
const PIECES: usize = 4;

type Answer = Result<SaveImagesResponse, Status>;

/// Sends what is written on, in messages of [`PIECE`] bytes.
struct Pieces {
    queue: mpsc::Sender<Answer>,
    piece: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)));
        let sent = self.queue.blocking_send(Ok(SaveImagesResponse { chunk }));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        if self.piece.len() == PIECE {
            self.send()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

/// The archive of `saving`. It ends early when nobody reads it any more.
pub fn archive(saving: Saving) -> impl Stream<Item = Answer> + Send {
    let (queue, answers) = mpsc::channel(PIECES);
    let failed = queue.clone();
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces { queue, piece: Vec::with_capacity(PIECE) };
        if let Err(error) = saving.write(pieces)
            && !failed.is_closed()
        {
            // Nobody listens when that is what ended it.
            let _ = failed.blocking_send(Err(of_image(&error, "archive")));
        }
    });
    ReceiverStream::new(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_full_but_the_last() {
        let (queue, mut answers) = mpsc::channel(8);
        let mut pieces = Pieces { queue, piece: Vec::new() };
        pieces.write_all(&[1; PIECE - 1]).unwrap();
        pieces.write_all(&[2; PIECE + 2]).unwrap();
        pieces.flush().unwrap();
        pieces.flush().unwrap();
        drop(pieces);
        let mut lengths = Vec::new();
        while let Some(answer) = answers.blocking_recv() {
            lengths.push(answer.unwrap().chunk.len());
        }
        assert_eq!(lengths, [PIECE, PIECE, 1]);
        let (queue, answers) = mpsc::channel(1);
        drop(answers);
        let error = Pieces { queue, piece: Vec::new() }.write_all(&[0; PIECE]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
