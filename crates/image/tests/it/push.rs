//! Pushes that succeed: to a registry that keeps the rules, and to some that have their own.

use std::sync::{Arc, Mutex};

use ross_image::{Credentials, Error, Image, PushEvent, PushState, Pushed, RegistryConfig};
use ross_types::ImageRef;

use crate::fixture::{
    DOCKER_MANIFEST, Layer, OCI_MANIFEST, Packing, TestImage, TestStore, noise, patient, sha256,
};
use crate::registry::{Registry, Reply};
use crate::taker::Taker;

pub async fn push_as(
    test: &TestStore,
    reference: &str,
    credentials: Option<Credentials>,
) -> (Result<Pushed, Error>, Vec<PushEvent>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let reference: ImageRef = reference.parse().unwrap();
    let progress = Arc::new(move |event| seen.lock().unwrap().push(event));
    let push = test.store.push(&reference, credentials, progress);
    let pushed =
        tokio::time::timeout(std::time::Duration::from_secs(60), push).await.expect("every push ends");
    let events = events.lock().unwrap().clone();
    (pushed, events)
}

pub async fn push(test: &TestStore, reference: &str) -> Result<Pushed, Error> {
    push_as(test, reference, None).await.0
}

/// A store with an image that was pulled from `registry`, and has this further name.
pub async fn pulled(image: &TestImage, name: &str, config: RegistryConfig) -> (TestStore, Registry, Image) {
    let source = Registry::with(image);
    let test = TestStore::open_with(config).await;
    let pulled = test.pull(&source.reference("")).await.unwrap().image;
    test.store.tag(&pulled, &name.parse().unwrap()).unwrap();
    (test, source, pulled)
}

pub fn assert_there(taker: &Taker, repository: &str, tag: &str, image: &TestImage) {
    for blob in image.layers.iter().map(|layer| &layer.blob).chain([&image.config]) {
        assert!(taker.has(repository, blob), "blob {}", sha256(blob));
    }
    let expected = (image.media_type.to_owned(), image.manifest.clone());
    assert_eq!(taker.manifest(repository, tag).unwrap(), expected, "byte for byte");
}

/// The last state of each layer.
fn ends(image: &TestImage, events: &[PushEvent]) -> Vec<PushState> {
    let last = |layer: &Layer| {
        let own = events.iter().filter(|event| event.digest == layer.digest());
        own.map(|event| event.state.clone()).next_back().unwrap()
    };
    image.layers.iter().map(last).collect()
}

#[tokio::test]
async fn the_same_bytes_as_pulled() {
    for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
        let image = TestImage::with(
            vec![
                Layer::of(&[("a", &noise(1, 300_000))], Packing::Gzip),
                Layer::of(&[("b", b"zstd")], Packing::Zstd),
                Layer::of(&[("c", b"plain")], Packing::Plain),
                Layer::of(&[("c", b"plain")], Packing::Plain),
            ],
            media_type,
            "linux",
            "amd64",
        );
        let taker = Taker::start();
        let (test, _source, _) = pulled(&image, &taker.reference("team/app:v1"), patient()).await;
        let (pushed, events) = push_as(&test, &taker.reference("team/app:v1"), None).await;
        let pushed = pushed.unwrap();
        assert_eq!((pushed.id, &pushed.digest), (image.id(), &image.digest()));
        assert_eq!(pushed.manifest_size, image.manifest.len() as u64);
        assert_there(&taker, "team/app", "v1", &image);
        assert_eq!(ends(&image, &events), vec![PushState::Pushed; 4]);
        let is_layer = |event: &PushEvent| image.layers.iter().any(|layer| layer.digest() == event.digest);
        assert!(events.iter().all(is_layer), "of layers alone: {events:?}");
        assert_eq!(taker.uploads(), (4, 0), "what is in the image twice is sent once");
        let total = image.layers[0].blob.len() as u64;
        let whole = PushState::Pushing { done: total, total };
        assert!(events.iter().any(|event| event.state == whole), "{events:?}");
        let requests = taker.registry.requests();
        assert_eq!(requests.last().unwrap().path, "/v2/team/app/manifests/v1", "the manifest is the last");

        // The store knows now what the registry calls it.
        let record = test.store.resolve(&taker.reference("team/app:v1")).unwrap().record;
        let by_digest: ImageRef = taker.reference(&format!("team/app@{}", image.digest())).parse().unwrap();
        assert!(record.references.contains(&by_digest), "{:?}", record.references);

        // Once more, nothing is sent but the manifest.
        let (again, events) = push_as(&test, &taker.reference("team/app:v1"), None).await;
        assert_eq!(again.unwrap().digest, image.digest());
        assert_eq!(ends(&image, &events), vec![PushState::Exists; 4]);
        assert_eq!(taker.uploads(), (4, 0));
    }
}

#[tokio::test]
async fn what_another_repository_has_is_mounted() {
    let image = TestImage::plain();
    let taker = Taker::start();
    taker.add("team/base", "1", &image);
    let test = TestStore::open().await;
    let pulled = test.pull(&taker.reference("team/base:1")).await.unwrap().image;
    test.store.tag(&pulled, &taker.reference("other/app:2").parse().unwrap()).unwrap();
    let (pushed, events) = push_as(&test, &taker.reference("other/app:2"), None).await;
    pushed.unwrap();
    assert_there(&taker, "other/app", "2", &image);
    assert_eq!(ends(&image, &events), vec![PushState::Mounted("team/base".into()); 3]);
    assert!(taker.bodies("PUT").is_empty() && taker.bodies("PATCH").is_empty(), "nothing is sent");

    // A registry that does not begins an upload instead, which is used.
    taker.never_mounts();
    test.store.tag(&pulled, &taker.reference("third/app:3").parse().unwrap()).unwrap();
    let (pushed, events) = push_as(&test, &taker.reference("third/app:3"), None).await;
    pushed.unwrap();
    assert_there(&taker, "third/app", "3", &image);
    assert_eq!(ends(&image, &events), vec![PushState::Pushed; 3]);
    assert_eq!(
        taker.uploads(),
        (8, 0),
        "two repositories are asked for each blob; what is not used is ended"
    );
}

#[tokio::test]
async fn large_blobs_go_in_chunks() {
    let image = TestImage::one_layer();
    let size = image.layers[0].blob.len();
    let config = || RegistryConfig { upload_chunk: 300_000, ..patient() };
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), config()).await;
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
    assert_eq!(taker.bodies("PATCH"), [300_000, 300_000, 300_000, size - 900_000]);
    let ranges: Vec<String> = taker
        .registry
        .requests()
        .iter()
        .filter_map(|r| Some(r.header("content-range")?.to_owned()))
        .collect();
    assert_eq!(ranges[..2], ["0-299999", "300000-599999"]);

    // Some want them larger.
    let taker = Taker::start();
    taker.hook(|taker, request| {
        (request.method == "POST").then(|| taker.answer(request).header("oci-chunk-min-length", "700000"))
    });
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), config()).await;
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
    assert_eq!(taker.bodies("PATCH"), [700_000, size - 700_000]);
}

#[tokio::test]
async fn who_does_not_take_a_blob_whole_gets_chunks() {
    let image = TestImage::one_layer();
    for status in [405, 411, 413, 501] {
        let taker = Taker::start();
        taker.hook(move |_, request| {
            let whole =
                request.method == "PUT" && request.path.contains("/uploads/") && !request.body.is_empty();
            whole.then(|| Reply::status(status))
        });
        let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
        push(&test, &taker.reference("app:1")).await.unwrap();
        assert_there(&taker, "app", "1", &image);
        assert_eq!(taker.uploads(), (4, 0), "the refused ones are ended");
    }
    // And smaller ones where they are too large.
    let big = TestImage::new(vec![Layer::of(&[("data", &noise(5, 5_000_000))], Packing::Gzip)]);
    let taker = Taker::start();
    taker.hook(|_, request| (request.body.len() > 2_000_000).then(|| Reply::status(413)));
    let (test, _source, _) = pulled(&big, &taker.reference("app:1"), patient()).await;
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &big);
}

#[tokio::test]
async fn addresses_of_uploads_are_relative_or_absolute() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    taker.uploads_at(&format!("http://{}", taker.registry.address));
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
    let puts: Vec<String> =
        taker.registry.requests().iter().filter(|r| r.method == "PUT").map(|r| r.path.clone()).collect();
    assert!(puts.iter().any(|path| path.contains("?_state=a%3Db&digest=sha256%3A")), "{puts:?}");
}

#[tokio::test]
async fn a_token_is_asked_for_all_that_is_needed() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    taker.add("team/base", "1", &image);
    let test = TestStore::open().await;
    let pulled = test.pull(&taker.reference("team/base:1")).await.unwrap().image;
    test.store.tag(&pulled, &taker.reference("other/app:2").parse().unwrap()).unwrap();
    let address = taker.registry.address.clone();
    taker.hook(move |_, request| {
        if request.path.starts_with("/token") {
            let good = request.header("authorization") == Some("Basic bWU6c2VjcmV0");
            return Some(if good { Reply::ok(r#"{"token":"abc"}"#) } else { Reply::status(401) });
        }
        (request.header("authorization") != Some("Bearer abc")).then(|| {
            Reply::status(401)
                .header("www-authenticate", format!("Bearer realm=\"http://{address}/token\",service=\"s\""))
        })
    });
    let user = Credentials::Basic { username: "me".into(), password: "secret".into() };
    push_as(&test, &taker.reference("other/app:2"), Some(user)).await.0.unwrap();
    assert_there(&taker, "other/app", "2", &image);
    let requests = taker.registry.requests();
    let asked: Vec<_> =
        requests.iter().filter(|r| r.path.starts_with("/token")).map(|r| r.path.as_str()).collect();
    let scopes = "scope=repository%3Aother%2Fapp%3Apull%2Cpush&scope=repository%3Ateam%2Fbase%3Apull";
    assert!(!asked.is_empty() && asked.iter().all(|path| path.contains(scopes)), "{asked:?}");
}

#[tokio::test]
async fn layers_that_may_not_be_distributed_are_left() {
    let layers =
        || vec![Layer::of(&[("a", b"own")], Packing::Gzip), Layer::of(&[("b", b"foreign")], Packing::Gzip)];
    let mut image = TestImage::with(layers(), DOCKER_MANIFEST, "linux", "amd64");
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"][1]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    manifest["layers"][1]["urls"] = serde_json::json!(["https://elsewhere.example/layer"]);
    image.manifest = manifest.to_string().into_bytes();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let (pushed, events) = push_as(&test, &taker.reference("app:1"), None).await;
    pushed.unwrap();
    assert_eq!(ends(&image, &events), [PushState::Pushed, PushState::Foreign]);
    assert!(taker.has("app", &image.layers[0].blob) && !taker.has("app", &image.layers[1].blob));
}

#[tokio::test]
async fn a_blob_that_is_not_here_is_fetched_again() {
    // The second image has the first one's layer in another blob, which was not fetched.
    let tar = Layer::of(&[("a", &noise(1, 200_000))], Packing::Gzip).tar;
    let first = TestImage::new(vec![Layer::of_tar(tar.clone(), Packing::Gzip)]);
    let second =
        TestImage::new(vec![Layer::of_tar(tar, Packing::Zstd), Layer::of(&[("b", b"b")], Packing::Gzip)]);
    let taker = Taker::start();
    let (test, source, _) = pulled(&first, "first:1", patient()).await;
    source.add("second", &second);
    let image = test.pull(&source.reference(":second")).await.unwrap().image;
    assert_eq!(source.count(&second.layers[0].digest().to_string()), 0, "its layer is here");
    test.store.tag(&image, &taker.reference("app:2").parse().unwrap()).unwrap();
    let (pushed, events) = push_as(&test, &taker.reference("app:2"), None).await;
    pushed.unwrap();
    assert_there(&taker, "app", "2", &second);
    assert!(events.iter().any(|event| event.state == PushState::Fetching), "{events:?}");
    assert_eq!(test.files("ingest"), Vec::<String>::new());
    // It is kept.
    push(&test, &taker.reference("app:2")).await.unwrap();
    assert_eq!(source.count(&second.layers[0].digest().to_string()), 1);
}

#[tokio::test]
async fn all_tags_of_a_repository() {
    let image = TestImage::one_layer();
    let (test, _source, pulled) = pulled(&image, "team/app:2", patient()).await;
    for name in ["team/app:10", "team/app:1", "team/application:1"] {
        test.store.tag(&pulled, &name.parse().unwrap()).unwrap();
    }
    let tags = test.store.tags(&"team/app".parse().unwrap()).unwrap();
    let shown: Vec<String> = tags.iter().map(ImageRef::familiar).collect();
    assert_eq!(shown, ["team/app:1", "team/app:10", "team/app:2"]);
    let error = test.store.tags(&"team/other".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "no such image: team/other");
}

#[tokio::test]
async fn a_removal_waits_for_nobody_and_takes_nothing_away() {
    let image = TestImage::plain();
    let taker = Taker::start();
    // One after the other, so that most are still to be opened when the image goes; and nobody has them any more.
    let config = RegistryConfig { parallel_uploads: 1, ..patient() };
    let (test, source, _) = pulled(&image, &taker.reference("app:1"), config).await;
    source.hook(|_| Some(Reply::status(404)));
    let test = Arc::new(test);
    let (remover, id) = (test.clone(), image.id().to_string());
    let removed = Arc::new(Mutex::new(false));
    let done = removed.clone();
    taker.hook(move |_, request| {
        let mut done = done.lock().unwrap();
        if request.method == "POST" && !*done {
            remover.store.remove(&id, true, &|_| None).unwrap();
            *done = true;
        }
        None
    });
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert!(*removed.lock().unwrap());
    taker.behave();
    assert_there(&taker, "app", "1", &image);
    assert!(test.store.resolve(&image.id().to_string()).is_err(), "it stays removed");
    tokio::time::timeout(std::time::Duration::from_secs(60), test.store.idle()).await.unwrap();
    test.assert_untouched();
    assert_eq!(test.files("ingest"), Vec::<String>::new());
    drop(source);
}
