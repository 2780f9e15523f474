//! The crash sweep: a process is killed before and after each durable step of each operation in turn, and so is each
//! step made to fail as on a full disk and on a file system that went read-only. Whatever the step: the store opens,
//! every image listed is whole, nothing is leaked, and the operation done again succeeds.
//!
//! The operation runs in a process of its own, which is this test binary once more, with [`CHILD`] in its environment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ross_image::{
    Action, ContainerDefaults, Error, Image, ImageRecords as _, ImageStore, Moment, NewImage, Removed,
    StagedLayer, Step, StoreConfig, Verified, VerifyEvent, VerifyOrder, arm, disarm,
};
use ross_types::{ErrorKind, Platform};
use serde_json::{Value, json};

use crate::fixture::{Layer, Packing, TestImage, noise, patient, tar_of};
use crate::records::FileRecords;
use crate::registry::Registry;

const CHILD: &str = "ROSS_IMAGE_SWEEP";
const SIGKILL: i32 = 9;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
/// Far more points than any operation passes.
const POINTS_MAX: usize = 300;

/// A store that outlives its process, and what operations on it need.
#[derive(Clone)]
pub struct Place {
    dir: PathBuf,
    /// `registry/repository`
    repository: String,
}

impl Place {
    /// Puts into its empty folder what operations find there.
    pub fn furnish(&self, fixture: &Fixture) {
        fs::create_dir(self.root()).unwrap();
        fs::write(self.dir.join("archive.tar"), &fixture.archive).unwrap();
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    async fn open(&self) -> Result<ImageStore, Error> {
        let records = Arc::new(FileRecords::open(&self.dir.join("records.json")));
        ImageStore::open(StoreConfig { root: self.root(), records, registries: patient() }).await
    }

    fn reference(&self, tag: &str) -> String {
        format!("{}:{tag}", self.repository)
    }

    async fn pull(&self, store: &ImageStore, tag: &str) -> Result<(), Error> {
        let reference = self.reference(tag).parse().unwrap();
        let platform = "linux/amd64".parse().unwrap();
        store.pull(&reference, &platform, None, Arc::new(|_| {})).await.map(drop)
    }

    /// Changes a file of a layer, and a byte of a blob.
    fn damage(&self, store: &ImageStore) {
        let image = store.resolve(&self.reference("latest")).unwrap();
        let layer = &image.record.layers[0];
        let tree = self.root().join("layers").join(&layer.key).join("tree");
        fs::write(tree.join("etc/passwd"), "damaged").unwrap();
        fs::write(self.root().join("blobs/sha256").join(image.record.layers[1].blob.hex()), "damaged")
            .unwrap();
    }
}

async fn verify(store: &ImageStore, repair: bool) -> (Verified, Vec<String>) {
    let findings = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = findings.clone();
    let order =
        VerifyOrder { images: Vec::new(), repair, credentials: HashMap::new(), in_use: Arc::new(|_| None) };
    let sink = Arc::new(move |event| {
        if let VerifyEvent::Found(finding) = event {
            sink.lock().unwrap().push(format!("{finding:?}"));
        }
    });
    let verified = store.verify(order, sink).await.unwrap();
    let findings = findings.lock().unwrap().clone();
    (verified, findings)
}

/// What is done, by name.
pub const OPERATIONS: [&str; 12] = [
    "pull",
    "broken-pull",
    "load",
    "tag",
    "untag",
    "remove",
    "repair",
    "open",
    "replace",
    "pull-over-load",
    "commit",
    "prune",
];

/// What is there before.
pub async fn prepare(operation: &str, place: &Place) {
    let store = place.open().await.unwrap();
    if matches!(operation, "tag" | "untag" | "remove" | "repair" | "open" | "replace" | "commit" | "prune") {
        place.pull(&store, "latest").await.unwrap();
    }
    match operation {
        "untag" => {
            let image = store.resolve(&place.reference("latest")).unwrap();
            store.tag(&image, &"mine:1".parse().unwrap()).unwrap();
        }
        "repair" => place.damage(&store),
        // The same image in other blobs.
        "pull-over-load" => operate("load", place, &store).await.unwrap(),
        // As if the process had ended between the blobs and the record.
        "open" => fs::remove_file(place.dir.join("records.json")).unwrap(),
        _ => {}
    }
    store.idle().await;
}

/// The operation itself; an error says that something of it was not done.
async fn operate(operation: &str, place: &Place, store: &ImageStore) -> Result<(), Error> {
    match operation {
        "pull" | "pull-over-load" => place.pull(store, "latest").await,
        // Its second layer is not what its configuration says: what came is given back to staging.
        "broken-pull" => match place.pull(store, "broken").await {
            Err(error) if error.kind() == ErrorKind::DataLoss => Ok(()),
            Err(error) => Err(error),
            Ok(()) => panic!("the image is broken"),
        },
        "load" => {
            let archive = fs::File::open(place.dir.join("archive.tar")).unwrap();
            store.load(archive, Arc::new(|_| {})).await.map(drop)
        }
        "tag" => {
            let image = store.resolve(&place.reference("latest"))?;
            store.tag(&image, &"mine:1".parse().unwrap())
        }
        "remove" => gone(store.remove(&place.reference("latest"), false, &|_| None)),
        "untag" => gone(store.remove("mine:1", false, &|_| None)),
        // A tag that comes to lead elsewhere.
        "replace" => place.pull(store, "other").await,
        "repair" => verify(store, true).await.1.iter().try_for_each(|finding| {
            let mended = finding.contains("mended: Yes");
            if mended { Ok(()) } else { Err(Error::NotFound(finding.clone())) }
        }),
        "open" => Ok(()),
        "commit" => {
            let tar = tar_of(&[("etc/committed", b"new")]);
            let write = |out: &mut dyn std::io::Write| out.write_all(&tar).map_err(Error::Write);
            let (layer, ()) = store.stage_layer(write)?;
            let base = store.resolve(&place.reference("latest"))?;
            store.commit(committed(base, layer)).await.map(drop)
        }
        "prune" => store.prune(&|_| true, &|_| None)?.failed.pop().map_or(Ok(()), |(_, error)| Err(error)),
        other => panic!("{other}"),
    }
}

fn committed(base: Image, layer: StagedLayer) -> NewImage {
    NewImage {
        base: Some(base),
        layer: Some(layer),
        config: ContainerDefaults::default(),
        created: "2026-03-04T05:06:07Z".into(),
        author: String::new(),
        comment: String::new(),
        created_by: "sh".into(),
        platform: Platform::host(),
        reference: Some("committed:1".parse().unwrap()),
    }
}

/// That it is gone already is as good.
fn gone(removed: Result<Vec<Removed>, Error>) -> Result<(), Error> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map(drop),
    }
}

/// The operation with a fault in it: what it came to, and the points it passed.
pub async fn faulty(
    operation: &str,
    place: &Place,
    at: usize,
    action: Action,
) -> (Result<(), Error>, Vec<String>) {
    let opened_before = if operation == "open" { None } else { Some(place.open().await.unwrap()) };
    arm(at, action);
    let result = match opened_before {
        Some(store) => {
            let result = operate(operation, place, &store).await;
            store.idle().await;
            result
        }
        None => place.open().await.map(drop),
    };
    let passed = disarm().iter().map(|(step, moment)| format!("{step:?} {moment:?}")).collect();
    (result, passed)
}

/// One operation with a fault in it, told by the environment.
#[tokio::test]
async fn child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let order: Value = serde_json::from_str(&order).unwrap();
    let text = |key: &str| order[key].as_str().unwrap().to_owned();
    let place = Place { dir: text("dir").into(), repository: text("repository") };
    let at = usize::try_from(order["at"].as_u64().unwrap()).unwrap();
    let action = match text("fault").as_str() {
        "die" => Action::Die,
        "full" => Action::FailOnce(ENOSPC),
        "read-only" => Action::FailFromHere(EROFS),
        _ => Action::Pass,
    };
    let (result, passed) = faulty(&text("operation"), &place, at, action).await;
    let result = match result {
        Ok(()) => json!({"passed": passed}),
        Err(error) => json!({
            "passed": passed, "error": crate::fixture::text_of(&error), "kind": error.kind().reason(),
        }),
    };
    fs::write(place.dir.join("result.json"), result.to_string()).unwrap();
}

/// How the child ended.
enum Ended {
    Killed,
    Finished { passed: Vec<String>, error: Option<(String, String)> },
}

fn run_child(operation: &str, place: &Place, fault: &str, at: usize) -> Ended {
    let order = json!({
        "dir": place.dir, "repository": place.repository, "operation": operation, "fault": fault, "at": at,
    });
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sweep::child", "--nocapture"]).env(CHILD, order.to_string());
    let output = command.output().unwrap();
    if output.status.signal() == Some(SIGKILL) {
        return Ended::Killed;
    }
    assert!(output.status.success(), "{operation} {fault} {at}: {}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&fs::read(place.dir.join("result.json")).unwrap()).unwrap();
    let passed = result["passed"].as_array().unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ended::Finished {
        passed: passed.iter().filter_map(text).collect(),
        error: text(&result["error"]).zip(text(&result["kind"])),
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Opened once, the store has whole images and nothing else.
async fn check(place: &Place, context: &str) {
    let store = place.open().await.unwrap_or_else(|error| panic!("{context}: does not open: {error}"));
    store.idle().await;
    assert_no_leak(place, context);
    for image in store.list().unwrap() {
        assert_eq!(image.damaged, None, "{context}");
    }
    let (_, findings) = verify(&store, false).await;
    assert_eq!(findings, Vec::<String>::new(), "{context}");
}

fn assert_no_leak(place: &Place, context: &str) {
    let records = FileRecords::open(&place.dir.join("records.json")).images().unwrap();
    let mut blobs = BTreeSet::new();
    let mut layers = BTreeSet::from([".staging".to_owned()]);
    for record in &records {
        blobs.extend([record.id.hex().to_owned(), record.manifest.hex().to_owned()]);
        for layer in &record.layers {
            blobs.insert(layer.blob.hex().to_owned());
            layers.insert(layer.key.clone());
        }
    }
    let root = place.root();
    assert_eq!(names(&root.join("blobs/sha256")), blobs, "{context}: blobs");
    assert_eq!(names(&root.join("layers")), layers, "{context}: layers");
    assert_eq!(names(&root.join("layers/.staging")), BTreeSet::new(), "{context}: staging");
    let ingest = names(&root.join("ingest"));
    assert!(ingest.iter().all(|name| name.ends_with(".partial")), "{context}: {ingest:?}");
}

/// An image with a layer that stands by itself and one that depends on it, and what is served and loaded of it.
pub struct Fixture {
    registry: Registry,
    archive: Vec<u8>,
}

impl Fixture {
    /// A place in this folder.
    pub fn place(&self, dir: &Path) -> Place {
        Place { dir: dir.to_owned(), repository: self.registry.reference("") }
    }
}

fn fixture() -> Fixture {
    fixture_at("127.0.0.1:0")
}

/// The same with the registry at this address.
pub fn fixture_at(address: &str) -> Fixture {
    let layers = || {
        vec![
            Layer::of(&[("etc/passwd", b"root"), ("usr/data", &noise(3, 100_000))], Packing::Gzip),
            Layer::of_tar(
                bare_tar(&[("etc/group", b"root"), ("usr/more", &noise(4, 80_000))]),
                Packing::Zstd,
            ),
        ]
    };
    let image = TestImage::new(layers());
    let registry = Registry::start_at(address);
    registry.add("latest", &image);
    let mut other = layers();
    other.push(Layer::of(&[("own", b"x")], Packing::Plain));
    registry.add("other", &TestImage::new(other));
    registry.add("broken", &broken(layers()));
    Fixture { registry, archive: archive_of(&image) }
}

/// Its configuration has another diff id for the second layer.
fn broken(layers: Vec<Layer>) -> TestImage {
    let mut image = TestImage::new(layers);
    let right = crate::fixture::sha256(&image.layers[1].tar).to_string();
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let config = String::from_utf8(image.config).unwrap().replace(&right, &wrong);
    image.config = config.into_bytes();
    image.manifest = crate::fixture::manifest_of(&image.config, &image.layers, image.media_type);
    image
}

/// Files without entries for their directories, so that the layer depends on those below.
fn bare_tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The image as a docker archive.
fn archive_of(image: &TestImage) -> Vec<u8> {
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["loaded:1"], "Layers": ["0.tar", "1.tar"],
    }]);
    tar_of(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("config.json", &image.config),
        ("0.tar", &image.layers[0].tar),
        ("1.tar", &image.layers[1].tar),
    ])
}

/// In memory where there is room: hundreds of stores are made and synced.
fn new_place(fixture: &Fixture) -> (tempfile::TempDir, Place) {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let place = fixture.place(dir.path());
    place.furnish(fixture);
    (dir, place)
}

/// The operation with this fault at each point in turn. Answers the points it has.
async fn sweep(operation: &str, fault: &str) -> BTreeSet<String> {
    let fixture = fixture();
    let mut all = BTreeSet::new();
    for at in 1..=POINTS_MAX {
        let (_dir, place) = new_place(&fixture);
        prepare(operation, &place).await;
        let context = format!("{operation}, {fault} at point {at}");
        let ended = run_child(operation, &place, fault, at);
        let mut over = false;
        if let Ended::Finished { passed, error } = ended {
            over = passed.len() < at;
            all.extend(passed.iter().cloned());
            if let Some((text, kind)) = error {
                check_error(
                    operation,
                    fault,
                    &text,
                    &kind,
                    &format!("{context}, after {:?}", passed.get(at - 1)),
                );
            }
        }
        check_and_do_again(operation, &place, &context).await;
        if over {
            return all;
        }
    }
    panic!("{operation} has more than {POINTS_MAX} points");
}

/// After a fault in the operation: the store is whole, and the operation succeeds.
pub async fn check_and_do_again(operation: &str, place: &Place, context: &str) {
    // What is damaged before a repair may be so after half of one.
    if operation != "repair" {
        check(place, context).await;
    }
    let store = place.open().await.unwrap();
    let again = operate(operation, place, &store).await;
    again.unwrap_or_else(|error| panic!("{context}: not done again: {}", crate::fixture::text_of(&error)));
    store.idle().await;
    drop(store);
    check(place, &format!("{context}, then done again")).await;
    check_result(operation, place).await;
}

/// The error says what the kernel said, and has its kind.
fn check_error(operation: &str, fault: &str, text: &str, kind: &str, context: &str) {
    let (says, expected) = match fault {
        "full" => ("No space left on device", ErrorKind::ResourceExhausted),
        _ => ("Read-only file system", ErrorKind::PermissionDenied),
    };
    assert!(text.contains(says), "{context}: {text}");
    // The findings of a repair have no kind of their own.
    assert!(operation == "repair" || kind == expected.reason(), "{context}: {kind}: {text}");
}

/// What the operation promises.
async fn check_result(operation: &str, place: &Place) {
    let store = place.open().await.unwrap();
    let has = |name: &str| store.resolve(name).is_ok();
    match operation {
        "pull" | "repair" => assert!(has(&place.reference("latest"))),
        "load" => assert!(has("loaded:1")),
        "pull-over-load" => assert!(has(&place.reference("latest")) && has("loaded:1")),
        "tag" => assert!(has("mine:1")),
        "untag" => assert!(has(&place.reference("latest")) && !has("mine:1")),
        "commit" => assert!(has(&place.reference("latest")) && has("committed:1")),
        "replace" => assert!(has(&place.reference("latest")) && has(&place.reference("other"))),
        _ => assert_eq!(store.list().unwrap().len(), 0),
    }
}

async fn sweep_all(fault: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut points = BTreeMap::new();
    for operation in OPERATIONS {
        points.insert(operation, sweep(operation, fault).await);
    }
    points
}

#[tokio::test]
async fn killed_at_every_point() {
    sweep_all("die").await;
}

/// Also that the operations pass every point there is: else the sweeps would prove nothing of the rest.
#[tokio::test]
async fn a_full_disk_at_every_point() {
    let passed: BTreeSet<String> = sweep_all("full").await.into_values().flatten().collect();
    let moments = [Moment::Before, Moment::After];
    let all = Step::ALL.iter().flat_map(|step| moments.map(|moment| format!("{step:?} {moment:?}")));
    let missed: Vec<_> = all.filter(|point| !passed.contains(point)).collect();
    assert!(missed.is_empty(), "no operation of the sweep passes {missed:?}");
}

#[tokio::test]
async fn a_read_only_file_system_at_every_point() {
    sweep_all("read-only").await;
}

/// A file system of so many KiB, really full: a pull fails cleanly at whatever size, and removal works when not a byte is free.
#[tokio::test]
async fn a_disk_that_is_really_full() {
    let fixture = fixture();
    let (_dir, place) = new_place(&fixture);
    let order = json!({"dir": place.dir, "repository": place.repository});
    // A mount namespace of its own: what is mounted here goes with the process.
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(own);
    command.args(["--exact", "sweep::full_child", "--nocapture"]).env(CHILD, order.to_string());
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

#[tokio::test]
async fn full_child() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

    let Ok(order) = std::env::var(CHILD) else { return };
    let order: Value = serde_json::from_str(&order).unwrap();
    let text = |key: &str| order[key].as_str().unwrap().to_owned();
    let place = Place { dir: text("dir").into(), repository: text("repository") };
    let root = place.root();
    let mut failed = 0;
    for kib in (40..1000).step_by(40) {
        let options = std::ffi::CString::new(format!("size={kib}k,mode=755")).unwrap();
        mount("tmpfs", &root, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        let store = place.open().await.unwrap();
        let pulled = place.pull(&store, "latest").await;
        store.idle().await;
        if let Err(error) = &pulled {
            let text = crate::fixture::text_of(error);
            assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{kib} KiB: {text}");
            assert!(text.contains("No space left on device"), "{kib} KiB: {text}");
            failed += 1;
        } else {
            fill(&root);
            assert!(verify(&store, false).await.0.wrong > 0, "there is no room to unpack anything beside");
            store.remove(&place.reference("latest"), false, &|_| None).unwrap();
            assert_eq!(store.list().unwrap().len(), 0);
        }
        assert_no_leak(&place, &format!("{kib} KiB"));
        drop(store);
        unmount(&root, UnmountFlags::DETACH).unwrap();
        if pulled.is_ok() {
            assert!(failed > 5, "the smaller ones were too small: {failed}");
            return;
        }
    }
    panic!("a megabyte is enough");
}

/// Takes what is free, to the last byte.
fn fill(root: &Path) {
    use std::io::Write as _;

    let mut filler = fs::File::create(root.join("filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
}
