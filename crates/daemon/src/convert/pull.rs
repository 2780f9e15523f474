//! A pull as a stream: its events in order, and its result last. Dropping the stream cancels the pull.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use ross_api::v1::layer_progress::State;
use ross_api::v1::pull_image_response::Event;
use ross_api::v1::{LayerProgress, PullImageResponse, PullStatus, PulledImage, RegistryAuth};
use ross_image::{Credentials, ImageStore, LayerState, PullEvent, Pulled};
use ross_types::{ImageRef, Platform};
use tonic::Status;

use super::progress::{Queue, Step, Working, follow};
use crate::status::of_image;

/// What a client shows to a registry; nothing when it is empty.
pub fn credentials(auth: RegistryAuth) -> Option<Credentials> {
    if !auth.registry_token.is_empty() {
        return Some(Credentials::RegistryToken(auth.registry_token));
    }
    if !auth.identity_token.is_empty() {
        return Some(Credentials::IdentityToken(auth.identity_token));
    }
    if auth.username.is_empty() && auth.password.is_empty() {
        return None;
    }
    Some(Credentials::Basic { username: auth.username, password: auth.password })
}

impl Step for Event {
    fn layer(&self) -> Option<&LayerProgress> {
        match self {
            Self::Layer(layer) => Some(layer),
            _ => None,
        }
    }
}

/// Pulls `reference` while the stream is read.
pub fn pull(
    images: ImageStore,
    reference: ImageRef,
    platform: Platform,
    credentials: Option<Credentials>,
) -> impl Stream<Item = Result<PullImageResponse, Status>> + Send {
    let queue = Arc::new(Queue::default());
    let sink = Arc::clone(&queue);
    let name = reference.familiar();
    let pulling: Working<Event> = Box::pin(async move {
        let progress = Arc::new(move |event| {
            if let Some(event) = message(event, &name) {
                sink.push(event);
            }
        });
        let pulled = images.pull(&reference, &platform, credentials, progress).await;
        pulled
            .map(|pulled| Event::Pulled(result(&pulled, &reference)))
            .map_err(|error| of_image(&error, &reference.familiar()))
    });
    follow(queue, pulling).map(|event| event.map(|event| PullImageResponse { event: Some(event) }))
}

fn message(event: PullEvent, name: &str) -> Option<Event> {
    match event {
        PullEvent::Resolving => Some(Event::Status(PullStatus { text: format!("Pulling {name}") })),
        PullEvent::Manifest { digest } => {
            Some(Event::Status(PullStatus { text: format!("Manifest: {digest}") }))
        }
        PullEvent::Layer { digest, state } => {
            let (state, current_bytes, total_bytes) = match state {
                LayerState::Waiting => (State::Waiting, 0, 0),
                LayerState::Downloading { done, total } => (State::Downloading, done, total),
                LayerState::Verifying => (State::Verifying, 0, 0),
                LayerState::Extracting { done, total } => (State::Extracting, done, total),
                LayerState::Exists => (State::Exists, 0, 0),
                LayerState::Done => (State::Done, 0, 0),
            };
            Some(Event::Layer(LayerProgress {
                digest: digest.to_string(),
                state: state.into(),
                current_bytes,
                total_bytes,
                message: String::new(),
            }))
        }
        PullEvent::Done => None,
    }
}

fn result(pulled: &Pulled, reference: &ImageRef) -> PulledImage {
    PulledImage {
        id: pulled.image.record.id.to_string(),
        reference: reference.to_string(),
        manifest_digest: pulled.digest.to_string(),
        updated: pulled.updated,
        manifest_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use ross_types::Digest;

    use super::*;

    fn layer(state: LayerState) -> Event {
        message(PullEvent::Layer { digest: Digest::sha256([1; 32]), state }, "x").unwrap()
    }

    #[test]
    fn only_newer_counts_of_the_same_state_replace() {
        let queue = Queue::default();
        queue.push(layer(LayerState::Waiting));
        queue.push(layer(LayerState::Downloading { done: 1, total: 9 }));
        queue.push(layer(LayerState::Downloading { done: 5, total: 9 }));
        queue.push(layer(LayerState::Done));
        let mut seen = Vec::new();
        while let Some(Event::Layer(layer)) = queue.pop() {
            seen.push((layer.state(), layer.current_bytes));
        }
        assert_eq!(seen, [(State::Waiting, 0), (State::Downloading, 5), (State::Done, 0)]);
    }

    #[tokio::test]
    async fn the_result_comes_last_and_once() {
        let queue = Arc::new(Queue::default());
        let late = Arc::clone(&queue);
        let pulling: Working<Event> = Box::pin(async move {
            late.push(layer(LayerState::Waiting));
            tokio::task::yield_now().await;
            late.push(layer(LayerState::Done));
            Ok(Event::Pulled(PulledImage { updated: true, ..PulledImage::default() }))
        });
        let events: Vec<_> = follow(queue, pulling).map(|event| event.unwrap()).collect().await;
        assert_eq!(events.len(), 3);
        assert!(matches!(&events[2], Event::Pulled(pulled) if pulled.updated));
        let failing: Working<Event> = Box::pin(async { Err(Status::not_found("x")) });
        let events: Vec<_> = follow(Arc::default(), failing).collect().await;
        assert!(events.len() == 1 && events[0].is_err());
    }

    #[test]
    fn credentials_are_told_apart() {
        let auth = |user: &str, token: &str| RegistryAuth {
            username: user.to_owned(),
            password: user.to_owned(),
            identity_token: token.to_owned(),
            registry_token: String::new(),
        };
        assert_eq!(credentials(auth("", "")), None);
        assert!(matches!(credentials(auth("me", "")), Some(Credentials::Basic { .. })));
        assert!(matches!(credentials(auth("me", "t")), Some(Credentials::IdentityToken(_))));
        let both = RegistryAuth { registry_token: "r".to_owned(), ..auth("me", "t") };
        assert!(matches!(credentials(both), Some(Credentials::RegistryToken(_))));
    }
}
