//! Power cuts at the durable steps: the sweep's operations in a machine that is killed while one hangs at its point.
//!
//! `cargo xtask faults machine` boots the test machine again and again with this test in it and one disk. The test goes
//! on where the disk says it was: it looks at what the last cut left, then takes the next operation to its point, where
//! the machine is killed. So a boot is a cut, and the page cache of the machine is really lost.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ross_image::Action;
use serde_json::{Value, json};

use crate::sweep::{OPERATIONS, check_and_do_again, faulty, fixture_at, prepare};

/// The folder on the machine's disk.
const FOLDER: &str = "ROSS_IMAGE_POWER";
/// The file that says at the end how many cuts were looked at.
const REPORT: &str = "ROSS_IMAGE_POWER_REPORT";
/// One point in so many is tried; another one of each operation.
const STRIDE: &str = "ROSS_IMAGE_POWER_STRIDE";
/// In the machine it is nobody else's.
const REGISTRY: &str = "127.0.0.1:5999";

/// A cut, made or to be made.
#[derive(Debug, Clone, Copy)]
struct Cut {
    operation: usize,
    /// Which of the operation's points, from 1.
    at: usize,
    /// Cuts made before.
    before: u64,
}

impl Cut {
    fn first_of(operation: usize, stride: usize, before: u64) -> Self {
        Self { operation, at: 1 + operation % stride, before }
    }

    fn read(path: &Path) -> Option<Self> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            text => text.unwrap(),
        };
        let value: Value = serde_json::from_slice(&text).unwrap();
        let number = |key: &str| value[key].as_u64().unwrap();
        let index = |key: &str| usize::try_from(number(key)).unwrap();
        Some(Self { operation: index("operation"), at: index("at"), before: number("before") })
    }

    /// Durable when it returns.
    fn write(self, path: &Path) {
        let staged = path.with_extension("new");
        let text = json!({"operation": self.operation, "at": self.at, "before": self.before}).to_string();
        fs::write(&staged, text).unwrap();
        File::open(&staged).unwrap().sync_all().unwrap();
        fs::rename(&staged, path).unwrap();
        File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
    }
}

#[tokio::test]
#[ignore = "runs in a machine that is killed under it: cargo xtask faults machine"]
async fn next_cut() {
    let folder = std::env::var(FOLDER).expect("the folder on the machine's disk");
    let stride = std::env::var(STRIDE).map_or(1, |text| text.parse::<usize>().unwrap().max(1));
    let (folder, fixture) = (PathBuf::from(folder), fixture_at(REGISTRY));
    let (place_dir, pending) = (folder.join("place"), folder.join("cut.json"));
    let place = fixture.place(&place_dir);
    let mut cut = match Cut::read(&pending) {
        Some(made) => {
            let operation = OPERATIONS[made.operation];
            let context = format!("{operation}, cut at point {}", made.at);
            check_and_do_again(operation, &place, &context).await;
            println!("{context}: whole, and done again");
            Cut { at: made.at + stride, before: made.before + 1, ..made }
        }
        None => Cut::first_of(0, stride, 0),
    };
    while let Some(operation) = OPERATIONS.get(cut.operation) {
        if place_dir.exists() {
            fs::remove_dir_all(&place_dir).unwrap();
        }
        fs::create_dir_all(&place_dir).unwrap();
        place.furnish(&fixture);
        prepare(operation, &place).await;
        // What was before is no part of the question.
        rustix::fs::sync();
        cut.write(&pending);
        let (result, passed) = faulty(operation, &place, cut.at, Action::Hang).await;
        // Here it comes only when there is no such point any more.
        result.unwrap();
        assert!(passed.len() < cut.at, "{operation} passed point {} of {}", cut.at, passed.len());
        cut = Cut::first_of(cut.operation + 1, stride, cut.before);
    }
    fs::write(std::env::var(REPORT).unwrap(), cut.before.to_string()).unwrap();
}
