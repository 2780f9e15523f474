//! A push as a stream: its events, and one `pushed` for each tag. Dropping the stream cancels the push.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use ross_api::v1::layer_progress::State;
use ross_api::v1::push_image_response::Event;
use ross_api::v1::{LayerProgress, PullStatus, PulledImage, PushImageResponse};
use ross_image::{Credentials, ImageStore, PushEvent, PushState, Pushed};
use ross_types::ImageRef;
use tonic::Status;

use super::progress::{Queue, Step, Working, follow};
use crate::status::of_image;

impl Step for Event {
    fn layer(&self) -> Option<&LayerProgress> {
        match self {
            Self::Layer(layer) => Some(layer),
            _ => None,
        }
    }
}

/// Pushes `references`, of which there is at least one, one after the other while the stream is read.
pub fn push(
    images: ImageStore,
    references: Vec<ImageRef>,
    credentials: Option<Credentials>,
) -> impl Stream<Item = Result<PushImageResponse, Status>> + Send {
    let queue = Arc::new(Queue::default());
    let sink = Arc::clone(&queue);
    let pushing: Working<Event> = Box::pin(async move {
        let mut last = None;
        for reference in references {
            if let Some(pushed) = last.take() {
                sink.push(pushed);
            } else {
                let repository = format!("{}/{}", reference.registry(), reference.repository());
                let text = format!("The push refers to repository [{repository}]");
                sink.push(Event::Status(PullStatus { text }));
            }
            let events = Arc::clone(&sink);
            let progress = Arc::new(move |event| events.push(message(event)));
            let pushed = images.push(&reference, credentials.clone(), progress).await;
            let pushed = pushed.map_err(|error| of_image(&error, &reference.familiar()))?;
            last = Some(Event::Pushed(result(&pushed, &reference)));
        }
        last.ok_or_else(|| crate::status::internal("a push of nothing"))
    });
    follow(queue, pushing).map(|event| event.map(|event| PushImageResponse { event: Some(event) }))
}

fn message(event: PushEvent) -> Event {
    let PushEvent { digest, state } = event;
    let (state, current_bytes, total_bytes, message) = match state {
        PushState::Waiting => (State::Waiting, 0, 0, String::new()),
        PushState::Fetching => (State::Downloading, 0, 0, String::new()),
        PushState::Pushing { done, total } => (State::Pushing, done, total, String::new()),
        PushState::Exists => (State::AtRegistry, 0, 0, String::new()),
        PushState::Mounted(from) => (State::Mounted, 0, 0, from),
        PushState::Foreign => (State::Foreign, 0, 0, String::new()),
        PushState::Pushed => (State::Pushed, 0, 0, String::new()),
    };
    Event::Layer(LayerProgress {
        digest: digest.to_string(),
        state: state.into(),
        current_bytes,
        total_bytes,
        message,
    })
}

fn result(pushed: &Pushed, reference: &ImageRef) -> PulledImage {
    PulledImage {
        id: pushed.id.to_string(),
        reference: reference.to_string(),
        manifest_digest: pushed.digest.to_string(),
        updated: true,
        manifest_bytes: pushed.manifest_size,
    }
}
