//! Pushes to registries that fail, lie or lead away: what can be mended is, all else is a clear error that names the
//! object, and nobody else sees the credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ross_image::{Credentials, RegistryConfig};
use ross_types::ErrorKind;

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, patient, text_of};
use crate::push::{assert_there, pulled, push, push_as};
use crate::registry::{Registry, Reply, Request};
use crate::taker::Taker;

fn is_blob(request: &Request, method: &str) -> bool {
    request.method == method && request.path.contains("/uploads/")
}

/// Pushes to a registry that answers as `odd` says, and expects an error of this kind that says this.
async fn check_with(
    credentials: Option<Credentials>,
    odd: impl FnMut(&Taker, &Request) -> Option<Reply> + Send + 'static,
    kind: ErrorKind,
    says: &[&str],
) -> Taker {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("team/app:1"), patient()).await;
    let before = test.files("");
    taker.hook(odd);
    let error = push_as(&test, &taker.reference("team/app:1"), credentials).await.0.unwrap_err();
    let text = text_of(&error);
    assert_eq!(error.kind(), kind, "{text}");
    for part in says {
        assert!(text.contains(part), "{text:?} should say {part:?}");
    }
    assert!(text.contains("team/app:1"), "{text:?} names the reference");
    assert!(taker.manifest("team/app", "1").is_none(), "the tag is not there: {text}");
    assert_eq!(test.files(""), before, "nothing here changes");
    // Once the registry has come to its senses, all is well.
    taker.behave();
    push(&test, &taker.reference("team/app:1")).await.unwrap();
    assert_there(&taker, "team/app", "1", &image);
    taker
}

async fn check(
    odd: impl FnMut(&Taker, &Request) -> Option<Reply> + Send + 'static,
    kind: ErrorKind,
    says: &[&str],
) -> Taker {
    check_with(None, odd, kind, says).await
}

#[tokio::test]
async fn cut_uploads_go_on_where_they_were() {
    let image = TestImage::new(vec![Layer::of(&[("data", &noise(5, 3_000_000))], Packing::Gzip)]);
    let size = image.layers[0].blob.len();
    let check = async |chunk: u64, cuts: usize| {
        let taker = Taker::start();
        let config = RegistryConfig { upload_chunk: chunk, ..patient() };
        let (test, _source, _) = pulled(&image, &taker.reference("app:1"), config).await;
        let left = Arc::new(AtomicUsize::new(cuts));
        taker.registry.cut(move |request| {
            let body: usize = request.header("content-length")?.parse().ok()?;
            let one_less = |left: usize| left.checked_sub(1);
            let cuts = matches!(request.method.as_str(), "PUT" | "PATCH") && body > 400_000;
            (cuts && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok())
                .then_some(400_000)
        });
        push(&test, &taker.reference("app:1")).await.unwrap();
        assert_there(&taker, "app", "1", &image);
        let sent: usize = taker.bodies("PUT").iter().chain(&taker.bodies("PATCH")).sum();
        assert_eq!(sent, size + image.config.len(), "no byte twice: {chunk} {cuts}");
        assert_eq!(taker.uploads(), (2, 0));
    };
    check(64 << 20, 1).await;
    check(64 << 20, 2).await;
    check(1_000_000, 2).await;
}

#[tokio::test]
async fn a_registry_that_forgets_uploads_is_begun_anew() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let failed = Arc::new(AtomicUsize::new(0));
    taker.hook(move |_, request| {
        let whole = is_blob(request, "PUT") && request.body.len() > 10_000;
        if whole && failed.fetch_add(1, Ordering::Relaxed) == 0 {
            return Some(Reply::status(502));
        }
        is_blob(request, "GET").then(|| Reply::status(404))
    });
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);

    // One that does so each time is given up.
    let taker = check(
        |_, request| (is_blob(request, "PUT") || is_blob(request, "GET")).then(|| Reply::status(404)),
        ErrorKind::NotFound,
        &["blob sha256:", "not found at the registry"],
    )
    .await;
    assert!(taker.uploads().0 < 30, "{:?}", taker.uploads());
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_a_blob_that_is_lost() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let lost = Arc::new(AtomicUsize::new(0));
    taker.hook(move |taker, request| {
        let first = is_blob(request, "PUT")
            && request.body.len() > 10_000
            && lost.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| {
            assert_eq!(taker.answer(request).status, 201);
            Reply::status(504)
        })
    });
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
    assert_eq!(taker.uploads().0, 2, "it is not sent again");
}

#[tokio::test]
async fn failures_that_pass_and_that_do_not() {
    let image = TestImage::one_layer();
    for method in ["HEAD", "POST", "PUT"] {
        let taker = Taker::start();
        let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
        let mut seen = std::collections::HashMap::new();
        taker.hook(move |_, request| {
            let times = seen
                .entry((request.path.split('?').next().unwrap().to_owned(), request.method.clone()))
                .or_insert(0);
            *times += 1;
            (request.method == method && *times < 3).then(|| Reply::status(503).header("retry-after", "0"))
        });
        push(&test, &taker.reference("app:1")).await.unwrap();
        assert_there(&taker, "app", "1", &image);
    }
    let fails = |method: &'static str, status: u16| {
        move |_: &Taker, request: &Request| (request.method == method).then(|| Reply::status(status))
    };
    for method in ["HEAD", "POST", "PUT"] {
        check(fails(method, 500), ErrorKind::Unavailable, &["the registry fails: 500", "3 attempts"]).await;
    }
    check(fails("POST", 429), ErrorKind::ResourceExhausted, &["rate limit"]).await;
    check(
        |_, request| {
            let body = br#"{"errors":[{"code":"MANIFEST_INVALID","message":"no such thing"}]}"#.to_vec();
            request.path.contains("/manifests/").then(|| Reply { body, ..Reply::status(400) })
        },
        ErrorKind::Unavailable,
        &["manifest 1 of ", "400", "no such thing"],
    )
    .await;
}

#[tokio::test]
async fn who_may_not_push_is_told_to_log_in() {
    let refuses = |status: u16| {
        move |_: &Taker, request: &Request| (request.method == "POST").then(|| Reply::status(status))
    };
    check(refuses(401), ErrorKind::Unauthenticated, &["wants a login", "ross login 127.0.0.1:"]).await;
    check(refuses(403), ErrorKind::PermissionDenied, &["denies access", "ross login 127.0.0.1:"]).await;
    let user = Credentials::Basic { username: "me".into(), password: "wrong".into() };
    check_with(Some(user), refuses(401), ErrorKind::Unauthenticated, &["refuses these credentials"]).await;
}

#[tokio::test]
async fn nonsense() {
    let page = |request: &Request, method: &str| {
        (request.method == method)
            .then(|| Reply::ok("<html>welcome</html>").header("content-type", "text/html"))
    };
    check(move |_, request| page(request, "POST"), ErrorKind::Unavailable, &["unexpected answer", "200"])
        .await;
    check(move |_, request| page(request, "PUT"), ErrorKind::Unavailable, &["unexpected answer", "200"])
        .await;
    check(
        |_, request| is_blob(request, "POST").then(|| Reply::status(202)),
        ErrorKind::Unavailable,
        &["does not say where"],
    )
    .await;
    let other = format!("sha256:{}", "ab".repeat(32));
    let stored = other.clone();
    check(
        move |taker, request| {
            let put = is_blob(request, "PUT").then(|| taker.answer(request))?;
            Some(Reply { headers: Vec::new(), ..put }.header("docker-content-digest", stored.clone()))
        },
        ErrorKind::DataLoss,
        &["blob sha256:", "the registry stored it as sha256:abab"],
    )
    .await;
    check(
        move |_, request| {
            let manifest = request.method == "PUT" && request.path.contains("/manifests/");
            manifest.then(|| Reply::status(201).header("docker-content-digest", other.clone()))
        },
        ErrorKind::DataLoss,
        &["manifest 1 of ", "the registry stored it as sha256:abab"],
    )
    .await;
    // It takes chunks, and never has more of them.
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let config = RegistryConfig { upload_chunk: 300_000, ..patient() };
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), config).await;
    taker.hook(|_, request| {
        let location = request.path.clone();
        let stuck = is_blob(request, "PATCH") || is_blob(request, "GET");
        stuck.then(|| Reply::status(202).header("location", location).header("range", "0-0"))
    });
    let error = push(&test, &taker.reference("app:1")).await.unwrap_err();
    assert!(
        text_of(&error).contains("says to have 0 bytes of it where 300000 were sent"),
        "{}",
        text_of(&error)
    );
    assert!(taker.bodies("PATCH").len() < 20);
}

#[tokio::test]
async fn a_head_that_lies_is_not_believed() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let other = format!("sha256:{}", "ab".repeat(32));
    let odd = Arc::new(AtomicUsize::new(0));
    taker.hook(move |_, request| {
        (request.method == "HEAD").then(|| match odd.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Reply::ok("not as long"),
            _ => Reply { announced: Some(0), ..Reply::ok("") }.header("docker-content-digest", other.clone()),
        })
    });
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
}

#[tokio::test]
async fn credentials_stay_with_the_registry() {
    let image = TestImage::one_layer();
    let user = || Some(Credentials::Basic { username: "me".into(), password: "secret".into() });
    let guarded = |taker: &Taker, request: &Request| {
        let known = request.header("authorization").is_some();
        (!known)
            .then(|| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""))
            .or_else(|| Some(taker.answer(request)))
    };
    // The registry has uploads sent to another server, which forwards to it.
    let taker = Taker::start();
    let forward = taker.clone();
    let elsewhere = Registry::start();
    elsewhere.hook(move |request| {
        if request.header("authorization").is_some() {
            return Some(Reply::status(500));
        }
        Some(forward.answer(request))
    });
    taker.hook(guarded);
    taker.uploads_at(&format!("http://{}", elsewhere.address));
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    push_as(&test, &taker.reference("app:1"), user()).await.0.unwrap();
    assert_there(&taker, "app", "1", &image);
    assert_eq!(elsewhere.requests().len(), 2, "layer and configuration");
    assert!(elsewhere.requests().iter().all(|request| request.header("authorization").is_none()));

    // It answers with a redirect that keeps the method.
    for status in [307, 308] {
        let taker = Taker::start();
        let forward = taker.clone();
        let elsewhere = Registry::start();
        elsewhere.hook(move |request| Some(forward.answer(request)));
        let target = format!("http://{}", elsewhere.address);
        taker.hook(move |taker, request| {
            let put = is_blob(request, "PUT") && request.header("authorization").is_some();
            let away =
                put.then(|| Reply::status(status).header("location", format!("{target}{}", request.path)));
            away.or_else(|| guarded(taker, request))
        });
        let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
        push_as(&test, &taker.reference("app:1"), user()).await.0.unwrap();
        assert_there(&taker, "app", "1", &image);
        let bodies: Vec<usize> = elsewhere.requests().iter().map(|request| request.body.len()).collect();
        assert!(bodies.contains(&image.layers[0].blob.len()), "{bodies:?}");
        assert!(elsewhere.requests().iter().all(|request| request.header("authorization").is_none()));
    }

    // A challenge of the other server is not met.
    let greedy = Registry::start();
    greedy.hook(|_| Some(Reply::status(401).header("www-authenticate", "Basic realm=\"give\"")));
    let taker = Taker::start();
    taker.uploads_at(&format!("http://{}", greedy.address));
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let error = push_as(&test, &taker.reference("app:1"), user()).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", text_of(&error));
    assert!(greedy.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn uploads_are_not_sent_anywhere() {
    for (location, says) in [
        ("file:///etc/passwd", "neither http nor https"),
        ("ftp://127.0.0.1/x", "neither http nor https"),
        ("http://me:secret@127.0.0.1/x", "with credentials in it"),
        ("http://[", "does not say where"),
    ] {
        let odd = move |_: &Taker, request: &Request| {
            is_blob(request, "POST").then(|| Reply::status(202).header("location", location))
        };
        check(odd, ErrorKind::Unavailable, &["blob sha256:", says]).await;
    }
}

#[tokio::test]
async fn what_is_wrong_here_is_said_so() {
    let image = TestImage::one_layer();
    let taker = Taker::start();
    let name = taker.reference("app:1");
    let (test, source, pulled) = pulled(&image, &name, patient()).await;
    let fail = async |reference: &str, kind: ErrorKind, says: &str| {
        let error = push(&test, reference).await.unwrap_err();
        let text = text_of(&error);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{text:?} should say {says:?}");
    };
    let none = taker.reference("none:1");
    fail(&none, ErrorKind::NotFound, &format!("push {none}: no such image: {none}")).await;
    let pinned = taker.reference(&format!("app@{}", image.digest()));
    fail(&pinned, ErrorKind::InvalidArgument, "give a name with a tag").await;
    assert!(taker.registry.requests().is_empty(), "nobody is asked");

    // A blob that was damaged on the disk is found to be the cause.
    let path = test.dir.path().join("blobs/sha256").join(image.layers[0].digest().hex());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    fail(&name, ErrorKind::DataLoss, "content has digest").await;
    // One that is gone, and that nobody has any more.
    std::fs::remove_file(&path).unwrap();
    source.hook(|_| Some(Reply::status(404)));
    fail(&name, ErrorKind::FailedPrecondition, "its blob is not kept here").await;
    // The registry it is pushed to may have it all the same.
    taker.registry.unhook();
    taker.add("app", "old", &image);
    taker.behave();
    push(&test, &name).await.unwrap();
    drop(pulled);
}

#[tokio::test]
async fn an_abandoned_push_ends() {
    let image = TestImage::plain();
    let taker = Taker::start();
    let (test, _source, _) = pulled(&image, &taker.reference("app:1"), patient()).await;
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    taker.hook(move |taker, request| {
        *count.lock().unwrap() += 1;
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        Some(taker.answer(request))
    });
    let abandoned =
        tokio::time::timeout(std::time::Duration::from_millis(50), push(&test, &taker.reference("app:1")))
            .await;
    assert!(abandoned.is_err());
    tokio::time::timeout(std::time::Duration::from_secs(60), test.store.idle()).await.unwrap();
    let after = *seen.lock().unwrap();
    assert!(taker.manifest("app", "1").is_none());
    let test: TestStore = test.reopen().await;
    taker.behave();
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
    assert!(after < 20, "{after}");
}
