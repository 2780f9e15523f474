//! The end of the daemon, as its streams see it: they end with a status instead of holding the daemon back.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;
use tonic::Status;

use crate::status;

/// A streaming answer.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Tells everyone that the daemon ends.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears of it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A daemon that has not been told to end.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// The daemon ends now.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the end.
    pub async fn stopped(&mut self) {
        // Without a sender nobody is left who could go on.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// `answers`, cut short with a status when the daemon ends.
    pub fn cut<T: Send + 'static>(
        &self,
        answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Answers<T> {
        let open = Some((Box::pin(answers), self.clone()));
        Box::pin(stream::unfold(open, |open| async {
            let (mut answers, mut stop) = open?;
            tokio::select! {
                answer = answers.next() => answer.map(|answer| (answer, Some((answers, stop)))),
                () = stop.stopped() => Some((Err(status::stopping()), None)),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_end_with_the_daemon() {
        let (stopper, stop) = channel();
        let endless = stream::once(async { Ok(1) }).chain(stream::pending());
        let mut answers = stop.cut(endless);
        assert_eq!(answers.next().await.unwrap().unwrap(), 1);
        stopper.stop();
        assert_eq!(answers.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(answers.next().await.is_none());
        // Without its stopper the daemon would count as stopped.
        let (_stopper, stop) = channel();
        let mut short = stop.cut(stream::iter([Ok(1)]));
        assert_eq!(short.next().await.unwrap().unwrap(), 1);
    }
}
