//! Registries that lie, fail or stall: a clear error that names the object, and nothing left outside staging.

use ross_image::RegistryConfig;
use ross_types::ErrorKind;

use crate::fixture::{
    Layer, OCI_INDEX, OCI_MANIFEST, Packing, TestImage, TestStore, impatient, manifest_of, noise, patient,
    sha256, tar_of,
};
use crate::registry::{Pace, Registry, Reply, Request};

/// Pulls an image whose one layer's requests are answered by `reply`, and expects an error of this kind that says
/// this, about that blob.
async fn check_blob(
    reply: impl FnMut(&Request, Reply) -> Reply + Send + 'static,
    kind: ErrorKind,
    says: &str,
) -> (TestStore, Registry) {
    check_blob_with(patient(), reply, kind, says).await
}

async fn check_blob_with(
    config: RegistryConfig,
    mut reply: impl FnMut(&Request, Reply) -> Reply + Send + 'static,
    kind: ErrorKind,
    says: &str,
) -> (TestStore, Registry) {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open_with(config).await;
    let (honest, digest) = (registry.clone(), image.layers[0].digest().to_string());
    let name = digest.clone();
    registry
        .hook(move |request| request.path.contains(&digest).then(|| reply(request, honest.honest(request))));
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(says), "{text:?} should say {says:?}");
    assert!(text.contains(&name) && text.contains("test/app"), "{text:?} names blob and repository");

    // The next pull of the same, from a registry that has come to its senses, is whole.
    registry.unhook();
    let test = test.reopen().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
    (test, registry)
}

/// Pulls with the manifest's request answered by `reply`.
async fn check_manifest(
    reply: impl Fn(&Request) -> Reply + Send + 'static,
    kind: ErrorKind,
    says: &str,
) -> Registry {
    let registry = Registry::with(&TestImage::one_layer());
    let test = TestStore::open().await;
    registry.hook(move |request| request.path.contains("/manifests/").then(|| reply(request)));
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(says), "{text:?} should say {says:?}");
    assert!(text.contains("test/app:latest"), "{text:?} names the reference");
    assert_eq!(test.files("ingest"), Vec::<String>::new(), "no blob was asked for");
    registry
}

#[tokio::test]
async fn wrong_digest() {
    let other = TestImage::new(vec![Layer::of(&[("data", &noise(8, 1_000_000))], Packing::Gzip)]);
    let blob = other.layers[0].blob.clone();
    let (test, _) = check_blob(
        move |_, mut honest| {
            // As long as what is declared, so that only the digest tells.
            honest.body = blob.iter().copied().chain(std::iter::repeat(0)).take(honest.body.len()).collect();
            honest
        },
        ErrorKind::DataLoss,
        "content has digest",
    )
    .await;
    drop(test);
}

#[tokio::test]
async fn flipped_bit() {
    check_blob(
        |_, mut honest| {
            honest.body[500_000] ^= 1;
            honest
        },
        ErrorKind::DataLoss,
        "content has digest",
    )
    .await;
}

#[tokio::test]
async fn wrong_size() {
    let longer = |_: &Request, mut honest: Reply| {
        honest.body.extend_from_slice(b"more");
        honest
    };
    check_blob(longer, ErrorKind::DataLoss, "where").await;
    // Without a length, it only shows as it comes.
    let endless = |_: &Request, mut honest: Reply| {
        honest.body.extend_from_slice(&[0; 100_000]);
        honest.announced = Some(0);
        honest
    };
    check_blob(endless, ErrorKind::DataLoss, "sends more than").await;
    let shorter = |_: &Request, mut honest: Reply| {
        honest.body.truncate(1000);
        honest
    };
    check_blob(shorter, ErrorKind::DataLoss, "announces 1000 bytes").await;
}

#[tokio::test]
async fn truncated_blob() {
    // Each time a little more, then none: it ends, with what came kept for later.
    let (_, registry) = check_blob(
        |_, honest| {
            let length = honest.body.len().min(1000);
            honest.pace(Pace::Cut(length))
        },
        ErrorKind::Unavailable,
        "(3 attempts)",
    )
    .await;
    let ranges: Vec<_> =
        registry.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=1000-", "bytes=2000-", "bytes=3000-"], "the last is the pull that went well");
    // The same where the end of the connection is the only end there is.
    let quiet = |_: &Request, mut honest: Reply| {
        honest.announced = Some(0);
        honest.body.truncate(1000);
        honest
    };
    check_blob(quiet, ErrorKind::DataLoss, "ended after").await;
}

#[tokio::test]
async fn lying_range() {
    let mut first = true;
    check_blob(
        move |_, honest| {
            if std::mem::take(&mut first) {
                return honest.pace(Pace::Cut(1000));
            }
            let mut lie = honest;
            lie.headers = vec![("content-range".into(), "bytes 5-9/10".into())];
            lie
        },
        ErrorKind::DataLoss,
        "sends others",
    )
    .await;
}

#[tokio::test]
async fn slow_body() {
    for pace in [Pace::Stall(5000), Pace::Drip] {
        let slow = move |_: &Request, honest: Reply| honest.pace(pace);
        check_blob_with(impatient(), slow, ErrorKind::DeadlineExceeded, "stalled").await;
    }
    let registry = Registry::start();
    let test = TestStore::open_with(impatient()).await;
    registry.hook(|_| Some(Reply::ok("{}").pace(Pace::Stall(1))));
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{text}");
    assert!(text.contains("too slowly"), "{text}");
}

#[tokio::test]
async fn status_codes() {
    let status = |status: u16| move |_: &Request, _: Reply| Reply::status(status);
    check_blob(status(401), ErrorKind::Unauthenticated, "wants a login").await;
    check_blob(status(403), ErrorKind::PermissionDenied, "denies access").await;
    check_blob(status(404), ErrorKind::NotFound, "not found at the registry").await;
    check_blob(status(418), ErrorKind::Unavailable, "418").await;
    let (_, registry) = check_blob(status(500), ErrorKind::Unavailable, "500").await;
    assert_eq!(registry.count("/blobs/"), 2 + 3 + 1, "the configuration twice, three attempts, the good one");
    let limited = |_: &Request, _: Reply| Reply::status(429).header("retry-after", "86400");
    check_blob(limited, ErrorKind::ResourceExhausted, "rate limit").await;

    let manifest = |status: u16| move |_: &Request| Reply::status(status);
    check_manifest(manifest(401), ErrorKind::Unauthenticated, "wants a login").await;
    check_manifest(manifest(403), ErrorKind::PermissionDenied, "denies access").await;
    check_manifest(manifest(404), ErrorKind::NotFound, "not found at the registry").await;
    check_manifest(manifest(429), ErrorKind::ResourceExhausted, "rate limit").await;
    let registry = check_manifest(manifest(502), ErrorKind::Unavailable, "502").await;
    assert_eq!(registry.count("/manifests/"), 3);
    let test = TestStore::open().await;
    let (_, text) = test.fail(&Registry::start().reference(":none")).await;
    assert!(text.ends_with("not found at the registry: manifest unknown"), "{text}");
}

#[tokio::test]
async fn redirects() {
    let circle = |request: &Request| Reply::status(302).header("location", request.path.clone());
    let registry = check_manifest(circle, ErrorKind::Unavailable, "in a loop").await;
    assert_eq!(registry.count("/manifests/"), 11);
    check_manifest(|_| Reply::status(302), ErrorKind::Unavailable, "to nowhere").await;
    let to = |location: &'static str| move |_: &Request| Reply::status(307).header("location", location);
    check_manifest(to("file:///etc/passwd"), ErrorKind::Unavailable, "neither http nor https").await;
    check_manifest(to("http://u:p@127.0.0.1:1/"), ErrorKind::Unavailable, "credentials in it").await;
}

#[tokio::test]
async fn challenges_of_others_are_not_met() {
    let image = TestImage::one_layer();
    let (registry, thief) = (Registry::with(&image), Registry::start());
    let target = thief.address.clone();
    registry.hook(move |request| {
        let location = format!("http://{target}{}", request.path);
        request.path.contains("/blobs/").then(|| Reply::status(307).header("location", location))
    });
    thief.hook(|_| Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")));
    let test = TestStore::open().await;
    let secret = ross_image::Credentials::Basic { username: "me".into(), password: "secret".into() };
    let error = test.pull_as(&registry.reference(""), Some(secret)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!thief.requests().is_empty());
    for request in thief.requests().iter().chain(&registry.requests()) {
        assert!(request.header("authorization").is_none(), "nobody asked who may");
    }
    test.assert_untouched();
}

#[tokio::test]
async fn manifests_that_lie() {
    let check = |bytes: Vec<u8>, media_type: &'static str, kind, says: &'static str| async move {
        check_manifest(move |_| Reply::ok(bytes.clone()).header("content-type", media_type), kind, says)
            .await;
    };
    let image = TestImage::one_layer();
    check(b"<html>".to_vec(), "text/html", ErrorKind::DataLoss, "malformed").await;
    check(vec![b' '; 5 << 20], OCI_MANIFEST, ErrorKind::ResourceExhausted, "more than 4194304 bytes").await;
    check(image.manifest.clone(), OCI_INDEX, ErrorKind::DataLoss, "another kind").await;
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    check(b"{}".to_vec(), schema1, ErrorKind::Unimplemented, "schema 1").await;
    let artifact = String::from_utf8(image.manifest.clone()).unwrap();
    let artifact = artifact.replace("vnd.oci.image.config.v1", "vnd.cncf.helm.config.v1");
    check(artifact.into_bytes(), OCI_MANIFEST, ErrorKind::Unimplemented, "artifact").await;
    let endless = |_: &Request| Reply { announced: Some(0), ..Reply::ok(vec![b' '; 5 << 20]) };
    check_manifest(endless, ErrorKind::ResourceExhausted, "more than 4194304 bytes").await;
    let announced = |_: &Request| Reply::ok("{}").header("docker-content-digest", sha256(b"x").to_string());
    check_manifest(announced, ErrorKind::DataLoss, "announced digest").await;
}

#[tokio::test]
async fn a_digest_reference_is_taken_at_its_word() {
    let (image, other) = (TestImage::plain(), TestImage::one_layer());
    let registry = Registry::with(&image);
    registry.add("other", &other);
    let test = TestStore::open().await;
    let bytes = other.manifest.clone();
    registry.hook(move |request| {
        request
            .path
            .contains("/manifests/")
            .then(|| Reply::ok(bytes.clone()).header("content-type", OCI_MANIFEST))
    });
    let (error, text) = test.fail(&registry.reference(&format!("@{}", image.digest()))).await;
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(text.contains(&format!("sent content with digest {}", other.digest())), "{text}");
}

#[tokio::test]
async fn configurations_that_lie() {
    let check = |config: Vec<u8>, kind: ErrorKind, says: &'static str| async move {
        let layers = vec![Layer::of(&[("data", b"x")], Packing::Gzip)];
        let registry = Registry::start();
        registry.add_blob(&layers[0].blob);
        registry.add_blob(&config);
        registry.add_manifest("latest", OCI_MANIFEST, &manifest_of(&config, &layers, OCI_MANIFEST));
        let test = TestStore::open().await;
        let (error, text) = test.fail(&registry.reference("")).await;
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{text:?} should say {says:?}");
    };
    check(b"nonsense".to_vec(), ErrorKind::DataLoss, "malformed").await;
    check(b"{}".to_vec(), ErrorKind::DataLoss, "0 diff ids where the manifest has 1 layers").await;
    check("[".repeat(100_000).into_bytes(), ErrorKind::DataLoss, "malformed").await;
    check(vec![b' '; 9 << 20], ErrorKind::ResourceExhausted, "larger than").await;
    let wrong = format!(r#"{{"rootfs":{{"diff_ids":["{}"]}}}}"#, sha256(b"other"));
    check(wrong.into_bytes(), ErrorKind::DataLoss, "content has diff id").await;
    let many = vec![format!("\"{}\"", sha256(b"x")); 501].join(",");
    let many = format!(r#"{{"rootfs":{{"diff_ids":[{many}]}}}}"#);
    check(many.into_bytes(), ErrorKind::ResourceExhausted, "501 layers").await;

    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    registry.add_blob_as(&image.id().to_string(), &vec![b' '; image.config.len()]);
    let test = TestStore::open().await;
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(text.contains(&format!("blob {}: content has digest", image.id())), "{text}");
}

#[tokio::test]
async fn indexes_without_end() {
    let registry = Registry::start();
    let mut below = TestImage::one_layer().manifest;
    let mut media_type = OCI_MANIFEST;
    registry.add("image", &TestImage::one_layer());
    for depth in 0..8 {
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": media_type, "digest": sha256(&below).to_string(), "size": below.len()}]});
        below = index.to_string().into_bytes();
        media_type = OCI_INDEX;
        registry.add_manifest(&format!("depth{depth}"), OCI_INDEX, &below);
    }
    let test = TestStore::open().await;
    let (_, text) = test.fail(&registry.reference(":depth7")).await;
    assert!(text.contains("more than 4 indexes within each other"), "{text}");
    test.pull(&registry.reference(":depth3")).await.unwrap();
}

#[tokio::test]
async fn hostile_and_broken_layers() {
    let check = |layer: Layer, kind: ErrorKind, says: &'static str| async move {
        let image = TestImage::new(vec![Layer::of(&[("good", &noise(1, 100_000))], Packing::Gzip), layer]);
        let registry = Registry::with(&image);
        let test = TestStore::open().await;
        let (error, text) = test.fail(&registry.reference("")).await;
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{text:?} should say {says:?}");
        assert!(text.contains(&image.layers[1].digest().to_string()), "{text}");
    };
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..9].copy_from_slice(b"../escape");
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    check(
        Layer::of_tar(builder.into_inner().unwrap(), Packing::Gzip),
        ErrorKind::InvalidArgument,
        "../escape",
    )
    .await;

    let whole = tar_of(&[("data", &noise(2, 100_000))]);
    let mut cut = Layer::of_tar(whole.clone(), Packing::Gzip);
    cut.blob.truncate(cut.blob.len() / 2);
    check(cut, ErrorKind::DataLoss, "cannot read its content").await;
    check(Layer::of_tar(whole[..50_000].to_vec(), Packing::Zstd), ErrorKind::DataLoss, "middle of an entry")
        .await;
    check(
        Layer::of_tar(b"this is no tar archive".repeat(100), Packing::Plain),
        ErrorKind::DataLoss,
        "archive",
    )
    .await;
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let test = TestStore::open_with(impatient()).await;
    // Accepts (in the kernel's queue) and never answers.
    let (error, text) = test.fail(&format!("{address}/test/app")).await;
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{text}");
    assert!(text.contains("does not answer in time"), "{text}");
    drop(listener);
    let (error, text) = test.fail(&format!("{address}/test/app")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
    assert!(text.contains("cannot connect"), "{text}");
}

#[tokio::test]
async fn a_failed_pull_keeps_what_it_downloaded() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let last = image.layers[2].digest().to_string();
    registry.hook(move |request| request.path.contains(&last).then(|| Reply::status(404)));
    test.fail(&registry.reference("")).await;
    registry.unhook();
    let before = registry.count("/blobs/");
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "etc/layer0"), noise(1, 300_000));
    assert!(registry.count("/blobs/") <= before + 4);
    assert_eq!(test.files("ingest"), Vec::<String>::new());
}
