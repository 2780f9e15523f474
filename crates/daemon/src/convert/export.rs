//! An archive that is written on one thread and read by a client, piece by piece. A client that reads slowly slows the
//! writer, and one that goes ends it.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use ross_api::v1::ExportContainerResponse;
use ross_engine::EngineError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::status::{internal, of_engine};

/// Bytes in one message, and messages that wait for their reader.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 4;

/// Takes what is written, in pieces. Blocks; never to be written to on a thread that answers.
#[derive(Debug)]
pub struct Pieces {
    queue: mpsc::Sender<Bytes>,
    piece: BytesMut,
}

/// A writer, and what it takes.
pub fn channel() -> (Pieces, mpsc::Receiver<Bytes>) {
    let (queue, pieces) = mpsc::channel(PIECES);
    (Pieces { queue, piece: BytesMut::new() }, pieces)
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.piece.is_empty() {
            let length = self.piece.len().min(PIECE);
            let piece = self.piece.split_to(length).freeze();
            let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads it any more");
            self.queue.blocking_send(piece).map_err(gone)?;
        }
        Ok(())
    }
}

/// The pieces as messages; last, if it failed, why.
pub fn answers(
    pieces: mpsc::Receiver<Bytes>,
    writing: JoinHandle<Result<(), EngineError>>,
) -> impl Stream<Item = Result<ExportContainerResponse, Status>> + Send {
    stream::unfold((pieces, Some(writing)), |(mut pieces, writing)| async move {
        let writing = writing?;
        if let Some(chunk) = pieces.recv().await {
            return Some((Ok(ExportContainerResponse { chunk }), (pieces, Some(writing))));
        }
        let status = match writing.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => of_engine(&error),
            Err(error) => internal(format!("export: {error}")),
        };
        Some((Err(status), (pieces, None)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use ross_types::ErrorKind;

    #[tokio::test]
    async fn what_is_written_is_read_and_then_why_it_ended() {
        let check = async |fails: bool| {
            let (mut pieces, queue) = channel();
            let writing = tokio::task::spawn_blocking(move || {
                for _ in 0..100 {
                    pieces.write_all(&[7; 10_000]).unwrap();
                }
                pieces.flush().unwrap();
                let error = || EngineError::new(ErrorKind::NotFound, "web", "it is gone");
                if fails { Err(error()) } else { Ok(()) }
            });
            let all: Vec<_> = answers(queue, writing).collect().await;
            let bytes: usize = all.iter().flatten().map(|answer| answer.chunk.len()).sum();
            assert_eq!(bytes, 1_000_000);
            assert!(all.iter().flatten().all(|answer| answer.chunk.len() <= PIECE));
            let last = all.last().unwrap();
            assert_eq!(last.as_ref().err().map(Status::code), fails.then_some(tonic::Code::NotFound));
        };
        check(false).await;
        check(true).await;
    }

    #[tokio::test]
    async fn a_reader_that_goes_ends_the_writer() {
        let (mut pieces, queue) = channel();
        drop(queue);
        let written = tokio::task::spawn_blocking(move || pieces.write_all(&[0; PIECE]));
        assert_eq!(written.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
