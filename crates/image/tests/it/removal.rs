//! Removing images, by Docker's rules.

use ross_image::{Error, ImageUse, Removed};
use ross_types::{Digest, ErrorKind};

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise};
use crate::registry::Registry;

fn nobody(_: &Digest) -> Option<ImageUse> {
    None
}

fn somebody(running: bool) -> impl Fn(&Digest) -> Option<ImageUse> {
    move |_| Some(ImageUse { container: "web".into(), running })
}

fn refusal(result: Result<Vec<Removed>, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
    error.to_string()
}

#[tokio::test]
async fn the_last_name_takes_the_image_along() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let reference = registry.reference(":latest");
    let pulled = test.pull(&reference).await.unwrap();
    test.store.tag(&pulled.image, &"mine".parse().unwrap()).unwrap();
    assert_eq!(
        test.store.remove("mine", false, &nobody).unwrap(),
        [Removed::Untagged("mine:latest".into())],
        "not the last"
    );
    let by_digest = registry.reference(&format!("@{}", image.digest()));
    assert_eq!(
        test.store.remove(&reference, false, &nobody).unwrap(),
        [Removed::Untagged(reference.clone()), Removed::Untagged(by_digest), Removed::Deleted(image.id())]
    );
    test.assert_untouched();
    assert_eq!(test.files("ingest"), Vec::<String>::new(), "what a user removes is not kept for later");
    let error = test.store.remove(&reference, false, &nobody).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn by_id() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    let id = image.id().hex()[..12].to_owned();
    test.store.tag(&pulled.image, &"mine".parse().unwrap()).unwrap();
    let text = refusal(test.store.remove(&id, false, &nobody));
    assert!(text.contains("several names") && text.contains("mine:latest"), "{text}");
    let removed = test.store.remove(&id, true, &nobody).unwrap();
    assert_eq!(removed.len(), 4);
    test.assert_untouched();

    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(
        test.store.remove(&id, false, &nobody).unwrap().len(),
        3,
        "one repository, one tag: no force needed"
    );
    test.assert_untouched();
}

#[tokio::test]
async fn containers_keep_an_image() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    let (name, id) = (registry.reference(""), image.id().to_string());
    for named in [&name, &id] {
        for running in [false, true] {
            let text = refusal(test.store.remove(named, false, &somebody(running)));
            assert!(text.contains("container web") && text.contains(named.as_str()), "{text}");
        }
    }
    let text = refusal(test.store.remove(&id, true, &somebody(true)));
    assert!(text.contains("stop the container"), "{text}");
    assert_eq!(
        test.store.remove(&name, true, &somebody(true)).unwrap().len(),
        2,
        "by name only the names go"
    );
    let kept = test.store.resolve(&id).unwrap();
    assert!(kept.record.references.is_empty());
    assert_eq!(test.read(&pulled.image, 0, "etc/layer0").len(), 300_000);
    assert_eq!(test.store.remove(&id, true, &somebody(false)).unwrap(), []);
    assert_eq!(test.store.remove(&id, false, &nobody).unwrap(), [Removed::Deleted(image.id())]);
    test.assert_untouched();
}

#[tokio::test]
async fn what_is_shared_stays() {
    let shared = || Layer::of(&[("shared", &noise(1, 10_000))], Packing::Gzip);
    let own = |seed| Layer::of(&[("own", &noise(seed, 10_000))], Packing::Gzip);
    let (first, second) = (TestImage::new(vec![shared(), own(2)]), TestImage::new(vec![shared(), own(3)]));
    let registry = Registry::start();
    registry.add("one", &first);
    registry.add("two", &second);
    let test = TestStore::open().await;
    test.pull(&registry.reference(":one")).await.unwrap();
    let kept = test.pull(&registry.reference(":two")).await.unwrap().image;
    assert_eq!(registry.count(&shared().digest().to_string()), 1);
    test.store.remove(&registry.reference(":one"), false, &nobody).unwrap();
    assert_eq!(test.read(&kept, 0, "shared"), noise(1, 10_000));
    assert_eq!(test.read(&kept, 1, "own"), noise(3, 10_000));
    assert_eq!(test.files("blobs").len(), 4);
    test.store.remove(&registry.reference(":two"), false, &nobody).unwrap();
    test.assert_untouched();
}

#[tokio::test]
async fn a_held_image_stays() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    let hold = test.store.hold(&pulled.image.record.id).unwrap();
    for named in [registry.reference(""), image.id().to_string()] {
        let text = refusal(test.store.remove(&named, false, &nobody));
        assert!(text.contains("being made"), "{text}");
    }
    drop(hold);
    test.store.remove(&registry.reference(""), false, &nobody).unwrap();
    assert!(test.store.hold(&pulled.image.record.id).is_err());
    assert!(test.store.tag(&pulled.image, &"x:y".parse().unwrap()).is_err());
}

#[tokio::test]
async fn what_no_record_names_goes_when_the_store_opens() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    // As after a crash between the last layer and the record.
    ross_image::ImageRecords::remove_image(&*test.records, &image.id()).unwrap();
    let test = test.reopen().await;
    test.assert_untouched();
    assert_eq!(test.files("ingest").len(), 3, "the layers' blobs wait to be resumed");
    let before = registry.count("/blobs/");
    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(registry.count("/blobs/"), before + 1, "only the configuration is fetched again");
}

#[tokio::test]
async fn a_damaged_image_is_listed_and_removed() {
    let image = TestImage::one_layer();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    std::fs::write(test.dir.path().join("blobs/sha256").join(image.id().hex()), b"damaged").unwrap();
    let listed = test.store.list().unwrap();
    assert!(
        listed[0].damaged.as_deref().is_some_and(|text| text.contains("content has digest")),
        "{listed:?}"
    );
    assert_eq!(test.store.resolve(&registry.reference("")).unwrap_err().kind(), ErrorKind::DataLoss);
    test.store.remove(&registry.reference(""), false, &nobody).unwrap();
    test.assert_untouched();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pulls_and_removals_at_once() {
    let shared = || Layer::of(&[("shared", &noise(1, 200_000))], Packing::Gzip);
    let image =
        |seed| TestImage::new(vec![shared(), Layer::of(&[("own", &noise(seed, 200_000))], Packing::Gzip)]);
    let registry = Registry::start();
    registry.add("one", &image(2));
    registry.add("two", &image(3));
    let test = std::sync::Arc::new(TestStore::open().await);
    let (one, two) = (registry.reference(":one"), registry.reference(":two"));
    let remove = |name: &str| {
        let (test, name) = (test.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || match test.store.remove(&name, false, &nobody) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            Ok(removed) => assert!(!removed.is_empty()),
        })
    };
    for _ in 0..20 {
        let (first, second, third) = tokio::join!(test.pull(&one), test.pull(&two), remove(&one));
        third.unwrap();
        first.unwrap();
        let kept = second.unwrap();
        assert_eq!(test.read(&kept.image, 0, "shared"), noise(1, 200_000), "whatever is removed meanwhile");
        assert_eq!(test.read(&kept.image, 1, "own"), noise(3, 200_000));
        let (abandoned, removed) = tokio::join!(
            tokio::time::timeout(std::time::Duration::from_millis(3), test.pull(&one)),
            remove(&two)
        );
        removed.unwrap();
        drop(abandoned);
    }
    // A pull that was abandoned while it was being recorded goes on to its end, and its image is there.
    test.store.idle().await;
    for name in [&one, &two] {
        remove(name).await.unwrap();
    }
    test.store.idle().await;
    test.assert_untouched();
}
