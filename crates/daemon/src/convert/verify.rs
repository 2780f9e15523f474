//! A verification as a stream: its events in order, its summary last. Dropping the stream ends it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use ross_api::v1::verify_images_response::Event;
use ross_api::v1::{
    ImagePart, VerifyFinding, VerifyImagesRequest, VerifyImagesResponse, VerifyProgress, VerifySummary,
};
use ross_engine::Engine;
use ross_image::{Finding, Mended, Subject, Verified, VerifyEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::Status;

use super::pull::credentials;
use crate::status::of_image;

type Verifying = Pin<Box<dyn Future<Output = Result<Verified, Status>> + Send>>;

/// Verifies while the stream is read. The queue is short: a layer tells of a hundred differences at most, and things
/// are checked one after the other.
pub fn verify(
    engine: Engine,
    request: VerifyImagesRequest,
) -> impl Stream<Item = Result<VerifyImagesResponse, Status>> + Send {
    let VerifyImagesRequest { images, repair, auths } = request;
    let auths =
        auths.into_iter().filter_map(|(registry, auth)| Some((registry, credentials(auth)?))).collect();
    let (sender, events) = unbounded_channel();
    let object = images.join(" ");
    let verifying: Verifying = Box::pin(async move {
        // A reader that is gone takes this future with it.
        let sink = Arc::new(move |event| drop(sender.send(event)));
        engine.verify_images(images, repair, auths, sink).await.map_err(|error| of_image(&error, &object))
    });
    follow(events, verifying)
}

fn follow(
    events: UnboundedReceiver<VerifyEvent>,
    verifying: Verifying,
) -> impl Stream<Item = Result<VerifyImagesResponse, Status>> + Send {
    enum Next {
        Verifying(Verifying),
        Finished(Result<Verified, Status>),
        End,
    }
    let answer = |event| Ok(VerifyImagesResponse { event: Some(event) });
    stream::unfold((events, Next::Verifying(verifying)), move |(mut events, mut next)| async move {
        loop {
            if let Ok(event) = events.try_recv() {
                return Some((answer(message(event)), (events, next)));
            }
            next = match next {
                Next::Verifying(mut verifying) => tokio::select! {
                    result = &mut verifying => Next::Finished(result),
                    Some(event) = events.recv() => {
                        return Some((answer(message(event)), (events, Next::Verifying(verifying))));
                    }
                },
                Next::Finished(result) => {
                    let last = result.and_then(|verified| answer(Event::Summary(summary(verified))));
                    return Some((last, (events, Next::End)));
                }
                Next::End => return None,
            };
        }
    })
}

fn part(subject: Subject) -> ImagePart {
    match subject {
        Subject::Manifest => ImagePart::Manifest,
        Subject::Config => ImagePart::Config,
        Subject::Blob => ImagePart::Blob,
        Subject::Layer => ImagePart::Layer,
    }
}

fn message(event: VerifyEvent) -> Event {
    match event {
        VerifyEvent::Checking { image, subject, digest } => {
            Event::Checking(VerifyProgress { image, part: part(subject).into(), digest: digest.to_string() })
        }
        VerifyEvent::Found(finding) => Event::Finding(found(finding)),
    }
}

fn found(finding: Finding) -> VerifyFinding {
    let Finding { image, id, subject, digest, path, what, mended } = finding;
    let (repaired, not_repaired_because) = match mended {
        Mended::NotAsked => (false, String::new()),
        Mended::Yes => (true, String::new()),
        Mended::No(reason) => (false, reason),
    };
    VerifyFinding {
        image,
        id: id.to_string(),
        part: part(subject).into(),
        digest: digest.to_string(),
        path,
        what,
        repaired,
        not_repaired_because,
    }
}

fn summary(verified: Verified) -> VerifySummary {
    let Verified { images, blobs, layers, wrong, mended } = verified;
    VerifySummary { images, blobs, layers, wrong, repaired: mended }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use ross_types::Digest;

    use super::*;

    fn finding(mended: Mended) -> VerifyEvent {
        let digest = Digest::sha256([1; 32]);
        VerifyEvent::Found(Finding {
            image: "alpine:3".to_owned(),
            id: digest.clone(),
            subject: Subject::Layer,
            digest,
            path: "etc/x".to_owned(),
            what: "is missing".to_owned(),
            mended,
        })
    }

    #[tokio::test]
    async fn the_summary_comes_last_and_no_event_is_lost() {
        let (sender, events) = unbounded_channel();
        let verifying: Verifying = Box::pin(async move {
            sender.send(finding(Mended::Yes)).unwrap();
            tokio::task::yield_now().await;
            sender.send(finding(Mended::No("offline".to_owned()))).unwrap();
            Ok(Verified { wrong: 2, mended: 1, ..Verified::default() })
        });
        let all: Vec<_> =
            follow(events, verifying).map(|event| event.unwrap().event.unwrap()).collect().await;
        let [Event::Finding(first), Event::Finding(second), Event::Summary(summary)] = &all[..] else {
            panic!("{all:?}")
        };
        assert!(first.repaired && first.part() == ImagePart::Layer);
        assert_eq!((second.repaired, second.not_repaired_because.as_str()), (false, "offline"));
        assert_eq!((summary.wrong, summary.repaired), (2, 1));

        let (_, events) = unbounded_channel();
        let failing: Verifying = Box::pin(async { Err(Status::not_found("x")) });
        let all: Vec<_> = follow(events, failing).collect().await;
        assert!(all.len() == 1 && all[0].is_err());
    }
}
