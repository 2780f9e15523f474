//! Saving: what is in the archive, that it loads again, and what stands against it.

use std::io::{self, Cursor, Read as _, Write};

use ross_image::Error;
use ross_types::{Digest, ErrorKind, ImageRef};

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, sha256, text_of};
use crate::registry::{Registry, Reply};

async fn save(test: &TestStore, names: &[&str]) -> Result<Vec<u8>, Error> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let saving = test.store.save(names).await?;
    let mut bytes = Vec::new();
    saving.write(&mut bytes)?;
    Ok(bytes)
}

/// Members with their content, in order.
fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        members.push((entry.path().unwrap().to_string_lossy().into_owned(), content));
    }
    members
}

fn json(members: &[(String, Vec<u8>)], name: &str) -> serde_json::Value {
    let member = members.iter().find(|(member, _)| member == name);
    serde_json::from_slice(&member.unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

fn two() -> (TestImage, TestImage) {
    let shared = || Layer::of(&[("shared", &noise(1, 200_000))], Packing::Gzip);
    let own = |seed| Layer::of(&[("own", &noise(seed, 100_000))], Packing::Zstd);
    (TestImage::new(vec![shared(), own(2)]), TestImage::new(vec![shared(), own(3)]))
}

/// A store with both images, which are `team/app:1`, `team/app:2` and `other:1`.
async fn store(first: &TestImage, second: &TestImage) -> (TestStore, Registry) {
    let registry = Registry::start();
    registry.add("one", first);
    registry.add("two", second);
    let test = TestStore::open().await;
    for (tag, names) in [(":one", &["team/app:1", "other:1"][..]), (":two", &["team/app:2"][..])] {
        let image = test.pull(&registry.reference(tag)).await.unwrap().image;
        for name in names {
            test.store.tag(&image, &name.parse().unwrap()).unwrap();
        }
    }
    (test, registry)
}

#[tokio::test]
async fn images_come_back_as_they_were() {
    let (first, second) = two();
    let (test, _registry) = store(&first, &second).await;
    let archive = save(&test, &["team/app", "other:1"]).await.unwrap();
    assert_eq!(archive, save(&test, &["team/app", "other:1"]).await.unwrap(), "the same bytes each time");
    let members = members(&archive);
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    assert_eq!(
        names.iter().filter(|name| name.starts_with("blobs/sha256/") && !name.ends_with('/')).count(),
        7,
        "what is shared is there once"
    );
    for (name, content) in &members {
        if let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
            assert_eq!(sha256(content).hex(), hex);
        }
    }
    let blob = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    let docker = json(&members, "manifest.json");
    assert_eq!(docker[0]["Config"], blob(first.id()));
    assert_eq!(docker[0]["RepoTags"], serde_json::json!(["other:1", "team/app:1"]));
    assert_eq!(docker[1]["Layers"][1], blob(second.layers[1].digest()));
    assert_eq!(json(&members, "oci-layout")["imageLayoutVersion"], "1.0.0");
    assert_eq!(json(&members, "repositories")["team/app"]["2"], second.layers[1].digest().hex());
    let index = json(&members, "index.json");
    let entries: Vec<(&str, &str, &str)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let annotation = |name: &str| entry["annotations"][name].as_str().unwrap();
            (
                entry["digest"].as_str().unwrap(),
                annotation("io.containerd.image.name"),
                annotation("org.opencontainers.image.ref.name"),
            )
        })
        .collect();
    let (one, two) = (first.digest().to_string(), second.digest().to_string());
    assert_eq!(
        entries,
        [
            (one.as_str(), "docker.io/library/other:1", "1"),
            (one.as_str(), "docker.io/team/app:1", "1"),
            (two.as_str(), "docker.io/team/app:2", "2"),
        ]
    );

    let other = TestStore::open().await;
    let loaded = other.store.load(Cursor::new(archive.clone()), other.sink()).await.unwrap();
    let told: Vec<Vec<String>> =
        loaded.iter().map(|loaded| loaded.names.iter().map(ImageRef::familiar).collect()).collect();
    assert_eq!(told, [vec!["other:1", "team/app:1"], vec!["team/app:2"]], "each image once");
    for (name, image) in [("team/app:1", &first), ("other:1", &first), ("team/app:2", &second)] {
        let record = other.store.resolve(name).unwrap().record;
        assert_eq!((record.id, record.manifest), (image.id(), image.digest()), "{name}");
        let blobs: Vec<Digest> = record.layers.into_iter().map(|layer| layer.blob).collect();
        assert_eq!(blobs, image.layers.iter().map(Layer::digest).collect::<Vec<_>>());
    }
    assert_eq!(archive, save(&other, &["team/app", "other:1"]).await.unwrap(), "and the same bytes there");

    // Whoever knows docker's form alone finds the same images.
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members.iter().filter(|(name, _)| !name.ends_with('/')) {
        if !["index.json", "oci-layout"].contains(&name.as_str()) {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &content[..]).unwrap();
        }
    }
    let third = TestStore::open().await;
    let loaded = third.store.load(Cursor::new(builder.into_inner().unwrap()), third.sink()).await.unwrap();
    assert_eq!(loaded[1].image.record.id, second.id());
    assert_eq!(third.read(&loaded[1].image, 1, "own"), noise(3, 100_000));
    let manifest = third.dir.path().join(blob(loaded[1].image.record.manifest.clone()));
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    let kinds: Vec<_> = [0, 1].map(|layer| manifest["layers"][layer]["mediaType"].as_str().unwrap()).into();
    assert!(
        kinds[0].ends_with("tar+gzip") && kinds[1].ends_with("tar+zstd"),
        "as they are packed: {kinds:?}"
    );
}

#[tokio::test]
async fn an_image_by_its_id_has_no_name() {
    let (first, second) = two();
    let (test, _registry) = store(&first, &second).await;
    let archive = save(&test, &[first.id().hex()]).await.unwrap();
    let members = members(&archive);
    assert_eq!(json(&members, "manifest.json")[0]["RepoTags"], serde_json::Value::Null);
    assert_eq!(json(&members, "index.json")["manifests"][0]["annotations"], serde_json::Value::Null);
    assert!(!members.iter().any(|(name, _)| name == "repositories"));
    let other = TestStore::open().await;
    let loaded = other.store.load(Cursor::new(archive), other.sink()).await.unwrap();
    assert_eq!(loaded[0].image.record.id, first.id());
    assert!(loaded[0].image.record.references.is_empty());
}

#[tokio::test]
async fn a_blob_that_is_not_here_is_fetched_again() {
    let tar = Layer::of(&[("a", &noise(1, 200_000))], Packing::Gzip).tar;
    let first = TestImage::new(vec![Layer::of_tar(tar.clone(), Packing::Gzip)]);
    let second =
        TestImage::new(vec![Layer::of_tar(tar, Packing::Zstd), Layer::of(&[("b", b"b")], Packing::Gzip)]);
    let registry = Registry::with(&first);
    registry.add("second", &second);
    let test = TestStore::open().await;
    test.pull(&registry.reference("")).await.unwrap();
    let name = registry.reference(":second");
    test.pull(&name).await.unwrap();
    registry.hook(|request| request.path.contains("/blobs/").then(|| Reply::status(404)));
    let error = save(&test, &[&name]).await.unwrap_err();
    let text = text_of(&error);
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{text}");
    assert!(
        text.contains("its blob is not kept here") && text.contains("not found at the registry"),
        "{text}"
    );
    assert!(text.contains(&second.layers[0].digest().to_string()), "{text}");
    registry.unhook();
    let archive = save(&test, &[&name]).await.unwrap();
    let other = TestStore::open().await;
    let loaded = other.store.load(Cursor::new(archive), other.sink()).await.unwrap();
    assert_eq!(loaded[0].image.record.layers[0].blob, second.layers[0].digest());
}

/// Fails after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_stands_against_it() {
    let (first, second) = two();
    let (test, _registry) = store(&first, &second).await;
    let fail = async |names: &[&str], kind: ErrorKind, says: &str| {
        let error = save(&test, names).await.unwrap_err();
        let text = text_of(&error);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{text:?} should say {says:?}");
    };
    fail(&["team/app:1", "nope"], ErrorKind::NotFound, "no such image: nope:latest").await;
    fail(&["Not/Valid"], ErrorKind::InvalidArgument, "`Not/Valid` names no image").await;
    let saving = test.store.save(vec!["other:1".into()]).await.unwrap();
    let error = saving.write(Full(100_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{}", text_of(&error));

    // While it is being written, a removal takes nothing of it away.
    let saving = test.store.save(vec!["team/app:2".into()]).await.unwrap();
    test.store.remove(&second.id().to_string(), true, &|_| None).unwrap();
    let mut archive = Vec::new();
    tokio::task::spawn_blocking(move || saving.write(&mut archive).map(|()| archive)).await.unwrap().unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), test.store.idle()).await.unwrap();
    assert_eq!(test.files("blobs").len(), 4, "manifest, configuration and layers of the first");

    let path = test.dir.path().join("blobs/sha256").join(first.layers[0].digest().hex());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    fail(&["other:1"], ErrorKind::DataLoss, "content has digest").await;
}
