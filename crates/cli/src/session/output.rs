//! Output of the process to the streams of this one, in order, on a thread of its own because writing may block.

use bytes::Bytes;
use ross_api::v1::attach_output::Message;
use ross_api::v1::{AttachOutput, OutputStream};
use tokio::sync::{mpsc, oneshot};
use tonic::Streaming;

use super::Ended;
use crate::failure::Failure;
use crate::streams::Output;

/// Pieces on their way to a slow reader.
const PIECES: usize = 16;

/// Copies until the process ends; everything is written when this returns.
pub async fn copy(
    mut output: Streaming<AttachOutput>,
    tty: bool,
    stdout: Output,
    stderr: Output,
) -> Result<Ended, Failure> {
    let (pieces, queue) = mpsc::channel::<(OutputStream, Bytes)>(PIECES);
    let (finish, finished) = oneshot::channel();
    std::thread::spawn(move || {
        // The session may have ended by detaching; then nobody asks.
        let _ = finish.send(write(queue, tty, &stdout, &stderr));
    });
    let ended = loop {
        match output.message().await {
            Ok(None) => break Ok(Ended::Closed),
            Err(status) => break Err(Failure::Refused(status)),
            Ok(Some(AttachOutput { message })) => match message {
                Some(Message::Exited(exited)) => break Ok(Ended::Exited(exited)),
                Some(Message::Data(data)) => {
                    if pieces.send((data.stream(), data.bytes)).await.is_err() {
                        break Ok(Ended::Closed);
                    }
                }
                Some(Message::Attached(_)) | None => {}
            },
        }
    };
    drop(pieces);
    match finished.await {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => ended,
    }
}

fn write(
    mut queue: mpsc::Receiver<(OutputStream, Bytes)>,
    tty: bool,
    stdout: &Output,
    stderr: &Output,
) -> Result<(), Failure> {
    while let Some((stream, bytes)) = queue.blocking_recv() {
        let to_stderr = stream == OutputStream::Stderr && !tty;
        let result = if to_stderr { stderr.write(&bytes) } else { stdout.write(&bytes) };
        result?;
    }
    Ok(())
}
