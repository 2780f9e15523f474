//! Pulls of the same at the same time, and how many layers of one are fetched at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ross_image::{LayerState, ProgressSink, PullEvent, RegistryConfig};
use ross_types::{ImageRef, Platform};

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, patient};
use crate::registry::{Pace, Registry};

type Events = Arc<Mutex<Vec<PullEvent>>>;

fn sink() -> (Events, ProgressSink) {
    let events = Events::default();
    let seen = events.clone();
    (events, Arc::new(move |event| seen.lock().unwrap().push(event)))
}

/// A pull that joins another sees how far that is, and the registry serves each blob once.
#[tokio::test]
async fn a_pull_that_joins_another_sees_its_progress() {
    let image = TestImage::new(vec![Layer::of(&[("data", &noise(3, 3_000_000))], Packing::Gzip)]);
    let registry = Registry::with(&image);
    let digest = image.layers[0].digest();
    let (honest, blob) = (registry.clone(), digest.to_string());
    let mut first = true;
    // The first transfer stands still in its middle until it is given up; by then the second pull has joined.
    registry.hook(move |request| {
        let stall = request.path.contains(&blob) && std::mem::take(&mut first);
        stall.then(|| honest.honest(request).pace(Pace::Stall(1_000_000)))
    });
    let config = RegistryConfig { response_timeout: Duration::from_secs(2), ..patient() };
    let test = TestStore::open_with(config).await;
    let (reference, platform): (ImageRef, Platform) =
        (registry.reference("").parse().unwrap(), "linux/amd64".parse().unwrap());
    let (first_events, first_sink) = sink();
    let (second_events, second_sink) = sink();
    let begun = |events: &Events| {
        let is_begun = |event: &PullEvent| {
            matches!(event, PullEvent::Layer { state: LayerState::Downloading { .. }, .. })
        };
        events.lock().unwrap().iter().any(is_begun)
    };
    let second = async {
        while !begun(&first_events) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        test.store.pull(&reference, &platform, None, second_sink).await
    };
    let (first, second) = tokio::join!(test.store.pull(&reference, &platform, None, first_sink), second);
    assert_eq!(first.unwrap().image.record.id, second.unwrap().image.record.id);
    let transfers =
        registry.requests().iter().filter(|request| request.path.contains(&digest.to_string())).count();
    assert_eq!(transfers, 2, "one, and its continuation");
    let states: Vec<_> = second_events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            PullEvent::Layer { state, .. } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states.first(), Some(&LayerState::Waiting));
    assert_eq!(states.last(), Some(&LayerState::Exists));
    let total = image.layers[0].blob.len() as u64;
    let end = LayerState::Downloading { done: total, total };
    assert!(states.contains(&end) && states.contains(&LayerState::Verifying), "{states:?}");
}

#[tokio::test]
async fn of_one_pull_a_few_layers_come_at_once() {
    let layers = (1..=8).map(|seed| Layer::of(&[("f", &noise(seed, 50_000))], Packing::Gzip)).collect();
    let image = TestImage::new(layers);
    let registry = Registry::with(&image);
    let digests: Vec<_> = image.layers.iter().map(|layer| layer.digest().to_string()).collect();
    let (honest, asked) = (registry.clone(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    registry.hook(move |request| {
        let is_layer = digests.iter().any(|digest| request.path.contains(digest));
        // As many as may be at once stand still; were there more, they would be seen before these go on.
        let stall = is_layer && count.fetch_add(1, Ordering::SeqCst) < 3;
        stall.then(|| honest.honest(request).pace(Pace::Stall(0)))
    });
    let config = RegistryConfig { response_timeout: Duration::from_millis(500), ..patient() };
    let test = TestStore::open_with(config).await;
    test.pull(&registry.reference("")).await.unwrap();
    let (mut making, mut most) = (0_usize, 0);
    for event in test.events.lock().unwrap().iter() {
        match event {
            PullEvent::Layer { state: LayerState::Downloading { done: 0, .. }, .. } => making += 1,
            PullEvent::Layer { state: LayerState::Verifying, .. } => making -= 1,
            _ => {}
        }
        most = most.max(making);
    }
    assert_eq!((making, most), (0, 3));
}
