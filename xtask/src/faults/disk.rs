//! Disks that lose their power: an ext4 each, on a loop device.
//!
//! Two ways to the same thing, which is that the disk has what was written to it before the cut and nothing after:
//! `Flakey` is the kernel's dm-flakey with `drop_writes`. `Clone`, for kernels without the device mapper, copies the
//! file below the loop device at the moment of the cut, by reflink on an XFS, which takes the file's lock: no write is
//! half in it. What the file system has not sent to the device is lost by both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::host;

const DISK_BYTES: u64 = 256 << 20;
const POOL_BYTES: u64 = 16 << 30;

/// How a cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Clone,
    Flakey,
}

/// Runs a program of the host to its end; answers what it prints.
fn run(program: &str, args: &[&str]) -> Result<String> {
    let path = host::find(program).with_context(|| format!("no {program} here"))?;
    let output = Command::new(path).args(args).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", args.join(" "), text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the pool's paths are text")
}

/// A loop device over a file.
#[derive(Debug)]
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Result<Self> {
        run("losetup", &["-f", "--show", text(file)]).map(Self)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = run("losetup", &["-d", &self.0]);
    }
}

/// Where the files of the disks are, and all that is not to be cut.
#[derive(Debug)]
pub struct Pool {
    method: Method,
    dir: PathBuf,
    /// Of the XFS that clones.
    device: Option<Loop>,
}

impl Pool {
    pub fn make(method: Method) -> Result<Self> {
        let base = match method {
            // In memory, so that the host's disk is neither waited for nor worn.
            Method::Clone => Path::new("/dev/shm"),
            Method::Flakey => Path::new("/data/tmp"),
        };
        let dir = base.join(format!("ross-faults.{}", std::process::id()));
        fs::create_dir_all(dir.join("disks"))?;
        let mut pool = Self { method, dir, device: None };
        if method == Method::Clone {
            let file = pool.dir.join("pool.img");
            fs::File::create(&file)?.set_len(POOL_BYTES)?;
            let device = Loop::over(&file)?;
            run("mkfs.xfs", &["-q", &device.0])?;
            run("mount", &[&device.0, text(&pool.dir.join("disks"))])?;
            pool.device = Some(device);
        }
        Ok(pool)
    }

    /// A folder that survives every cut.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.device.is_some() {
            let _ = run("umount", &[text(&self.dir.join("disks"))]);
            self.device = None;
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A disk, mounted or not.
#[derive(Debug)]
pub struct Disk {
    method: Method,
    name: String,
    file: PathBuf,
    target: PathBuf,
    device: Option<Loop>,
    is_mounted: bool,
}

impl Disk {
    /// A new disk with an empty ext4, mounted.
    pub fn make(pool: &Pool, name: &str) -> Result<Self> {
        let target = pool.folder(&format!("mounts/{name}"))?;
        let file = pool.dir.join("disks").join(name);
        fs::File::create(&file)?.set_len(DISK_BYTES)?;
        let mut disk = Self {
            method: pool.method,
            name: format!("ross-faults-{name}"),
            file,
            target,
            device: None,
            is_mounted: false,
        };
        // Before there is a device, so that all of it is on the disk.
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", text(&disk.file)])?;
        disk.attach()?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn target(&self) -> &Path {
        &self.target
    }

    fn attach(&mut self) -> Result<()> {
        let device = Loop::over(&self.file)?;
        if self.method == Method::Flakey {
            let table = flakey(&device.0, "60 0 0")?;
            run("dmsetup", &["create", "--noudevsync", &self.name, "--table", &table])?;
        }
        self.device = Some(device);
        Ok(())
    }

    /// The block device that is mounted. There is no udev in the machine to make a name for it.
    fn node(&self) -> Result<String> {
        match (self.method, &self.device) {
            (_, None) => bail!("{} is not attached", self.name),
            (Method::Clone, Some(device)) => Ok(device.0.clone()),
            (Method::Flakey, Some(_)) => {
                let minor = run("dmsetup", &["info", "-c", "--noheadings", "-o", "minor", &self.name])?;
                Ok(format!("/dev/dm-{}", minor.trim()))
            }
        }
    }

    fn mount(&mut self) -> Result<()> {
        run("mount", &["-t", "ext4", &self.node()?, text(&self.target)])?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        if self.is_mounted {
            // An engine may have mounted something below.
            if run("umount", &["-R", text(&self.target)]).is_err() {
                run("umount", &["-R", "-l", text(&self.target)])?;
            }
            self.is_mounted = false;
        }
        Ok(())
    }

    fn table(&self, intervals: &str) -> Result<()> {
        let device = self.device.as_ref().context("the disk is attached")?;
        let table = flakey(&device.0, intervals)?;
        // Without the two options the file system would be synced first.
        run("dmsetup", &["suspend", "--nolockfs", "--noflush", &self.name])?;
        run("dmsetup", &["load", &self.name, "--table", &table])?;
        run("dmsetup", &["resume", "--noudevsync", &self.name])?;
        Ok(())
    }

    /// From now on nothing that is written reaches the disk.
    pub fn cut(&self) -> Result<()> {
        match self.method {
            Method::Flakey => self.table("0 3600 1 drop_writes"),
            Method::Clone => {
                let clone = self.file.with_extension("cut");
                run("cp", &["--reflink=always", text(&self.file), text(&clone)]).map(drop)
            }
        }
    }

    /// After the cut, when nothing uses it any more: mounted again as the disk has it, which replays its journal.
    pub fn restore(&mut self) -> Result<()> {
        self.unmount()?;
        match self.method {
            Method::Flakey => self.table("60 0 0")?,
            Method::Clone => {
                self.device = None;
                fs::rename(self.file.with_extension("cut"), &self.file)?;
                self.attach()?;
            }
        }
        self.mount().context("mount after the cut")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount();
        if self.method == Method::Flakey {
            let _ = run("dmsetup", &["remove", "--retry", &self.name]);
        }
        self.device = None;
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_file(self.file.with_extension("cut"));
    }
}

/// A table of dm-flakey: up and down intervals in seconds, then features with their number before them. Source:
/// Documentation/admin-guide/device-mapper/dm-flakey.rst.
fn flakey(device: &str, intervals: &str) -> Result<String> {
    Ok(format!("0 {} flakey {device} 0 {intervals}", DISK_BYTES / 512))
}
