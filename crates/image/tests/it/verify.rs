//! Verify: whatever is changed on disk is found and named, and mended from the registry.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ross_image::{
    ContainerDefaults, Credentials, Error, Finding, ImageUse, Mended, NewImage, Subject, Verified,
    VerifyEvent, VerifyOrder,
};
use ross_types::{Digest, ErrorKind};

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, tar_of};
use crate::mirrors::mirrored;
use crate::registry::{Registry, Reply};

type Users = Arc<dyn Fn(&Digest) -> Option<ImageUse> + Send + Sync>;

fn nobody() -> Users {
    Arc::new(|_| None)
}

pub struct Verdict {
    pub verified: Verified,
    pub findings: Vec<Finding>,
}

pub async fn verify_as(
    test: &TestStore,
    images: &[&str],
    repair: bool,
    in_use: Users,
    credentials: HashMap<String, Credentials>,
) -> Result<Verdict, Error> {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let sink = findings.clone();
    let order = VerifyOrder {
        images: images.iter().map(|name| (*name).to_owned()).collect(),
        repair,
        credentials,
        in_use,
    };
    let sink = Arc::new(move |event| {
        if let VerifyEvent::Found(finding) = event {
            sink.lock().unwrap().push(finding);
        }
    });
    let verified = test.store.verify(order, sink).await?;
    let findings = findings.lock().unwrap().clone();
    Ok(Verdict { verified, findings })
}

pub async fn verify(test: &TestStore, repair: bool) -> Verdict {
    verify_as(test, &[], repair, nobody(), HashMap::new()).await.unwrap()
}

/// Two layers: one that stands by itself, one that leaves its parent directory and a link's target to the first.
fn image() -> TestImage {
    let first = Layer::of(
        &[("etc/passwd", b"root:x:0:0\n"), ("usr/bin/tool", &noise(1, 300_000)), ("usr/empty", b"")],
        Packing::Gzip,
    );
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o4755);
    header.set_mtime(1_700_000_001);
    builder.append_data(&mut header, "etc/group", &b"root\n"[..]).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, "usr/link", "usr/bin/tool").unwrap();
    let mut symbolic = tar::Header::new_gnu();
    symbolic.set_entry_type(tar::EntryType::Symlink);
    symbolic.set_size(0);
    builder.append_link(&mut symbolic, "usr/sh", "bin/tool").unwrap();
    TestImage::new(vec![first, Layer::of_tar(builder.into_inner().unwrap(), Packing::Zstd)])
}

struct Place {
    test: TestStore,
    registry: Registry,
    image: TestImage,
    trees: Vec<PathBuf>,
}

async fn place() -> Place {
    let image = image();
    let registry = Registry::with(&image);
    let test = TestStore::open().await;
    let pulled = test.pull(&registry.reference("")).await.unwrap().image;
    let layers = test.dir.path().join("layers");
    let trees = pulled.record.layers.iter().map(|layer| layers.join(&layer.key).join("tree")).collect();
    Place { test, registry, image, trees }
}

impl Place {
    fn blob(&self, digest: &Digest) -> PathBuf {
        self.test.dir.path().join("blobs/sha256").join(digest.hex())
    }
}

#[tokio::test]
async fn a_good_store_verifies() {
    let place = place().await;
    for repair in [false, true] {
        let verdict = verify(&place.test, repair).await;
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.verified, Verified { images: 1, blobs: 4, layers: 2, wrong: 0, mended: 0 });
    }
    assert_eq!(place.test.files("layers/.staging"), Vec::<String>::new(), "nothing is left in staging");
}

/// Changes something in the tree of a layer; expects exactly these findings, the same after nothing was repaired,
/// and none after a repair.
async fn check(layer: usize, change: impl Fn(&Path), expected: &[(&str, &str)]) {
    let place = place().await;
    change(&place.trees[layer]);
    let own = crate::fixture::sha256(&place.image.layers[layer].tar);
    for _ in 0..2 {
        let verdict = verify(&place.test, false).await;
        let (findings, above): (Vec<_>, Vec<_>) =
            verdict.findings.into_iter().partition(|finding| finding.digest == own);
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.path.as_str(), finding.what.as_str())).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((path, what), (expected_path, says)) in found.iter().zip(expected) {
            assert!(path == expected_path && what.contains(says), "{found:?} where {expected:?} is expected");
        }
        for finding in &findings {
            assert_eq!((finding.subject, &finding.mended), (Subject::Layer, &Mended::NotAsked));
            assert_eq!(finding.id, place.image.id());
            assert!(finding.image.ends_with("test/app:latest"), "{finding:?}");
        }
        // The second layer is made from the first.
        assert_eq!(above.len(), 1 - layer, "{above:?}");
        let waits = |finding: &Finding| finding.what.contains("before the layers below it are right");
        assert!(above.iter().all(waits), "{above:?}");
        assert_eq!((verdict.verified.wrong, verdict.verified.mended), (1 + above.len() as u64, 0));
    }
    let verdict = verify(&place.test, true).await;
    assert!(verdict.findings.iter().all(|finding| finding.mended == Mended::Yes), "{:?}", verdict.findings);
    assert_eq!((verdict.verified.wrong, verdict.verified.mended), (1, 1));
    assert_eq!(verify(&place.test, false).await.findings, []);
    assert_eq!(place.test.files("layers/.staging"), Vec::<String>::new(), "what was wrong is deleted");
}

#[tokio::test]
async fn every_kind_of_change_in_a_tree_is_found_and_mended() {
    check(
        0,
        |tree| fs::remove_file(tree.join("etc/passwd")).unwrap(),
        &[("etc", "was modified at"), ("etc/passwd", "is missing")],
    )
    .await;
    let keep_time = |path: &Path, change: &dyn Fn()| {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        change();
        fs::File::open(path).unwrap().set_modified(before).unwrap();
    };
    check(
        0,
        |tree| {
            let path = tree.join("usr/bin/tool");
            keep_time(&path, &|| {
                let mut bytes = fs::read(&path).unwrap();
                bytes[200_000] ^= 1;
                fs::write(&path, bytes).unwrap();
            });
        },
        &[("usr/bin/tool", "differs from byte 200000 on")],
    )
    .await;
    check(
        0,
        |tree| {
            let path = tree.join("usr/bin/tool");
            keep_time(&path, &|| fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap());
        },
        &[("usr/bin/tool", "has 0 bytes instead of 300000")],
    )
    .await;
    check(
        1,
        |tree| fs::set_permissions(tree.join("etc/group"), fs::Permissions::from_mode(0o755)).unwrap(),
        &[("etc/group", "has mode 0755 instead of 4755")],
    )
    .await;
    check(
        0,
        |tree| std::os::unix::fs::chown(tree.join("usr/empty"), Some(7), None).unwrap(),
        &[("usr/empty", "belongs to 7:0 instead of 0:0")],
    )
    .await;
    check(1, |tree| rustix_xattr(&tree.join("etc/group"), "user.extra"), &[("etc/group", "user.extra")])
        .await;
    check(
        1,
        |tree| rustix_xattr(&tree.join("usr"), "trusted.overlay.opaque"),
        &[("usr", "trusted.overlay.opaque")],
    )
    .await;
    check(
        1,
        |tree| {
            let dir = tree.join("usr");
            keep_time(&dir, &|| {
                fs::remove_file(dir.join("sh")).unwrap();
                symlink("/evil", dir.join("sh")).unwrap();
            });
        },
        &[("usr/sh", "was modified at"), ("usr/sh", "leads to `/evil` instead of `bin/tool`")],
    )
    .await;
    check(
        0,
        |tree| {
            let dir = tree.join("etc");
            keep_time(&dir, &|| fs::create_dir_all(dir.join("extra/deep")).unwrap());
        },
        &[("etc/extra", "is not in the image")],
    )
    .await;
    check(
        0,
        |tree| {
            let dir = tree.join("usr");
            keep_time(&dir, &|| {
                fs::remove_file(dir.join("empty")).unwrap();
                fs::create_dir(dir.join("empty")).unwrap();
            });
        },
        &[("usr/empty", "is a directory instead of a file")],
    )
    .await;
    check(0, |tree| fs::remove_dir_all(tree).unwrap(), &[("", "cannot be read")]).await;
    check(0, |tree| fs::remove_dir_all(tree.parent().unwrap()).unwrap(), &[("", "is missing")]).await;
}

fn rustix_xattr(path: &Path, name: &str) {
    rustix::fs::setxattr(path, name, b"y", rustix::fs::XattrFlags::empty()).unwrap();
}

#[tokio::test]
async fn a_damaged_record_of_a_layer_is_found_and_mended() {
    check(
        0,
        |tree| fs::write(tree.with_file_name("layer.json"), "{").unwrap(),
        &[("layer.json", "cannot be used")],
    )
    .await;
}

#[tokio::test]
async fn differences_of_one_layer_are_bounded() {
    let place = place().await;
    let usr = place.trees[0].join("usr");
    for index in 0..250 {
        fs::write(usr.join(format!("extra{index}")), "").unwrap();
    }
    let verdict = verify(&place.test, false).await;
    assert_eq!(verdict.findings.len(), 102);
    assert!(verdict.findings[100].what.contains("151 more ways"), "{:?}", verdict.findings[100]);
    assert_eq!(verdict.verified.wrong, 2, "this one, and the one above it");
}

#[tokio::test]
async fn blobs_are_found_and_fetched_again() {
    let place = place().await;
    let layer = place.image.layers[0].digest();
    let documents = [
        (Subject::Manifest, place.image.digest()),
        (Subject::Config, place.image.id()),
        (Subject::Blob, layer.clone()),
    ];
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 3] = [
        ("is not on disk", |path| fs::remove_file(path).unwrap()),
        ("has ", |path| fs::write(path, "").unwrap()),
        ("has digest sha256:", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[20] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (subject, digest) in documents {
        for (says, damage) in damages {
            damage(&place.blob(&digest));
            let found = verify(&place.test, false).await;
            let first = &found.findings[0];
            assert_eq!((first.subject, &first.digest), (subject, &digest), "{:?}", found.findings);
            assert!(first.what.contains(says), "{first:?}");
            let mended = verify(&place.test, true).await;
            assert_eq!(
                mended.findings.len(),
                1,
                "a layer whose blob was fetched is checked: {:?}",
                mended.findings
            );
            assert_eq!(mended.findings[0].mended, Mended::Yes);
            assert_eq!(verify(&place.test, false).await.findings, []);
        }
    }
    let fetched = place.registry.count(&place.image.layers[1].digest().to_string());
    assert_eq!(fetched, 1, "what is right is not fetched again");
}

/// A layer whose blob is wrong cannot be checked; and a registry that lies mends nothing and breaks nothing.
#[tokio::test]
async fn what_the_registry_cannot_mend_is_said() {
    let place = place().await;
    let digest = place.image.layers[0].digest();
    fs::write(place.blob(&digest), "broken").unwrap();
    let found = verify(&place.test, false).await;
    assert_eq!(found.findings.len(), 3);
    assert_eq!(found.findings[1].subject, Subject::Layer);
    assert!(found.findings[1].what.contains("no whole blob of it is on disk"), "{:?}", found.findings);

    let length = place.image.layers[0].blob.len();
    place.registry.hook(move |request| request.path.contains("/blobs/").then(|| Reply::ok(vec![7; length])));
    let lied = verify(&place.test, true).await;
    let Mended::No(reason) = &lied.findings[0].mended else { panic!("{:?}", lied.findings) };
    assert!(reason.contains("content has digest"), "{reason}");
    assert_eq!((lied.verified.wrong, lied.verified.mended), (3, 0));
    assert_eq!(fs::read(place.blob(&digest)).unwrap(), b"broken", "the blob is as it was");
    assert_eq!(place.test.files("ingest"), Vec::<String>::new());

    place.registry.hook(|_| Some(Reply::status(404)));
    let gone = verify(&place.test, true).await;
    let Mended::No(reason) = &gone.findings[0].mended else { panic!("{:?}", gone.findings) };
    assert!(reason.contains(&digest.to_string()) && reason.contains("test/app"), "{reason}");
    place.registry.unhook();
    assert_eq!(verify(&place.test, true).await.verified.mended, 1);
}

#[tokio::test]
async fn a_layer_below_a_running_container_is_left_alone() {
    let place = place().await;
    let file = place.trees[0].join("etc/passwd");
    fs::write(&file, "changed").unwrap();
    let runs = |running| -> Users { Arc::new(move |_| Some(ImageUse { container: "web".into(), running })) };
    let busy = verify_as(&place.test, &[], true, runs(true), HashMap::new()).await.unwrap();
    let Mended::No(reason) = &busy.findings[0].mended else { panic!("{:?}", busy.findings) };
    assert!(reason.contains("container web runs on it; stop the container"), "{reason}");
    assert_eq!(fs::read(&file).unwrap(), b"changed");
    let stopped = verify_as(&place.test, &[], true, runs(false), HashMap::new()).await.unwrap();
    assert_eq!(stopped.verified.mended, 1);
    assert_eq!(fs::read(&file).unwrap(), b"root:x:0:0\n");
}

/// While a container is made or started, or its files are read, it is not known to run.
#[tokio::test]
async fn a_layer_that_somebody_holds_is_left_alone() {
    let place = place().await;
    let id = place.image.id();
    let file = place.trees[0].join("etc/passwd");
    fs::write(&file, "changed").unwrap();
    let hold = place.test.store.hold(&id).unwrap();
    let busy = verify(&place.test, true).await;
    let Mended::No(reason) = &busy.findings[0].mended else { panic!("{:?}", busy.findings) };
    assert!(reason.contains("being made, started or read"), "{reason}");
    assert_eq!(fs::read(&file).unwrap(), b"changed");
    drop(hold);
    place.test.store.idle().await;
    assert_eq!(verify(&place.test, true).await.verified.mended, 1);
}

/// An image that was made here has no name that a registry knows: those of the image below it lead there.
#[tokio::test]
async fn blobs_come_from_where_other_images_have_them() {
    let place = place().await;
    let base = place.test.store.resolve(&place.registry.reference("")).unwrap();
    let blob = base.record.layers[0].blob.clone();
    let made = NewImage {
        base: Some(base),
        layer: None,
        config: ContainerDefaults::default(),
        created: "2026-03-04T05:06:07Z".into(),
        author: String::new(),
        comment: String::new(),
        created_by: "sh".into(),
        platform: ross_types::Platform::host(),
        reference: Some("made:1".parse().unwrap()),
    };
    place.test.store.commit(made).await.unwrap();
    fs::write(place.blob(&blob), "damaged").unwrap();
    let verdict = verify_as(&place.test, &["made:1"], true, nobody(), HashMap::new()).await.unwrap();
    assert_eq!((verdict.verified.wrong, verdict.verified.mended), (1, 1), "{:?}", verdict.findings);
    // A save fetches what is missing from there, too.
    fs::remove_file(place.blob(&blob)).unwrap();
    place.test.store.save(vec!["made:1".into()]).await.unwrap().write(std::io::sink()).unwrap();
}

#[tokio::test]
async fn a_mirror_that_lies_mends_nothing() {
    let image = image();
    let (registry, mirror) = (Registry::with(&image), Registry::with(&image));
    let test = TestStore::open_with(mirrored(&registry, &[&mirror.address])).await;
    let pulled = test.pull(&registry.reference("")).await.unwrap().image.record;
    mirror.hook(|request| {
        let is_blob = request.path.contains("/blobs/");
        // Of the right length, and nothing else.
        is_blob.then(|| Reply::ok(vec![b'x'; 4096])).or_else(|| Some(Reply::ok(vec![b'x'; 64])))
    });
    let blobs = test.dir.path().join("blobs/sha256");
    for digest in [&pulled.layers[0].blob, &pulled.id, &pulled.manifest] {
        fs::write(blobs.join(digest.hex()), "damaged").unwrap();
    }
    let verdict = verify(&test, true).await;
    assert_eq!((verdict.verified.wrong, verdict.verified.mended), (3, 3), "{:?}", verdict.findings);
    assert!(!mirror.requests().is_empty());
}

#[tokio::test]
async fn images_are_chosen_by_name_and_parts_they_share_are_checked_once() {
    let place = place().await;
    let mut layers = image().layers;
    layers.push(Layer::of(&[("own", b"x")], Packing::Plain));
    place.registry.add("second", &TestImage::new(layers));
    place.test.pull(&place.registry.reference(":second")).await.unwrap();
    let all = verify(&place.test, false).await;
    assert_eq!(all.verified, Verified { images: 2, blobs: 7, layers: 3, wrong: 0, mended: 0 });
    let second = place.registry.reference(":second");
    let named = async |names: &[&str]| verify_as(&place.test, names, false, nobody(), HashMap::new()).await;
    let one = named(&[&second, &second]).await.unwrap();
    assert_eq!((one.verified.images, one.verified.layers), (1, 3));
    let Err(error) = named(&["nothing"]).await else { panic!("there is no such image") };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing"), "{error}");
}

/// The same layer packed differently by two images: the second needs no blob of its own while the first has one.
#[tokio::test]
async fn a_blob_that_another_stands_in_for_is_not_missed() {
    let place = place().await;
    let first = Layer::of_tar(
        tar_of(&[("etc/passwd", b"root:x:0:0\n"), ("usr/bin/tool", &noise(1, 300_000)), ("usr/empty", b"")]),
        Packing::Zstd,
    );
    let other = TestImage::new(vec![first]);
    place.registry.add("other", &other);
    place.test.pull(&place.registry.reference(":other")).await.unwrap();
    assert!(!place.blob(&other.layers[0].digest()).exists(), "it was not fetched");
    assert_eq!(verify(&place.test, false).await.findings, []);
    // Without the first image its blob is gone, and the layer cannot be checked before its own is fetched.
    place.test.store.remove(&place.registry.reference(""), false, &|_| None).unwrap();
    let alone = verify(&place.test, false).await;
    assert_eq!(alone.findings[0].what, "is not on disk");
    let mended = verify(&place.test, true).await;
    assert_eq!((mended.verified.wrong, mended.verified.mended), (1, 1));
    assert_eq!(verify(&place.test, false).await.findings, []);
}

#[tokio::test]
async fn credentials_go_to_their_registry_alone() {
    let place = place().await;
    fs::remove_file(place.blob(&place.image.layers[0].digest())).unwrap();
    place.registry.hook(|request| {
        request
            .header("authorization")
            .is_none()
            .then(|| Reply::status(401).header("www-authenticate", "Basic realm=\"test\""))
    });
    let credentials = |registry: &str| {
        let own = Credentials::Basic { username: "me".into(), password: "secret".into() };
        HashMap::from([(registry.to_owned(), own)])
    };
    let with = async |registry: &str| {
        verify_as(&place.test, &[], true, nobody(), credentials(registry)).await.unwrap().verified.mended
    };
    assert_eq!(with("elsewhere.example").await, 0);
    assert_eq!(with(&place.registry.address).await, 1);
}
