//! `cargo xtask bench [runtime|run|pull|push|memory|images|trace]... [--vm] [--tmpfs] [--samples N]
//! [--scale N] [--write]`: ross against its peers from Debian, all in one run and in turn, as tables of medians and
//! ratios.
//!
//! Never a test: a figure depends on the machine. Everything runs in namespaces of its own, or with `--vm` in the
//! test machine, where the peers that need cgroup controllers can run.

pub mod engines;
mod images;
mod memory;
mod pull;
mod report;
mod run;
mod runtime;
mod sample;
mod trace;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::vm::{Disk, Machine};
use crate::{binaries, host, isolate};

/// Debian packages of the peers, and of what they need to run at all.
const PEERS: &[&str] = &[
    "podman",
    "crun",
    "runc",
    "containerd",
    "docker.io",
    "skopeo",
    "umoci",
    "conmon",
    "golang-github-containers-common",
    "iptables",
    // dockerd wants its parser where the kernel has AppArmor, as the test machine has.
    "apparmor",
    // Counts system calls.
    "strace",
];

/// Examples of ross-runtime that measure or are measured.
const OWN_PROGRAMS: [&str; 3] = ["floor", "peak", "instructions"];

/// Cgroups that containerd, docker and podman make above those of their containers.
const PARENT_GROUPS: [&str; 3] = ["default", "docker", "libpod_parent"];

/// What images are divided by in the test machine.
const SCALE_IN_MACHINE: usize = 5;

/// What to measure, and how often.
#[derive(Debug)]
struct Options {
    subjects: Vec<String>,
    samples: usize,
    /// Images are an Nth of their size on a host.
    scale: Option<usize>,
    in_vm: bool,
    write: bool,
    /// Engines keep their data in memory: no disk to wait for, and none that drowns the differences.
    in_memory: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            subjects: Vec::new(),
            samples: 15,
            scale: None,
            in_vm: false,
            write: false,
            in_memory: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--vm" => options.in_vm = true,
                "--write" => options.write = true,
                "--tmpfs" => options.in_memory = true,
                "--samples" => options.samples = number(arg, args.next())?.get(),
                "--scale" => options.scale = Some(number(arg, args.next())?.get()),
                "runtime" | "run" | "pull" | "push" | "memory" | "images" | "trace" => {
                    options.subjects.push(arg.clone());
                }
                other => bail!(
                    "bench: unknown word `{other}`; subjects are runtime, run, pull, push, memory, images, trace"
                ),
            }
        }
        if options.subjects.is_empty() {
            options.subjects = ["runtime", "run", "pull", "memory"].map(str::to_owned).into();
        }
        Ok(options)
    }

    /// The test machine is emulated: there a peer takes minutes for an image that takes it seconds on a host.
    fn scale(&self) -> usize {
        self.scale.unwrap_or(if self.in_vm { SCALE_IN_MACHINE } else { 1 })
    }

    /// Where in docs/performance.md the report goes: what is measured alone has a section of its own.
    fn section(&self) -> &'static str {
        match (&self.subjects[..], self.in_vm) {
            ([only], false) if only == "trace" => "trace",
            ([only], false) if only == "runtime" => "runtime",
            ([only], false) if only == "images" => "images",
            (_, true) => "vm",
            (_, false) => "host",
        }
    }
}

fn number(option: &str, value: Option<&String>) -> Result<NonZeroUsize> {
    let text = value.with_context(|| format!("{option}: give a number"))?;
    text.parse().with_context(|| format!("{option} {text}"))
}

pub fn main(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    host::require(&[host::BUSYBOX, host::NFT, host::IP, host::REGISTRY])?;
    if ["podman", "crun", "runc", "containerd", "dockerd", "skopeo", "umoci"]
        .iter()
        .any(|p| host::find(p).is_none())
    {
        host::install(PEERS)?;
    }
    let bin = binaries::build()?.dir;
    let mut what = vec!["-p", "ross-runtime"];
    what.extend(OWN_PROGRAMS.iter().flat_map(|name| ["--example", name]));
    let examples = binaries::build_static(&what)?.join("examples");
    for name in OWN_PROGRAMS {
        std::fs::copy(examples.join(name), bin.join(name)).with_context(|| format!("copy {name}"))?;
    }
    let report = binaries::target_dir().join("bench.md");
    let _ = std::fs::remove_file(&report);
    let (samples, scale) = (options.samples.to_string(), options.scale().to_string());
    let (bin, out) = (bin.to_string_lossy().into_owned(), report.to_string_lossy().into_owned());
    let disk = if options.in_memory { "tmpfs" } else { "disk" };
    let mut steps = vec!["bench-steps", &bin, &out, &samples, &scale, disk];
    steps.extend(options.subjects.iter().map(String::as_str));
    let code = if options.in_vm {
        let own = std::env::current_exe()?.to_string_lossy().into_owned();
        // The machine's own file system goes with it: the report comes out through the results share.
        let inside = "/results/bench.md";
        let words: Vec<String> = std::iter::once(own.as_str())
            .chain(steps.iter().map(|step| if *step == out { inside } else { step }))
            .map(str::to_owned)
            .collect();
        let code = Machine::prepare(0)?.run(&words, Disk::Fresh)?;
        std::fs::copy(Machine::folder(0).join("results/bench.md"), &report)
            .context("the bench left no report")?;
        ExitCode::from(code)
    } else {
        isolate::rerun(&steps)?
    };
    let text = std::fs::read_to_string(&report).context("the bench left no report")?;
    println!("{text}");
    if options.write {
        report::write(&text, options.section())?;
    }
    Ok(code)
}

/// The measurements, inside the namespaces or the machine: `bench-steps BIN REPORT SAMPLES SCALE disk|tmpfs SUBJECT...`
pub fn steps(args: &[String]) -> Result<ExitCode> {
    let [bin, report, samples, scale, disk, subjects @ ..] = args else {
        bail!("bench-steps is for `cargo xtask bench`")
    };
    let place = Place::new(Path::new(bin), samples.parse()?, scale.parse()?, disk == "tmpfs")?;
    let mut tables = vec![report::heading(subjects, &place)?];
    for subject in subjects {
        println!("measuring {subject}");
        let measured = match subject.as_str() {
            "runtime" => runtime::measure(&place),
            "run" => run::measure(&place),
            "pull" => pull::measure(&place),
            "images" => images::measure(&place),
            "push" => images::measure_push(&place),
            "trace" => trace::measure(&place),
            _ => memory::measure(&place),
        };
        tables.push(measured.unwrap_or_else(|error| format!("### {subject}\n\nnot measured: {error:#}\n")));
        // What is measured is kept, whatever becomes of the rest.
        std::fs::write(report, tables.join("\n"))?;
    }
    remove_groups_of_peers(Path::new("/sys/fs/cgroup"));
    Ok(ExitCode::SUCCESS)
}

/// They leave their parent groups behind, and crun that of a container it could not make, on the host's own hierarchy
/// too.
fn remove_groups_of_peers(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if PARENT_GROUPS.iter().any(|group| name == *group) || name.to_string_lossy().starts_with("bench-") {
            remove_group(&entry.path());
        }
    }
}

/// Removes a group and the groups in it; those that still have processes stay.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

/// Where the measurements lie: binaries under test, a folder on a real file system, how many samples of how much.
#[derive(Debug)]
pub struct Place {
    bin: PathBuf,
    dir: PathBuf,
    samples: usize,
    /// What the sizes of images are divided by.
    scale: usize,
    /// The folder is a tmpfs of its own.
    in_memory: bool,
}

impl Place {
    fn new(bin: &Path, samples: usize, scale: usize, in_memory: bool) -> Result<Self> {
        let base =
            Some(PathBuf::from("/data/tmp")).filter(|dir| dir.is_dir()).unwrap_or_else(std::env::temp_dir);
        let dir = base.join(format!("ross-bench.{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        if in_memory {
            mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), c"size=12g,mode=755")
                .context("mount a tmpfs")?;
        }
        Ok(Self { bin: bin.to_owned(), dir, samples, scale, in_memory })
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.in_memory {
            let _ = unmount(&self.dir, UnmountFlags::DETACH);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
