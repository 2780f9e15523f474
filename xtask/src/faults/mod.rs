//! `cargo xtask faults images [--cuts N] [--lanes N] [--peers] [--vm] [--seat N] [--write]`: power cuts during and
//! after a pull, on ross and its peers in the same harness.
//!
//! Each cut has an ext4 of its own. An engine pulls an image of three layers and 450 files from a registry on loopback;
//! at some moment of the pull, or up to 40 seconds after the engine has said that it is done, the disk stops taking
//! writes and the engine is killed. Then the disk is mounted again (which replays its journal), the engine started, and
//! every file of the image compared with what it was made from; then the image is pulled again and all of it compared
//! once more. docs/faults.md says how a cut is made and what was seen.

mod cut;
mod disk;
mod machine;
mod report;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rootfs_fixtures::Registry;

use crate::bench::engines::{ALL, Kind};
use crate::vm::{Disk as MachineDisk, Machine};
use crate::{binaries, host, isolate};
use cut::{Cut, Moment};
use disk::{Method, Pool};

/// The image: three layers of 150 files.
const LAYERS: usize = 3;
const FILES_OF_LAYER: usize = 150;
/// The longest time between the engine's answer and the cut.
const WAIT_MAX: Duration = Duration::from_secs(40);
/// One cut in so many comes before the engine has answered.
const DURING: usize = 5;
/// Cuts of a peer for one of ross: each of theirs tells the same.
const PEERS_SHARE: usize = 8;

/// What was asked for.
#[derive(Debug)]
struct Options {
    cuts: usize,
    lanes: usize,
    peers: bool,
    in_vm: bool,
    seat: u8,
    write: bool,
    bin: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options =
            Self { cuts: 200, lanes: 16, peers: false, in_vm: false, seat: 0, write: false, bin: None };
        let mut args = args.iter();
        if args.next().map(String::as_str) != Some("images") {
            bail!("faults: of what? usage: cargo xtask faults images|machine [OPTION]...");
        }
        while let Some(arg) = args.next() {
            let mut number = || -> Result<usize> {
                let text = args.next().with_context(|| format!("{arg}: how many?"))?;
                text.parse().with_context(|| format!("{arg} {text}"))
            };
            match arg.as_str() {
                "--cuts" => options.cuts = number()?,
                "--lanes" => options.lanes = number()?.max(1),
                "--seat" => options.seat = u8::try_from(number()?)?,
                "--peers" => options.peers = true,
                "--vm" => options.in_vm = true,
                "--write" => options.write = true,
                "--bin" => options.bin = Some(args.next().context("--bin: which folder?")?.into()),
                other => bail!("faults: unknown option `{other}`"),
            }
        }
        Ok(options)
    }
}

pub fn main(args: &[String]) -> Result<ExitCode> {
    if let [subject, rest @ ..] = args
        && subject == "machine"
    {
        return machine::main(rest);
    }
    let options = Options::parse(args)?;
    host::require(&[host::MKFS, host::LOSETUP, host::REGISTRY, host::IP])?;
    if options.in_vm {
        host::require(&[host::DMSETUP])?;
    } else {
        host::require(&[host::MKFS_XFS])?;
    }
    let bin = match &options.bin {
        Some(bin) => std::path::absolute(bin)?,
        None => binaries::build()?.dir,
    };
    let report = binaries::target_dir().join("faults.md");
    let _ = std::fs::remove_file(&report);
    let method = if options.in_vm { "flakey" } else { "clone" };
    let peers = if options.peers { "peers" } else { "ross" };
    let out = if options.in_vm { "/results/faults.md".into() } else { report.to_string_lossy().into_owned() };
    let steps = [
        "faults-steps".to_owned(),
        bin.to_string_lossy().into_owned(),
        out,
        method.to_owned(),
        options.cuts.to_string(),
        options.lanes.to_string(),
        peers.to_owned(),
    ];
    let code = if options.in_vm {
        let own = std::env::current_exe()?.to_string_lossy().into_owned();
        let words: Vec<String> = std::iter::once(own).chain(steps).collect();
        let code = Machine::prepare(options.seat)?.run(&words, MachineDisk::Fresh)?;
        std::fs::copy(Machine::folder(options.seat).join("results/faults.md"), &report)
            .context("the cuts left no report")?;
        ExitCode::from(code)
    } else {
        isolate::rerun(&steps.each_ref().map(String::as_str))?
    };
    let text = std::fs::read_to_string(&report).context("the cuts left no report")?;
    println!("{text}");
    if options.write {
        let section = format!("faults {method}");
        crate::page::write("faults.md", &section, &format!("end {section}"), &text)?;
    }
    Ok(code)
}

/// The cuts, inside the namespaces or the machine: `faults-steps BIN REPORT clone|flakey CUTS LANES ross|peers`
pub fn steps(args: &[String]) -> Result<ExitCode> {
    let [bin, report, method, cuts, lanes, peers] = args else {
        bail!("faults-steps is for `cargo xtask faults`")
    };
    let method = if method == "flakey" { Method::Flakey } else { Method::Clone };
    let (cuts, lanes): (usize, usize) = (cuts.parse()?, lanes.parse()?);
    let pool = Pool::make(method)?;
    let registry = Registry::start(&pool.folder("registry")?)?;
    let image = rootfs_fixtures::layers_of_small_files(LAYERS, FILES_OF_LAYER);
    rootfs_fixtures::push(&image, &registry.address(), "faults/image", "1")?;
    let reference = format!("{}/faults/image:1", registry.address());
    let place = Place { bin: &own_copy(&pool, Path::new(bin))?, pool: &pool, reference: &reference };
    let mut rows = Vec::new();
    let mut failed = false;
    for (name, kind) in ALL {
        if kind != Kind::Ross && peers != "peers" {
            continue;
        }
        let share = if kind == Kind::Ross { cuts } else { (cuts / PEERS_SHARE).max(1) };
        println!("{name}: {share} cuts");
        let done = place.cut_all(name, kind, share, lanes);
        failed |= kind == Kind::Ross && done.iter().any(|cut| !cut.is_good());
        rows.push((name, done));
        // What was measured is kept, whatever becomes of the rest.
        std::fs::write(report, report::page(method, &rows)?)?;
    }
    drop(registry);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The programs, where starting one costs no round trip to the host.
fn own_copy(pool: &Pool, bin: &Path) -> Result<PathBuf> {
    let own = pool.folder("bin")?;
    for program in ["ross", "rossd", "ross-shim", "ross-runtime"] {
        std::fs::copy(bin.join(program), own.join(program)).with_context(|| format!("copy {program}"))?;
    }
    Ok(own)
}

/// What all cuts share.
pub struct Place<'a> {
    bin: &'a Path,
    pool: &'a Pool,
    reference: &'a str,
}

impl Place<'_> {
    /// Several lanes side by side, each one cut after the other: a cut is mostly waiting.
    fn cut_all(&self, name: &'static str, kind: Kind, cuts: usize, lanes: usize) -> Vec<Cut> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for lane in 0..lanes.min(cuts) {
                let (next, done) = (&next, &done);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= cuts {
                            return;
                        }
                        let cut = cut::make(self, name, kind, lane, moment(number));
                        println!("{name} {number}: {}", report::line(&cut));
                        done.lock().expect("no lane panics while it holds it").push(cut);
                    }
                });
            }
        });
        done.into_inner().expect("no lane panics while it holds it")
    }
}

/// When cut `number` comes: spread evenly whatever the number of cuts, since the steps of the golden ratio's fraction never
/// fall together.
fn moment(number: usize) -> Moment {
    const GOLDEN: f64 = 0.618_033_988_749_894_8;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred cuts")]
    let share = (number as f64 * GOLDEN).fract();
    if number % DURING == DURING - 1 { Moment::During(share) } else { Moment::After(WAIT_MAX.mul_f64(share)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_spread() {
        let mut after: Vec<_> = (0..200)
            .filter_map(|number| match moment(number) {
                Moment::After(wait) => Some(wait),
                Moment::During(share) => {
                    assert!((0.0..1.0).contains(&share));
                    None
                }
            })
            .collect();
        assert_eq!(after.len(), 160);
        after.sort();
        assert!(after[0] < Duration::from_secs(1) && after[159] > Duration::from_secs(39));
        let gap = after.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        assert!(gap < Duration::from_secs(1), "{gap:?}");
    }
}
