//! Pulls, removals, tags, loads, verifications and containers of images that share layers, all at once, under a
//! checker: whoever holds an image finds its files, nothing is lost, nothing is left over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ross_image::{Error, ImageRecords as _, VerifyOrder};
use ross_types::ErrorKind;

use crate::fixture::{Layer, Packing, TestImage, TestStore, noise, tar_of, text_of};
use crate::registry::Registry;

const WORKERS: u64 = 8;
const TIME: Duration = Duration::from_secs(6);
const IMAGES: usize = 4;

/// Image `number` has the layers 0 to `number`, and one of its own.
fn image(number: usize) -> TestImage {
    let shared = |layer: usize| {
        let name = format!("etc/shared{layer}");
        Layer::of(&[(&name, &noise(layer as u64 + 1, 20_000))], Packing::Gzip)
    };
    let mut layers: Vec<_> = (0..=number).map(shared).collect();
    layers.push(Layer::of(&[("etc/own", number.to_string().as_bytes())], Packing::Plain));
    TestImage::new(layers)
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What may happen to somebody who is one of many.
fn expected(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FailedPrecondition)
}

/// An image that is held is whole, for as long as it is held.
fn use_image(test: &TestStore, name: &str) -> Result<bool, Error> {
    let image = test.store.resolve(name)?;
    let hold = test.store.hold(&image.record.id)?;
    for _ in 0..3 {
        let top = image.record.layers.len() - 1;
        let own = String::from_utf8(test.read(&image, top, "etc/own")).unwrap();
        assert_eq!(own.parse::<usize>().unwrap() + 1, top, "{name}");
        for layer in 0..top {
            let content = test.read(&image, layer, &format!("etc/shared{layer}"));
            assert_eq!(content, noise(layer as u64 + 1, 20_000), "{name}: layer {layer}");
        }
        std::thread::yield_now();
    }
    drop(hold);
    Ok(true)
}

async fn work(
    test: Arc<TestStore>,
    registry: Registry,
    seed: u64,
    counts: Arc<std::sync::Mutex<HashMap<&'static str, usize>>>,
) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let end = Instant::now() + TIME;
    let archive = tar_archive();
    while Instant::now() < end {
        let name = registry.reference(&format!(":{}", dice.roll(IMAGES)));
        let (what, done) = match dice.roll(10) {
            0..=3 => ("pull", test.pull(&name).await.map(drop)),
            4..=5 => {
                let (test, name) = (test.clone(), name.clone());
                let force = dice.roll(2) == 0;
                let removing = move || test.store.remove(&name, force, &|_| None).map(drop);
                ("remove", tokio::task::spawn_blocking(removing).await.unwrap())
            }
            6 => {
                let (test, name, number) = (test.clone(), name.clone(), dice.roll(3));
                let tagging = move || {
                    let image = test.store.resolve(&name)?;
                    test.store.tag(&image, &format!("mine:{number}").parse().unwrap())?;
                    test.store.remove(&format!("mine:{number}"), false, &|_| None).map(drop)
                };
                ("tag", tokio::task::spawn_blocking(tagging).await.unwrap())
            }
            7 => (
                "load",
                test.store.load(std::io::Cursor::new(archive.clone()), Arc::new(|_| {})).await.map(drop),
            ),
            8 => {
                let order = VerifyOrder {
                    images: vec![name.clone()],
                    repair: false,
                    credentials: HashMap::new(),
                    in_use: Arc::new(|_| None),
                };
                let sink = Arc::new(|event| assert!(!format!("{event:?}").contains("Found"), "{event:?}"));
                ("verify", test.store.verify(order, sink).await.map(drop))
            }
            _ => {
                let (test, name) = (test.clone(), name.clone());
                ("use", tokio::task::spawn_blocking(move || use_image(&test, &name).map(drop)).await.unwrap())
            }
        };
        match done {
            Ok(()) => *counts.lock().unwrap().entry(what).or_default() += 1,
            Err(error) => assert!(expected(&error), "{what} {name}: {}", text_of(&error)),
        }
    }
}

/// The first image as a docker archive, under a name of its own.
fn tar_archive() -> Vec<u8> {
    let image = image(0);
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": ["loaded:1"], "Layers": ["0.tar", "1.tar"],
    }]);
    tar_of(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("config.json", &image.config),
        ("0.tar", &image.layers[0].tar),
        ("1.tar", &image.layers[1].tar),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_at_once() {
    let registry = Registry::start();
    for number in 0..IMAGES {
        registry.add(&number.to_string(), &image(number));
    }
    let test = Arc::new(TestStore::open().await);
    let counts = Arc::new(std::sync::Mutex::new(HashMap::new()));
    let workers: Vec<_> = (1..=WORKERS)
        .map(|seed| tokio::spawn(work(test.clone(), registry.clone(), seed, counts.clone())))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(60), test.store.idle()).await.expect("all work ends");
    let counts = counts.lock().unwrap().clone();
    for what in ["pull", "remove", "tag", "load", "verify", "use"] {
        assert!(counts.get(what).copied().unwrap_or_default() > 3, "too little was done: {counts:?}");
    }

    let records = test.records.images().unwrap();
    let keys: BTreeSet<_> =
        records.iter().flat_map(|record| &record.layers).map(|layer| layer.key.clone()).collect();
    let on_disk: BTreeSet<_> = std::fs::read_dir(test.dir.path().join("layers"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".staging")
        .collect();
    assert_eq!(on_disk, keys, "the layers on disk are those of the images");
    assert_eq!(test.files("layers/.staging"), Vec::<String>::new());
    let verdict = crate::verify::verify(&test, false).await;
    assert_eq!(verdict.findings, []);
}
