//! Loading archives.

use std::io::Cursor;

use ross_image::{Error, Image, ImageRecord};
use ross_types::{Digest, ErrorKind, ImageRef};

use crate::fixture::{DOCKER_MANIFEST, Layer, OCI_INDEX, Packing, TestImage, TestStore, sha256, text_of};
use crate::push::{assert_there, push};
use crate::registry::{Registry, Reply};
use crate::taker::Taker;

/// A tar archive of these members, and of symbolic links.
fn archive(members: &[(String, Vec<u8>)], links: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Symlink);
        builder.append_link(&mut header, name, target).unwrap();
    }
    builder.into_inner().unwrap()
}

fn blob(bytes: &[u8]) -> (String, Vec<u8>) {
    (format!("blobs/sha256/{}", sha256(bytes).hex()), bytes.to_vec())
}

fn layout(images: &[(&TestImage, Option<&str>)]) -> Vec<(String, Vec<u8>)> {
    let mut members = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut entries = Vec::new();
    for (image, name) in images {
        members.extend(image.layers.iter().map(|layer| blob(&layer.blob)));
        members.extend([blob(&image.config), blob(&image.manifest)]);
        let annotations = name.map(|name| serde_json::json!({"io.containerd.image.name": name}));
        entries.push(serde_json::json!({
            "mediaType": image.media_type, "digest": image.digest().to_string(), "size": image.manifest.len(),
            "annotations": annotations,
        }));
    }
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    members.push(("index.json".to_owned(), index.to_string().into_bytes()));
    members
}

fn docker(image: &TestImage, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let config = format!("{}.json", image.id().hex());
    let layer_name = |number: usize| format!("{number}/layer.tar");
    let mut members: Vec<_> = image
        .layers
        .iter()
        .enumerate()
        .map(|(number, layer)| (layer_name(number), layer.tar.clone()))
        .collect();
    let layers: Vec<_> = (0..image.layers.len()).map(layer_name).collect();
    let manifest = serde_json::json!([{"Config": config, "RepoTags": names, "Layers": layers}]);
    members.push((config, image.config.clone()));
    members.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    members
}

async fn load(test: &TestStore, bytes: Vec<u8>) -> Result<Vec<Image>, Error> {
    let loaded = test.store.load(Cursor::new(bytes), test.sink()).await?;
    Ok(loaded.into_iter().map(|loaded| loaded.image).collect())
}

fn small(content: &str) -> TestImage {
    TestImage::new(vec![
        Layer::of(&[("etc/one", b"one")], Packing::Gzip),
        Layer::of(&[("etc/two", content.as_bytes())], Packing::Zstd),
    ])
}

#[tokio::test]
async fn layouts() {
    let (first, second) = (small("first"), small("second"));
    let plain = archive(&layout(&[(&first, Some("docker.io/library/first:1")), (&second, None)]), &[]);
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let test = TestStore::open().await;
        let loaded = load(&test, packing.pack(&plain)).await.unwrap();
        let ids: Vec<Digest> = loaded.iter().map(|image| image.record.id.clone()).collect();
        assert_eq!(ids, [first.id(), second.id()]);
        assert_eq!(test.store.resolve("first:1").unwrap().record.manifest, first.digest());
        assert!(loaded[1].record.references.is_empty());
        assert_eq!(test.read(&loaded[1], 1, "etc/two"), b"second");
        assert_eq!(test.files("ingest"), Vec::<String>::new());
        assert_eq!(test.files("blobs").len(), 3 + 4, "what is shared is there once");
        for id in ids {
            test.store.remove(id.hex(), true, &|_| None).unwrap();
        }
        test.assert_untouched();
    }
}

#[tokio::test]
async fn docker_archives() {
    let image = TestImage::with(
        vec![
            Layer::of(&[("etc/one", b"one")], Packing::Plain),
            Layer::of(&[("two", b"two")], Packing::Plain),
        ],
        DOCKER_MANIFEST,
        "linux",
        "amd64",
    );
    let test = TestStore::open().await;
    let loaded =
        load(&test, Packing::Gzip.pack(&archive(&docker(&image, &["app:1", "app:2"]), &[]))).await.unwrap();
    assert_eq!(loaded[0].record.id, image.id());
    assert_eq!(loaded[0].record.references, ["app:1", "app:2"].map(|name| name.parse::<ImageRef>().unwrap()));
    assert_eq!(test.read(&loaded[0], 1, "two"), b"two");
    assert_eq!(test.store.resolve("app:2").unwrap().config.config.cmd, ["/bin/true"]);

    // Older dockers link a layer that two images share.
    let mut members = docker(&image, &["app:3"]);
    let shared = members.remove(0).1;
    members.push(("shared/layer.tar".to_owned(), shared));
    let test = TestStore::open().await;
    let loaded = load(&test, archive(&members, &[("0/layer.tar", "../shared/layer.tar")])).await.unwrap();
    assert_eq!(test.read(&loaded[0], 0, "etc/one"), b"one");

    // Newer ones write both forms.
    let both = small("both");
    let mut members = layout(&[(&both, None)]);
    let manifest = serde_json::json!([{"Config": blob(&both.config).0, "RepoTags": ["both:1"],
        "Layers": both.layers.iter().map(|layer| blob(&layer.blob).0).collect::<Vec<_>>()}]);
    members.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    let loaded = load(&test, archive(&members, &[])).await.unwrap();
    assert_eq!(loaded[0].record.manifest, both.digest(), "the manifest is kept as it is");
    assert_eq!(test.store.resolve("both:1").unwrap().record.id, both.id());
}

#[tokio::test]
async fn a_load_tells_the_names_of_the_archive() {
    let image = small("named");
    let test = TestStore::open().await;
    let check = async |names: &[&str], all: usize| {
        let bytes = archive(&docker(&image, names), &[]);
        let loaded = test.store.load(Cursor::new(bytes), test.sink()).await.unwrap().remove(0);
        let told: Vec<String> = loaded.names.iter().map(ImageRef::familiar).collect();
        assert_eq!(told, names);
        assert_eq!(loaded.image.record.references.len(), all);
    };
    check(&["app:1", "app:2"], 2).await;
    check(&["app:3"], 3).await;
    check(&["app:3"], 3).await;
    check(&[], 3).await;
}

/// A record without what differs from one pull to the next.
fn same(record: &ImageRecord) -> ImageRecord {
    ImageRecord { pulled_at: 0, references: Vec::new(), ..record.clone() }
}

#[tokio::test]
async fn a_pulled_image_stays_as_it_was_pulled() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap().image;
    let blobs = test.files("blobs");
    let loaded = load(&test, archive(&docker(&image, &["app:1"]), &[])).await.unwrap().remove(0);
    assert_eq!(same(&loaded.record), same(&pulled.record));
    let found = test.store.resolve("app:1").unwrap();
    assert_eq!(same(&found.record), same(&pulled.record), "as it is recorded, too");
    assert_eq!(found.record.references.len(), pulled.record.references.len() + 1);
    assert_eq!(test.files("blobs"), blobs, "what the archive was made up of is gone");
    assert_eq!(test.files("ingest"), Vec::<String>::new(), "and nobody comes back for it");

    // The other way round, the registry has the last word.
    let test = TestStore::open().await;
    let loaded = load(&test, archive(&docker(&image, &["app:1"]), &[])).await.unwrap().remove(0);
    assert_ne!(loaded.record.manifest, image.digest());
    assert_eq!(loaded.record.layers[0].blob, sha256(&image.layers[0].tar));
    let pulled = test.pull(&registry.reference("")).await.unwrap().image;
    assert_eq!(same(&pulled.record), same(&test.store.resolve("app:1").unwrap().record));
    assert_eq!(pulled.record.manifest, image.digest());
    assert_eq!(test.files("blobs"), blobs, "its blobs are here, and those of the archive gone");
}

/// A pull that finds the layers of a loaded image brings the blobs it names: the image can be pushed as before.
#[tokio::test]
async fn a_loaded_image_needs_no_registry_after_a_pull() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    load(&test, archive(&docker(&image, &["app:1"]), &[])).await.unwrap();
    // One that cannot be had fails the pull, and leaves the image as it was.
    registry.hook(|request| request.path.contains("/blobs/").then(|| Reply::status(404)));
    let before = test.store.resolve("app:1").unwrap();
    test.pull(&registry.reference("")).await.unwrap_err();
    assert_eq!(test.store.resolve("app:1").unwrap().record, before.record);
    registry.unhook();
    let pulled = test.pull(&registry.reference("")).await.unwrap().image;
    test.store.remove(&registry.reference(""), false, &|_| None).unwrap();
    registry.hook(|_| Some(Reply::status(404)));
    let taker = Taker::start();
    test.store.tag(&pulled, &taker.reference("app:1").parse().unwrap()).unwrap();
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert_there(&taker, "app", "1", &image);
}

/// What is known lacks a blob, because its layer came with another image; an archive that has all of them is kept.
#[tokio::test]
async fn a_load_brings_what_a_pull_left_at_the_registry() {
    let tar = Layer::of(&[("a", b"shared")], Packing::Gzip).tar;
    let other = TestImage::new(vec![Layer::of_tar(tar.clone(), Packing::Gzip)]);
    let image =
        TestImage::new(vec![Layer::of_tar(tar, Packing::Zstd), Layer::of(&[("b", b"own")], Packing::Gzip)]);
    let registry = Registry::with(&other);
    registry.add("image", &image);
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    test.pull(&registry.reference(":image")).await.unwrap();
    registry.hook(|_| Some(Reply::status(404)));
    let loaded = load(&test, archive(&docker(&image, &["app:1"]), &[])).await.unwrap().remove(0);
    let taker = Taker::start();
    test.store.tag(&loaded, &taker.reference("app:1").parse().unwrap()).unwrap();
    push(&test, &taker.reference("app:1")).await.unwrap();
    assert!(image.layers.iter().all(|layer| taker.has("app", &layer.tar)));
}

/// Whoever comes first, the image has its blobs in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_and_a_pull_at_once() {
    let image = TestImage::plain();
    let registry = Registry::with(&image);
    let bytes = archive(&docker(&image, &["app:1"]), &[]);
    for _ in 0..20 {
        let test = TestStore::open().await;
        let name = registry.reference("");
        let (loaded, pulled) = tokio::join!(load(&test, bytes.clone()), test.pull(&name));
        loaded.unwrap();
        pulled.unwrap();
        test.store.idle().await;
        let blobs = test.files("blobs");
        for layer in &test.store.resolve("app:1").unwrap().record.layers {
            assert!(blobs.contains(&format!("sha256/{}", layer.blob.hex())), "{blobs:?}");
        }
        assert_eq!(blobs.len(), image.layers.len() + 2, "and no others: {blobs:?}");
    }
}

#[tokio::test]
async fn hostile_and_broken() {
    let check = |bytes: Vec<u8>, kind: ErrorKind, says: &'static str| async move {
        let test = TestStore::open().await;
        let error = load(&test, bytes).await.expect_err(says);
        let text = text_of(&error);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{text:?} should say {says:?}");
        assert!(text.starts_with("load the archive: "), "{text}");
        test.assert_untouched();
        let outside: Vec<_> =
            std::fs::read_dir(test.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(outside.len(), 3, "blobs, ingest, layers: {outside:?}");
    };
    let image = small("x");
    let good = layout(&[(&image, Some("app:1"))]);
    let replaced = |name: &str, content: &[u8]| {
        let mut members = good.clone();
        let position = members.iter().position(|(member, _)| member == name).unwrap();
        members[position].1 = content.to_vec();
        archive(&members, &[])
    };
    let without = |name: &str| {
        let members: Vec<_> = good.iter().filter(|(member, _)| member != name).cloned().collect();
        archive(&members, &[])
    };
    check(b"neither this nor that".repeat(100), ErrorKind::DataLoss, "cannot be read as a tar archive").await;
    check(archive(&[], &[]), ErrorKind::InvalidArgument, "neither an OCI layout").await;
    // In the first member's content, and in the header of the second.
    for end in [512 + 10, 1024 + 10] {
        let cut = archive(&good, &[])[..end].to_vec();
        check(cut, ErrorKind::DataLoss, "cannot be read as a tar archive").await;
    }
    let packed = Packing::Gzip.pack(&archive(&good, &[]));
    check(packed[..packed.len() / 2].to_vec(), ErrorKind::DataLoss, "cannot be read as a tar archive").await;
    check(replaced("index.json", b"{"), ErrorKind::DataLoss, "malformed").await;
    let layer = blob(&image.layers[1].blob).0;
    check(without(&layer), ErrorKind::DataLoss, "named in the archive and not in it").await;
    check(replaced(&layer, b"other"), ErrorKind::DataLoss, "content has digest").await;
    check(replaced(&blob(&image.config).0, b"other"), ErrorKind::DataLoss, "content has digest").await;
    check(replaced(&blob(&image.manifest).0, b"other"), ErrorKind::DataLoss, "content has digest").await;
    check(archive(&layout(&[(&image, Some("Not A Name"))]), &[]), ErrorKind::InvalidArgument, "invalid name")
        .await;
    let mut huge = good.clone();
    huge.last_mut().unwrap().1 = vec![b' '; 5 << 20];
    check(archive(&huge, &[]), ErrorKind::ResourceExhausted, "larger than").await;

    let manifest = |config: &str, layers: &[&str]| {
        let text = serde_json::json!([{"Config": config, "RepoTags": null, "Layers": layers}]).to_string();
        ("manifest.json".to_owned(), text.into_bytes())
    };
    let escape = archive(&[manifest("../../../etc/passwd", &[])], &[]);
    check(escape, ErrorKind::DataLoss, "named in the archive and not in it").await;
    let absolute = archive(&[manifest("/etc/passwd", &[])], &[]);
    check(absolute, ErrorKind::DataLoss, "named in the archive and not in it").await;
    let linked = archive(&[manifest("config", &[])], &[("config", "/etc/passwd")]);
    check(linked, ErrorKind::DataLoss, "named in the archive and not in it").await;
    let circle = archive(&[manifest("a", &[])], &[("a", "b"), ("b", "a")]);
    check(circle, ErrorKind::DataLoss, "named in the archive and not in it").await;
    let few = archive(&[manifest("config", &[]), ("config".into(), image.config.clone())], &[]);
    check(few, ErrorKind::DataLoss, "2 diff ids where the manifest has 0 layers").await;
}
