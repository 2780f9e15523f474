//! Tokens that expire, and services that are asked one way or another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ross_image::{Credentials, RegistryConfig};
use ross_types::ErrorKind;

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, patient, text_of};
use crate::registry::{Registry, Reply};

/// A registry whose service gives numbered tokens, of which only the newest is good, and that for `uses` requests.
fn expiring(image: &TestImage, uses: usize) -> Registry {
    let registry = Registry::with(image);
    let realm = format!("http://{}/token", registry.address);
    let (mut token, mut left) = (0, 0);
    registry.hook(move |request| {
        if request.path.starts_with("/token") {
            (token, left) = (token + 1, uses);
            return Some(Reply::ok(format!(r#"{{"token":"t{token}","expires_in":60}}"#)));
        }
        let known = request.header("authorization") == Some(&format!("Bearer t{token}"));
        if known && left > 0 {
            left -= 1;
            return None;
        }
        let challenge = format!("Bearer realm=\"{realm}\",error=\"invalid_token\"");
        Some(Reply::status(401).header("www-authenticate", challenge))
    });
    registry
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_renewed() {
    let image = TestImage::plain();
    // Manifest and configuration with the first token, two layers with the second, one with the third.
    let registry = expiring(&image, 2);
    let test = TestStore::open_with(RegistryConfig { parallel_layers: 1, ..patient() }).await;
    test.pull(&registry.reference("")).await.map_err(|error| text_of(&error)).unwrap();
    assert_eq!((registry.count("/token"), registry.count("/blobs/")), (3, 6));
}

#[tokio::test]
async fn many_layers_renew_a_token_once() {
    let layers = (0..3).map(|seed| Layer::of(&[("f", &noise(seed, 50_000))], Packing::Gzip)).collect();
    let image = TestImage::new(layers);
    let registry = Registry::with(&image);
    let realm = format!("http://{}/token", registry.address);
    let mut token = 1;
    let config = image.id().to_string();
    // The first token is good for the manifest and the configuration, and then refused to all three layers.
    registry.hook(move |request| {
        if request.path.starts_with("/token") {
            let now = token;
            token += 1;
            return Some(Reply::ok(format!(r#"{{"token":"t{now}"}}"#)));
        }
        let challenge = Reply::status(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""));
        let is_layer = request.path.contains("/blobs/") && !request.path.contains(&config);
        match request.header("authorization") {
            Some("Bearer t1") if is_layer => Some(challenge),
            Some(_) => None,
            None => Some(challenge),
        }
    });
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(registry.count("/token"), 2);
}

#[tokio::test]
async fn a_token_that_is_never_good_enough_ends_the_pull() {
    let image = TestImage::plain();
    let registry = expiring(&image, 0);
    let test = TestStore::open().await;
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}");
    assert_eq!(
        (registry.count("/token"), registry.count("/manifests/")),
        (1, 2),
        "once more with a new token"
    );
}

#[tokio::test]
async fn an_identity_token_where_there_is_no_post() {
    for status in [404, 405] {
        let image = TestImage::one_layer();
        let registry = Registry::with(&image);
        let realm = format!("http://{}/token", registry.address);
        registry.hook(move |request| match (request.method.as_str(), request.header("authorization")) {
            ("POST", _) => Some(Reply::status(status)),
            // `:mine` in base64.
            ("GET", Some("Basic Om1pbmU=")) if request.path.starts_with("/token") => {
                Some(Reply::ok(r#"{"token":"t"}"#))
            }
            (_, Some("Bearer t")) => None,
            _ => Some(Reply::status(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))),
        });
        let test = TestStore::open().await;
        let token = Credentials::IdentityToken("mine".into());
        test.pull_as(&registry.reference(""), Some(token)).await.map_err(|error| text_of(&error)).unwrap();
    }
}

#[tokio::test]
async fn a_token_service_that_fails_for_a_moment_is_asked_again() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let realm = format!("http://{}/token", registry.address);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    registry.hook(move |request| {
        if request.path.starts_with("/token") {
            return Some(match count.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::status(503),
                1 => Reply::status(429).header("retry-after", "Sun, 09 Sep 2001 01:46:40 GMT"),
                _ => Reply::ok(r#"{"token":"t"}"#),
            });
        }
        let known = request.header("authorization") == Some("Bearer t");
        (!known).then(|| Reply::status(401).header("www-authenticate", format!("Bearer realm=\"{realm}\"")))
    });
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.map_err(|error| text_of(&error)).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}
