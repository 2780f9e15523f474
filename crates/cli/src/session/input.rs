//! Standard input to the daemon, with a watch for the keys that detach.

use std::future::Future;
use std::io::Read;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Input;
use super::detach::{DetachKeys, Typed};
use crate::streams::Streams;

/// Bytes read at once.
const PIECE_BYTES: usize = 32 * 1024;

/// Pieces read ahead of the daemon.
const PIECES: usize = 4;

/// Resolves when the keys that detach were typed, and never otherwise.
pub type Detached = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts to forward standard input, if it is wanted.
///
/// A thread reads, because reading cannot be cancelled; it is left behind when the process ends.
pub fn forward(
    wanted: bool,
    keys: Option<DetachKeys>,
    streams: &mut Streams,
    input: mpsc::Sender<Input>,
) -> Detached {
    let stdin = if wanted { streams.stdin.take() } else { None };
    let Some(stdin) = stdin else { return Box::pin(std::future::pending()) };
    let (pieces, typed) = mpsc::channel(PIECES);
    std::thread::spawn(move || read(stdin, &pieces));
    let (tell, told) = oneshot::channel();
    tokio::spawn(send(typed, keys, input, tell));
    Box::pin(async move {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn read(mut stdin: Box<dyn Read + Send>, pieces: &mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if pieces.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // A terminal that hung up reads as an error: the end, all the same.
            Err(_) => return,
        }
    }
}

async fn send(
    mut typed: mpsc::Receiver<Bytes>,
    mut keys: Option<DetachKeys>,
    input: mpsc::Sender<Input>,
    detached: oneshot::Sender<()>,
) {
    while let Some(piece) = typed.recv().await {
        let outcome = match &mut keys {
            Some(keys) => keys.type_in(&piece),
            None => Typed::Forward(piece.into()),
        };
        let (bytes, detach) = match outcome {
            Typed::Forward(bytes) => (bytes, false),
            Typed::Detach(bytes) => (bytes, true),
        };
        if !bytes.is_empty() && input.send(Input::Stdin(bytes.into())).await.is_err() {
            return;
        }
        if detach {
            // Nobody listens any more when the session ended at the same moment.
            let _ = detached.send(());
            return;
        }
    }
    // The daemon may have ended the call already, which makes the end of input moot.
    let _ = input.send(Input::Closed).await;
}
