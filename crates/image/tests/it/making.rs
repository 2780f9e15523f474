//! Images that are made here, what they take, and pruning them.

use ross_image::{
    ContainerDefaults, Error, Image, ImageRecords as _, ImageUse, NewImage, Removed, StagedLayer,
};
use ross_types::{Digest, ErrorKind, Platform};

use crate::fixture::{Layer, OCI_MANIFEST, Packing, TestImage, TestStore, noise, sha256, tar_of, text_of};
use crate::registry::Registry;

fn new_image(base: Option<Image>, layer: Option<StagedLayer>, reference: Option<&str>) -> NewImage {
    NewImage {
        base,
        layer,
        config: ContainerDefaults { cmd: vec!["new".into()], ..ContainerDefaults::default() },
        created: "2026-03-04T05:06:07Z".into(),
        author: "me".into(),
        comment: "why".into(),
        created_by: "sh".into(),
        platform: Platform::host(),
        reference: reference.map(|reference| reference.parse().unwrap()),
    }
}

async fn imported(test: &TestStore, tar: Vec<u8>, reference: &str) -> Image {
    let layer = test.store.stage_archive(std::io::Cursor::new(tar)).await.unwrap();
    test.store.commit(new_image(None, Some(layer), Some(reference))).await.unwrap()
}

fn nobody(_: &Digest) -> Option<ImageUse> {
    None
}

fn all(_: &Image) -> bool {
    true
}

/// Over a pulled image, with every packing of its layers: the record, the manifest and the files say the same, also
/// after a restart.
#[tokio::test]
async fn a_layer_on_top() {
    let layers = [Packing::Plain, Packing::Gzip, Packing::Zstd]
        .map(|packing| Layer::of(&[("etc/below", &noise(packing as u64, 100_000))], packing));
    let image = TestImage::with(layers.into(), crate::fixture::DOCKER_MANIFEST, "linux", "amd64");
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let base = test.pull(&registry.reference("")).await.unwrap().image;
    let tar = tar_of(&[("etc/new", b"content")]);
    let write = |out: &mut dyn std::io::Write| {
        out.write_all(&tar).unwrap();
        Ok(())
    };
    let (layer, ()) = test.store.stage_layer(write).unwrap();
    assert_eq!(layer.diff_id().0, sha256(&tar));
    let made = test.store.commit(new_image(Some(base.clone()), Some(layer), Some("made:1"))).await.unwrap();
    assert_eq!(test.files("ingest"), Vec::<String>::new(), "nothing is left in staging");
    let test = test.reopen().await;
    let found = test.store.resolve("made:1").unwrap();
    assert_eq!((&found.record.id, &found.raw_config), (&made.record.id, &made.raw_config));
    assert_eq!(found.record.layers[..3], base.record.layers[..], "what was there is shared");
    assert_eq!(test.read(&found, 3, "etc/new"), b"content");
    assert_eq!((found.config.config.cmd, found.config.author.as_str()), (vec!["new".into()], "me"));
    let manifest = test.dir.path().join("blobs/sha256").join(found.record.manifest.hex());
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["mediaType"], OCI_MANIFEST);
    for (layer, record) in manifest["layers"].as_array().unwrap().iter().zip(&found.record.layers) {
        assert_eq!(layer["digest"], record.blob.to_string());
        assert!(layer["mediaType"].as_str().unwrap().starts_with("application/vnd.oci.image.layer.v1.tar"));
        let blob = test.dir.path().join("blobs/sha256").join(record.blob.hex());
        assert_eq!(layer["size"], std::fs::metadata(blob).unwrap().len());
    }
    // Without a layer of its own it has those below, and says so.
    let empty = test.store.commit(new_image(Some(base.clone()), None, None)).await.unwrap();
    assert_eq!(empty.record.layers, base.record.layers);
    assert!(empty.config.history.last().unwrap().empty_layer && empty.record.references.is_empty());
}

#[tokio::test]
async fn what_fails_leaves_nothing() {
    let test = TestStore::open().await;
    let staged = test.store.stage_layer(|out| {
        out.write_all(&noise(1, 1_000_000)).unwrap();
        Err::<(), _>(Error::NotFound("the files".into()))
    });
    assert_eq!(staged.unwrap_err().kind(), ErrorKind::NotFound);
    for (bytes, kind) in [
        (Vec::new(), ErrorKind::DataLoss),
        (Packing::Gzip.pack(&tar_of(&[("a", &noise(2, 100_000))]))[..50_000].to_vec(), ErrorKind::DataLoss),
    ] {
        let error = test.store.stage_archive(std::io::Cursor::new(bytes)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", text_of(&error));
    }
    test.assert_untouched();
    // Staged and never used.
    drop(test.store.stage_archive(std::io::Cursor::new(tar_of(&[("a", b"a")]))).await.unwrap());
    // Refused only when it is unpacked, or when the name is.
    for (tar, reference) in [
        (noise(3, 100_000), "a:1".to_owned()),
        (tar_of(&[("a", b"a")]), format!("a@sha256:{}", "ab".repeat(32))),
    ] {
        let layer = test.store.stage_archive(std::io::Cursor::new(tar)).await.unwrap();
        test.store.commit(new_image(None, Some(layer), Some(&reference))).await.unwrap_err();
    }
    test.store.idle().await;
    test.assert_untouched();
    assert_eq!(test.files("ingest"), Vec::<String>::new(), "nothing is kept for another attempt");
}

/// Overlay has an end, and what nobody could run is not made.
#[tokio::test]
async fn a_layer_too_many() {
    let image = TestImage::new((0..499).map(|_| Layer::of(&[("a", b"a")], Packing::Plain)).collect());
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let base = test.pull(&registry.reference("")).await.unwrap().image;
    let blobs = test.files("blobs");
    let layer = test.store.stage_archive(std::io::Cursor::new(tar_of(&[("b", b"b")]))).await.unwrap();
    let error =
        test.store.commit(new_image(Some(base.clone()), Some(layer), Some("deep:1"))).await.unwrap_err();
    assert!(text_of(&error).contains("500 layers"), "{}", text_of(&error));
    assert_eq!((test.files("blobs"), test.files("ingest")), (blobs, Vec::new()));
    test.store.commit(new_image(Some(base), None, Some("deep:1"))).await.unwrap();
}

/// Whoever stops waiting leaves a whole image or none.
#[tokio::test]
async fn an_abandoned_commit() {
    let test = TestStore::open().await;
    for millis in [0, 1, 2, 5, 10, 20, 50] {
        let layer =
            test.store.stage_archive(std::io::Cursor::new(tar_of(&[("a", &noise(millis, 500_000))]))).await;
        let commit = test.store.commit(new_image(None, Some(layer.unwrap()), Some("a:1")));
        let _ = tokio::time::timeout(std::time::Duration::from_millis(millis), commit).await;
        // It goes on for a moment, perhaps before it has taken its lease.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            test.store.idle().await;
            for image in test.store.list().unwrap() {
                assert!(image.damaged.is_none());
                assert_eq!(test.read(&image, 0, "a").len(), 500_000);
            }
            test.store.prune(&all, &nobody).unwrap();
            if test.files("blobs").is_empty() && test.files("layers").is_empty() {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "it leaves something");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn pruning() {
    let test = TestStore::open().await;
    let (first, second) = (noise(1, 300_000), noise(2, 200_000));
    let old = imported(&test, tar_of(&[("f", &first)]), "name:1").await;
    let new = imported(&test, tar_of(&[("f", &second)]), "name:1").await;
    let child = test.store.commit(new_image(Some(new.clone()), None, Some("child:1"))).await.unwrap();
    let usage = test.store.disk_use().unwrap();
    let one = |image: &Image| usage.images.iter().find(|one| one.record.id == image.record.id).unwrap();
    assert_eq!(one(&old).shared, 0);
    assert!(one(&old).bytes > 600_000, "files and blob of noise: {}", one(&old).bytes);
    assert_eq!(one(&new).shared, one(&child).shared);
    assert!(one(&new).shared > 400_000 && usage.bytes() < one(&old).bytes + one(&new).bytes + 10_000);
    assert_eq!(usage.reclaimable(&|_| true), 0);
    assert_eq!(usage.reclaimable(&|_| false), usage.bytes());
    assert_eq!(test.store.layer_sizes(&old), [300_000]);

    let dangling = |image: &Image| image.record.references.is_empty();
    let used = |_: &Digest| Some(ImageUse { container: "web".into(), running: false });
    let pruned = test.store.prune(&dangling, &used).unwrap();
    assert!(pruned.removed.is_empty() && pruned.bytes == 0 && pruned.failed.is_empty(), "{pruned:?}");
    let held = test.store.hold(&old.record.id).unwrap();
    assert_eq!(test.store.prune(&dangling, &nobody).unwrap().removed, [], "a container is being made of it");
    drop(held);
    test.store.idle().await;
    let pruned = test.store.prune(&dangling, &nobody).unwrap();
    assert_eq!(pruned.removed, [Removed::Deleted(old.record.id.clone())]);
    assert!(pruned.bytes > 600_000, "{} bytes", pruned.bytes);
    assert_eq!(test.read(&child, 0, "f"), second, "what is shared stays");
    // One that cannot go is told, and keeps nobody else here.
    *test.records.stuck.lock().unwrap() = Some(new.record.id.clone());
    let pruned = test.store.prune(&all, &nobody).unwrap();
    let (what, error) = &pruned.failed[0];
    assert_eq!((pruned.failed.len(), what), (1, &format!("image {}", new.record.id)), "{pruned:?}");
    assert!(error.to_string().contains("remove an image"), "{error}");
    let child = Removed::Deleted(child.record.id.clone());
    assert_eq!(pruned.removed, [Removed::Untagged("child:1".into()), child]);
    assert_eq!(test.read(&new, 0, "f"), second);
    *test.records.stuck.lock().unwrap() = None;
    let pruned = test.store.prune(&all, &nobody).unwrap();
    assert_eq!(pruned.removed.len(), 2, "{:?}", pruned.removed);
    assert!(pruned.bytes > 400_000, "{} bytes", pruned.bytes);
    test.assert_untouched();
    assert!(test.records.images().unwrap().is_empty());
}

/// What an interrupted pull leaves counts, and goes; what one that runs has is its own.
#[tokio::test]
async fn beginnings_are_pruned() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open_with(crate::fixture::impatient()).await;
    let cut = image.layers[2].digest().to_string();
    registry.cut(move |request| request.path.contains(&cut).then_some(150_000));
    test.pull(&registry.reference("")).await.unwrap_err();
    let begun: u64 = test
        .files("ingest")
        .iter()
        .map(|name| std::fs::metadata(test.dir.path().join("ingest").join(name)).unwrap().len())
        .sum();
    assert!(begun > 100_000, "{begun} bytes are begun");
    let usage = test.store.disk_use().unwrap();
    assert_eq!((usage.begun, usage.bytes(), usage.reclaimable(&|_| true)), (begun, begun, begun));
    let pruned = test.store.prune_beginnings().unwrap();
    assert_eq!((pruned.bytes, pruned.removed.len()), (begun, 0), "{pruned:?}");
    assert_eq!(test.files("ingest"), Vec::<String>::new());

    // At the moment at which a layer is asked for, others of the same pull may have begun.
    registry.unhook();
    let test = std::sync::Arc::new(TestStore::open().await);
    let pruning = test.clone();
    registry.hook(move |request| {
        if request.path.contains("/blobs/") {
            pruning.store.prune_beginnings().unwrap();
        }
        None
    });
    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.store.list().unwrap().len(), 1);
}

/// Commits, prunes and removals at once: what is listed is whole.
#[tokio::test(flavor = "multi_thread")]
async fn all_at_once() {
    let test = std::sync::Arc::new(TestStore::open().await);
    let shared = noise(7, 200_000);
    for round in 0..10_u64 {
        let make = |seed: u64| {
            let (test, shared) = (test.clone(), shared.clone());
            async move {
                let content = if seed.is_multiple_of(2) { shared } else { noise(seed, 200_000) };
                imported(&test, tar_of(&[("f", &content)]), &format!("made:{}", seed % 3)).await;
            }
        };
        let prune = {
            let test = test.clone();
            tokio::task::spawn_blocking(move || test.store.prune(&all, &nobody).unwrap())
        };
        let ((), (), (), pruned) =
            tokio::join!(make(round * 4), make(round * 4 + 1), make(round * 4 + 2), prune);
        pruned.unwrap();
        for image in test.store.list().unwrap() {
            assert!(image.damaged.is_none());
            assert_eq!(test.read(&image, 0, "f").len(), 200_000);
        }
    }
    test.store.idle().await;
    test.store.prune(&all, &nobody).unwrap();
    test.store.idle().await;
    test.assert_untouched();
}
