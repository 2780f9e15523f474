//! Pulls that succeed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ross_image::{Credentials, ImageRecords, LayerState, PullEvent, RegistryConfig};
use ross_types::{ErrorKind, ImageRef, Platform};

use crate::fixture::{
    DOCKER_MANIFEST, Layer, OCI_INDEX, OCI_MANIFEST, Packing, TestImage, TestStore, noise, patient, sha256,
    text_of,
};
use crate::registry::{Pace, Registry, Reply};

#[tokio::test]
async fn every_packing_and_format() {
    for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
        let image = TestImage::with(
            vec![
                Layer::of(&[("etc/a", b"gzip")], Packing::Gzip),
                Layer::of(&[("etc/b", b"zstd")], Packing::Zstd),
                Layer::of(&[("etc/c", b"plain")], Packing::Plain),
                Layer::of(&[], Packing::Gzip),
            ],
            media_type,
            "linux",
            "amd64",
        );
        let registry = Registry::with(&image);
        let test = TestStore::open().await;
        let pulled = test.pull(&registry.reference("")).await.unwrap();
        assert!(pulled.updated);
        assert_eq!(pulled.digest, image.digest());
        let record = &pulled.image.record;
        assert_eq!((&record.id, &record.manifest), (&image.id(), &image.digest()));
        assert_eq!(record.media_type, media_type);
        assert_eq!(record.platform.to_string(), "linux/amd64");
        assert_eq!(record.created.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(pulled.image.config.config.exposed_ports, ["80/tcp"]);
        for (layer, path, content) in [(0, "etc/a", "gzip"), (1, "etc/b", "zstd"), (2, "etc/c", "plain")] {
            assert_eq!(test.read(&pulled.image, layer, path), content.as_bytes());
        }
        assert_eq!(test.files("ingest"), Vec::<String>::new());
        assert_eq!(test.files("blobs").len(), 6, "four layers, configuration, manifest");
        let shown: Vec<_> = record.references.iter().map(ImageRef::to_string).collect();
        let digest = image.digest();
        assert_eq!(shown, [registry.reference(&format!("@{digest}")), registry.reference(":latest")]);
        assert_eq!(test.store.resolve(&registry.reference(":latest")).unwrap().record.id, image.id());
        assert_eq!(test.store.list().unwrap().len(), 1);
        assert!(test.store.list().unwrap()[0].damaged.is_none());
    }
}

#[tokio::test]
async fn layers_that_need_those_below() {
    // Neither etc nor its attributes are in the upper layers: they come from the lowest.
    let implicit = |name: &str, content: &[u8]| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, content).unwrap();
        Layer::of_tar(builder.into_inner().unwrap(), Packing::Gzip)
    };
    let image = TestImage::new(vec![
        Layer::of(&[("etc/a", b"one")], Packing::Gzip),
        implicit("etc/b", b"two"),
        implicit("etc/c", b"three"),
    ]);
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let reference = registry.reference("");
    let (first, second) = tokio::join!(test.pull(&reference), test.pull(&reference));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.image.record.layers, second.image.record.layers);
    let keys: Vec<_> = first.image.record.layers.iter().map(|layer| layer.key.clone()).collect();
    assert_eq!(keys[0], first.image.record.layers[0].diff_id.0.hex());
    assert_eq!(keys[1], first.image.record.layers[1].chain_id.0.hex());
    assert_eq!(keys[2], first.image.record.layers[2].chain_id.0.hex());
    assert_eq!(test.read(&first.image, 2, "etc/c"), b"three");
    assert_eq!(
        registry.count("/blobs/"),
        image.layers.len() + 2,
        "each layer once; the configuration by each pull"
    );
}

#[tokio::test]
async fn an_index_by_platform() {
    let registry = Registry::start();
    let mut entries = Vec::new();
    for (architecture, variant) in [("arm64", Some("v8")), ("amd64", None)] {
        let layer = Layer::of(&[("arch", architecture.as_bytes())], Packing::Gzip);
        let image = TestImage::with(vec![layer], OCI_MANIFEST, "linux", architecture);
        registry.add(architecture, &image);
        entries.push(serde_json::json!({
            "mediaType": OCI_MANIFEST, "digest": image.digest().to_string(), "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": architecture, "variant": variant},
        }));
    }
    let index = |entries: &[serde_json::Value]| {
        serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
            .to_string()
            .into_bytes()
    };
    let inner = index(&entries);
    registry.add_manifest("latest", OCI_INDEX, &inner);
    let nested = serde_json::json!({"mediaType": OCI_INDEX, "digest": sha256(&inner).to_string(), "size": inner.len()});
    registry.add_manifest("nested", OCI_INDEX, &index(&[nested]));

    let test = TestStore::open().await;
    let pull = |reference: String, platform: &str| {
        let (reference, platform): (ImageRef, Platform) =
            (reference.parse().unwrap(), platform.parse().unwrap());
        let (store, sink) = (test.store.clone(), test.sink());
        async move { store.pull(&reference, &platform, None, sink).await }
    };
    let arm = pull(registry.reference(""), "linux/arm64").await.unwrap();
    assert_eq!(arm.digest, sha256(&inner), "the tag leads to the index");
    assert_eq!(test.read(&arm.image, 0, "arch"), b"arm64");
    let amd = pull(registry.reference(":nested"), "linux/amd64").await.unwrap();
    assert_eq!(test.read(&amd.image, 0, "arch"), b"amd64");
    let error = pull(registry.reference(""), "linux/s390x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        text_of(&error).ends_with("no image for linux/s390x; available: linux/arm64, linux/amd64"),
        "{error:?}"
    );
    let error = pull(registry.reference(":amd64"), "linux/arm64").await.unwrap_err();
    assert!(text_of(&error).contains("the image is for linux/amd64, not linux/arm64"), "{error:?}");
    let by_digest = registry.reference(&format!("@{}", sha256(&inner)));
    assert_eq!(pull(by_digest, "linux/arm64").await.unwrap().image.record.id, arm.image.record.id);
}

#[tokio::test]
async fn a_second_pull_fetches_only_the_manifest() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    assert!(test.pull(&registry.reference("")).await.unwrap().updated);
    let before = registry.requests().len();
    test.events.lock().unwrap().clear();
    assert!(!test.pull(&registry.reference("")).await.unwrap().updated);
    assert_eq!(registry.requests().len(), before + 1);
    let exists = |event: &&PullEvent| matches!(event, PullEvent::Layer { state: LayerState::Exists, .. });
    assert_eq!(test.events.lock().unwrap().iter().filter(exists).count(), 3);
    assert!(test.pull(&registry.reference(":latest")).await.is_ok());
    registry.add("other", &image);
    assert!(test.pull(&registry.reference(":other")).await.unwrap().updated, "a new name is news");

    // After a restart too, and with the tag moved on.
    let test = test.reopen().await;
    assert!(!test.pull(&registry.reference("")).await.unwrap().updated);
    registry.add("latest", &TestImage::one_layer());
    let moved = test.pull(&registry.reference("")).await.unwrap();
    assert!(moved.updated);
    let old = test.store.resolve(image.id().hex()).unwrap();
    assert!(!old.record.references.iter().any(|reference| reference.tag() == Some("latest")));
}

#[tokio::test]
async fn layers_come_in_parallel_and_each_once() {
    let layers = (0..6).map(|seed| Layer::of(&[("f", &noise(seed, 50_000))], Packing::Gzip)).collect();
    let image = TestImage::new(layers);
    let registry = Registry::with(&image);
    let test = Arc::new(TestStore::open().await);
    let (asked, config) = (Arc::new(AtomicUsize::new(0)), image.id().to_string());
    registry.hook({
        let asked = asked.clone();
        move |request| {
            let is_layer = request.path.contains("/blobs/") && !request.path.contains(&config);
            asked.fetch_add(usize::from(is_layer), Ordering::SeqCst);
            None
        }
    });
    let reference = registry.reference("");
    let (first, second) = tokio::join!(test.pull(&reference), test.pull(&reference));
    assert_eq!(first.unwrap().image.record.id, second.unwrap().image.record.id);
    assert_eq!(asked.load(Ordering::SeqCst), 6, "two pulls, each layer fetched once");
    assert_eq!(test.files("ingest"), Vec::<String>::new());
}

#[tokio::test]
async fn events_of_a_layer_are_in_order() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    let events = test.events.lock().unwrap().clone();
    assert_eq!(events.first(), Some(&PullEvent::Resolving));
    assert_eq!(events[1], PullEvent::Manifest { digest: image.digest() });
    assert_eq!(events.last(), Some(&PullEvent::Done));
    let states: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            PullEvent::Layer { digest, state } if *digest == image.layers[0].digest() => Some(*state),
            _ => None,
        })
        .collect();
    let total = image.layers[0].blob.len() as u64;
    assert_eq!(states.first(), Some(&LayerState::Waiting));
    assert_eq!(states[1], LayerState::Downloading { done: 0, total });
    let verifying = states.iter().position(|state| *state == LayerState::Verifying).unwrap();
    assert_eq!(states[verifying - 1], LayerState::Downloading { done: total, total });
    assert_eq!(states.last(), Some(&LayerState::Done));
}

#[tokio::test]
async fn a_cut_transfer_goes_on_by_range() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let (honest, digest) = (registry.clone(), image.layers[0].digest().to_string());
    let mut cuts = 2;
    registry.hook(move |request| {
        let cut = request.path.contains(&digest) && cuts > 0;
        cuts -= usize::from(cut);
        cut.then(|| honest.honest(request).pace(Pace::Cut(300_000)))
    });
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
    let ranges: Vec<_> =
        registry.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let (digest, blob) = (image.layers[0].digest().to_string(), image.layers[0].blob.clone());
    let mut cuts = 1;
    registry.hook(move |request| {
        if !request.path.contains(&digest) {
            return None;
        }
        let pace = if cuts > 0 { Pace::Cut(300_000) } else { Pace::Whole };
        cuts = 0;
        Some(Reply::ok(blob.clone()).pace(pace))
    });
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
}

#[tokio::test]
async fn an_abandoned_pull_is_resumed_after_a_restart() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open_with(ross_image::RegistryConfig {
        response_timeout: Duration::from_secs(60),
        stall_window: Duration::from_secs(60),
        ..crate::fixture::impatient()
    })
    .await;
    let (honest, digest) = (registry.clone(), image.layers[0].digest().to_string());
    registry.hook(move |request| {
        request.path.contains(&digest).then(|| honest.honest(request).pace(Pace::Stall(600_000)))
    });
    let partial = test.dir.path().join("ingest").join(format!("{}.partial", image.layers[0].digest().hex()));
    let staged = || std::fs::metadata(&partial).map_or(0, |meta| meta.len());
    let reference = registry.reference("");
    {
        let mut pull = Box::pin(test.pull(&reference));
        while staged() < 600_000 {
            tokio::select! {
                biased;
                result = &mut pull => panic!("it cannot be done: {result:?}"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    }
    registry.unhook();
    let test = test.reopen().await;
    assert!(test.records.images().unwrap().is_empty());
    let pulled = test.pull(&reference).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
    let last =
        registry.requests().into_iter().rev().find(|request| request.header("range").is_some()).unwrap();
    assert_eq!(last.header("range"), Some("bytes=600000-"));
}

#[tokio::test]
async fn a_damaged_partial_is_fetched_anew() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let partial = test.dir.path().join("ingest").join(format!("{}.partial", image.layers[0].digest().hex()));
    for damaged in [vec![0; 200_000], image.layers[0].blob.iter().map(|byte| byte ^ 1).collect()] {
        std::fs::write(&partial, damaged).unwrap();
        let pulled = test.pull(&registry.reference("")).await.unwrap();
        assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
        assert!(!partial.exists());
        test.store.remove(&registry.reference(""), false, &|_| None).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_blob_is_fetched_anew() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    let layer = &pulled.image.record.layers[0];
    let blob = test.dir.path().join("blobs/sha256").join(layer.blob.hex());
    let good = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, vec![0; good.len()]).unwrap();
    std::fs::remove_dir_all(test.dir.path().join("layers").join(&layer.key)).unwrap();
    let again = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&again.image, 0, "data"), noise(9, 1_000_000));
    assert_eq!(std::fs::read(&blob).unwrap(), good);

    // With the blob whole, a lost layer needs no network but for the manifest.
    std::fs::remove_dir_all(test.dir.path().join("layers").join(&layer.key)).unwrap();
    let before = registry.requests().len();
    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(registry.requests().len(), before + 1);
}

#[tokio::test]
async fn failures_that_pass() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let mut seen = std::collections::HashMap::new();
    registry.hook(move |request| {
        let times: &mut usize = seen.entry(request.path.clone()).or_default();
        *times += 1;
        match *times {
            1 => Some(Reply::status(503)),
            2 => Some(Reply::status(429).header("retry-after", "0")),
            _ => None,
        }
    });
    test.pull(&registry.reference("")).await.unwrap();
}

#[tokio::test]
async fn tokens_and_passwords() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let realm = format!("http://{}/token", registry.address);
    registry.hook(move |request| {
        let authorization = request.header("authorization").unwrap_or_default();
        if request.path.starts_with("/token") {
            let user = "Basic bWU6c2VjcmV0";
            let scope = request.path.contains("scope=repository%3Atest%2Fapp%3Apull");
            let good = scope && (authorization == user || authorization.is_empty());
            let token = if authorization.is_empty() { "anonymous" } else { "mine" };
            return Some(if good {
                Reply::ok(format!(r#"{{"token":"{token}"}}"#))
            } else {
                Reply::status(401)
            });
        }
        if authorization == "Bearer mine" || authorization == "Bearer anonymous" {
            return None;
        }
        let challenge =
            format!("Bearer realm=\"{realm}\",service=\"here\",scope=\"repository:test/app:pull,push\"");
        Some(Reply::status(401).header("www-authenticate", challenge))
    });
    let password = |password: &str| Credentials::Basic { username: "me".into(), password: password.into() };
    for credentials in [None, Some(password("secret"))] {
        let test = TestStore::open().await;
        test.pull_as(&registry.reference(""), credentials).await.unwrap();
    }
    assert_eq!(registry.count("/token"), 2, "one token serves a whole pull");
    let test = TestStore::open().await;
    let error = test.pull_as(&registry.reference(""), Some(password("wrong"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(text_of(&error).contains("refuses these credentials") && !text_of(&error).contains("wrong"));
    test.assert_untouched();
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let realm = format!("http://{}/token", registry.address);
    registry.hook(move |request| match (request.method.as_str(), request.header("authorization")) {
        ("POST", _) => {
            let good = request.path == "/token" && request.text().contains("refresh_token=mine%21");
            Some(if good { Reply::ok(r#"{"access_token":"t"}"#) } else { Reply::status(401) })
        }
        (_, Some("Bearer t")) => None,
        _ => Some(Reply::status(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))),
    });
    let test = TestStore::open().await;
    let token = Credentials::IdentityToken("mine!".into());
    test.pull_as(&registry.reference(""), Some(token)).await.unwrap();
    let test = TestStore::open().await;
    let token = Credentials::RegistryToken("t".into());
    test.pull_as(&registry.reference(""), Some(token)).await.unwrap();
    assert_eq!(registry.count("/token"), 1, "a registry token is shown as it is");
}

#[tokio::test]
async fn redirects_lose_the_credentials() {
    let image = TestImage::plain();
    let (registry, storage) = (Registry::with(&image), Registry::with(&image));
    let target = storage.address.clone();
    registry.hook(move |request| match request.header("authorization") {
        None => Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")),
        Some(_) if request.path.contains("/blobs/") => {
            Some(Reply::status(307).header("location", format!("http://{target}{}", request.path)))
        }
        Some(_) => None,
    });
    let test = TestStore::open().await;
    let credentials = Credentials::Basic { username: "me".into(), password: "secret".into() };
    test.pull_as(&registry.reference(""), Some(credentials)).await.unwrap();
    assert_eq!(storage.requests().len(), 4);
    assert!(storage.requests().iter().all(|request| request.header("authorization").is_none()));
    let asked =
        registry.requests().iter().filter(|request| request.header("authorization").is_none()).count();
    assert_eq!(asked, 1, "once the challenge is known, it is met at once");
}

#[tokio::test]
async fn an_image_without_layers_and_tags_of_a_local_image() {
    let image = TestImage::new(vec![]);
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert!(pulled.image.record.layers.is_empty());
    test.store.tag(&pulled.image, &"mine:1".parse().unwrap()).unwrap();
    assert_eq!(test.store.resolve("mine:1").unwrap().record.id, image.id());
    let by_digest = format!("mine@{}", image.digest()).parse().unwrap();
    assert!(test.store.tag(&pulled.image, &by_digest).is_err());
}

/// However many pulls run, no more than a bounded number of layers is in the making, and the threads for those are
/// enough for all to get done.
#[test]
fn pulls_at_once_are_bounded() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let bound = (4 * processors).clamp(8, 64);
    let stalling = RegistryConfig { response_timeout: Duration::from_secs(1), attempts: 10, ..patient() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2 * bound + 4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let registry = Registry::start();
        let pulls = 3 * bound;
        let mut layers = HashSet::new();
        for number in 0..pulls {
            let content = noise(number as u64 + 1, 300_000);
            let layer = Layer::of(&[("data", &content)], Packing::Gzip);
            layers.insert(layer.digest().to_string());
            registry.add(&format!("v{number}"), &TestImage::new(vec![layer]));
        }
        // The first answer for each layer stalls, so that all that may begin have begun before any ends.
        let honest = registry.clone();
        registry.hook(move |request| {
            let blob = request.path.rsplit('/').next().unwrap_or_default();
            layers.remove(blob).then(|| honest.honest(request).pace(Pace::Stall(0)))
        });
        let test = Arc::new(TestStore::open_with(stalling).await);
        let mut running = tokio::task::JoinSet::new();
        for number in 0..pulls {
            let (test, reference) = (test.clone(), registry.reference(&format!(":v{number}")));
            running.spawn(async move { test.pull(&reference).await.map(drop) });
        }
        while let Some(pulled) = running.join_next().await {
            pulled.unwrap().unwrap();
        }
        let (mut making, mut most) = (0_usize, 0);
        for event in test.events.lock().unwrap().iter() {
            match event {
                PullEvent::Layer { state: LayerState::Downloading { done: 0, .. }, .. } => making += 1,
                PullEvent::Layer { state: LayerState::Verifying, .. } => making -= 1,
                _ => {}
            }
            most = most.max(making);
        }
        assert_eq!(making, 0);
        assert!((2..=bound).contains(&most), "{most} layers in the making at once, {bound} allowed");
    });
}
