//! A stock kernel: Debian's (or Ubuntu's) cloud image package, downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::host;

/// Kernel packages to try in turn: Debian's, then Ubuntu's.
const PACKAGES: [&str; 2] = ["linux-image-cloud-amd64", "linux-image-virtual"];

/// An unpacked kernel.
#[derive(Debug)]
pub struct Kernel {
    pub image: PathBuf,
    /// `<dir>/lib/modules/<release>`, with modules.dep.
    pub modules: PathBuf,
}

/// The kernel unpacked below `dir`, fetched on first use.
pub fn fetch(dir: &Path) -> Result<Kernel> {
    let tree = dir.join("kernel");
    if !tree.join("complete").exists() {
        host::require(&[host::BUSYBOX])?;
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir_all(&tree)?;
        download(&tree)?;
        let release = release_of(&tree)?;
        let status = Command::new(host::find("busybox").context("busybox")?)
            .args(["depmod", "-b"])
            .arg(&tree)
            .arg(&release)
            .status()?;
        if !status.success() {
            bail!("depmod failed for kernel {release}");
        }
        fs::write(tree.join("complete"), &release)?;
    }
    let release = release_of(&tree)?;
    Ok(Kernel {
        image: tree.join("boot").join(format!("vmlinuz-{release}")),
        modules: tree.join("lib/modules").join(release),
    })
}

fn release_of(tree: &Path) -> Result<String> {
    let mut entries =
        fs::read_dir(tree.join("lib/modules")).context("the kernel package has no lib/modules")?;
    let entry = entries.next().context("the kernel package has no modules")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

fn download(tree: &Path) -> Result<()> {
    let update = Command::new("apt-get").args(["update", "-qq"]).status().context("run apt-get update")?;
    if !update.success() {
        bail!("apt-get update failed");
    }
    for package in PACKAGES {
        let Some(image) = dependency(package, "linux-image-")? else { continue };
        // Ubuntu keeps the modules apart; Debian's package has them.
        let wanted: Vec<String> = match dependency(&image, "linux-modules-")? {
            Some(modules) => vec![image, modules],
            None => vec![image],
        };
        println!("fetching {}", wanted.join(" "));
        let status = Command::new("apt-get")
            .args(["download", "-qq", "-o", "APT::Sandbox::User=root"])
            .args(&wanted)
            .current_dir(tree)
            .status()?;
        if !status.success() {
            bail!("apt-get download {} failed", wanted.join(" "));
        }
        for entry in fs::read_dir(tree)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                let status = Command::new("dpkg-deb").arg("-x").arg(&path).arg(tree).status()?;
                if !status.success() {
                    bail!("dpkg-deb -x {} failed", path.display());
                }
                fs::remove_file(&path)?;
            }
        }
        return Ok(());
    }
    bail!("no kernel package found; tried {}", PACKAGES.join(", "))
}

/// The first package that `package` depends on whose name starts with `prefix`.
fn dependency(package: &str, prefix: &str) -> Result<Option<String>> {
    let output = Command::new("apt-cache").args(["depends", package]).output().context("run apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.map(str::trim).find(|name| name.starts_with(prefix)).map(str::to_owned))
}
