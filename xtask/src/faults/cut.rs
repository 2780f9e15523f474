//! One cut, from an empty disk to what is on it afterwards.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::disk::Disk;
use super::{Place, tree};
use crate::bench::engines::{Engine, Kind};

/// A cut during a pull comes within this time after its beginning; one that the pull was faster than counts as one after
/// the answer.
const PULL_GUESS: Duration = Duration::from_millis(1000);

/// When a cut comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// At this share of the pull.
    During(f64),
    /// So long after the engine has said that the image is there.
    After(Duration),
}

/// What a cut came to.
#[derive(Debug)]
pub struct Cut {
    pub moment: Moment,
    pub outcome: Result<Outcome>,
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The engine had said that the image is there.
    pub acknowledged: bool,
    /// It lists the image after the cut.
    pub listed: bool,
    /// Files and directories of the image that are missing or differ, after the cut.
    pub wrong: usize,
    /// What the engine's own check says; only ross has one.
    pub verifies: Option<bool>,
    /// The second pull succeeded.
    pub pulled_again: bool,
    /// What is wrong after it.
    pub wrong_again: usize,
}

impl Outcome {
    /// What was promised is not there, or what is listed is not whole.
    pub fn is_corrupt(&self) -> bool {
        if self.listed { self.wrong > 0 } else { self.acknowledged }
    }

    /// All is right after the second pull.
    pub fn is_healed(&self) -> bool {
        self.pulled_again && self.wrong_again == 0
    }
}

impl Cut {
    /// Nothing was lost, and the next pull is whole.
    pub fn is_good(&self) -> bool {
        let good = |outcome: &Outcome| {
            !outcome.is_corrupt() && outcome.is_healed() && (outcome.verifies != Some(false))
        };
        self.outcome.as_ref().is_ok_and(good)
    }
}

pub fn make(place: &Place<'_>, name: &'static str, kind: Kind, lane: usize, moment: Moment) -> Cut {
    Cut { moment, outcome: attempt(place, name, kind, lane, moment) }
}

fn attempt(
    place: &Place<'_>,
    name: &'static str,
    kind: Kind,
    lane: usize,
    moment: Moment,
) -> Result<Outcome> {
    let lane = format!("{name}-{lane}");
    let mut disk = Disk::make(place.pool, &lane)?;
    let run = place.pool.folder(&format!("run/{lane}"))?;
    let data = disk.target().to_owned();
    let start = || Engine::start_in(&run, &data, place.bin, name, kind);

    let engine = start().context("before the cut")?;
    let acknowledged = match moment {
        Moment::After(wait) => {
            engine.pull(place.reference).context("the first pull")?;
            std::thread::sleep(wait);
            disk.cut()?;
            true
        }
        Moment::During(share) => cut_during(&engine, place, &disk, share)?,
    };
    engine.kill();
    disk.restore()?;

    let engine = start().context("after the cut")?;
    let listed = engine.has(place.reference);
    let wrong = tree::wrong(kind, &data);
    let verifies = (kind == Kind::Ross).then(|| engine.call(&["image", "verify"]).is_ok());
    let pulled_again = engine.pull(place.reference).is_ok();
    let wrong_again = tree::wrong(kind, &data);
    engine.kill();
    let _ = std::fs::remove_dir_all(&run);
    Ok(Outcome { acknowledged, listed, wrong, verifies, pulled_again, wrong_again })
}

/// Cuts at `share` of a pull; says whether the engine had answered by then.
fn cut_during(engine: &Engine, place: &Place<'_>, disk: &Disk, share: f64) -> Result<bool> {
    let mut pulling = engine.pulling(place.reference)?;
    let log = File::create(engine.log())?;
    let client: &mut Command = pulling.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut client = client.spawn().context("start the pull")?;
    let begun = Instant::now();
    std::thread::sleep(PULL_GUESS.mul_f64(share).saturating_sub(begun.elapsed()));
    // Asked before the cut: what ends after it was not promised.
    let acknowledged = client.try_wait()?.is_some_and(|status| status.success());
    disk.cut()?;
    let _ = client.kill();
    let _ = client.wait();
    Ok(acknowledged)
}
