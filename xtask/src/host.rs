//! Programs that a command needs from the host, and how they come there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program and the Debian or Ubuntu package that has it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
}

pub const BUSYBOX: Program = Program { name: "busybox", package: "busybox-static" };
pub const NFT: Program = Program { name: "nft", package: "nftables" };
pub const QEMU: Program = Program { name: "qemu-system-x86_64", package: "qemu-system-x86" };
pub const MKFS: Program = Program { name: "mkfs.ext4", package: "e2fsprogs" };
pub const REGISTRY: Program = Program { name: "docker-registry", package: "docker-registry" };
pub const IP: Program = Program { name: "ip", package: "iproute2" };
pub const MKFS_XFS: Program = Program { name: "mkfs.xfs", package: "xfsprogs" };
pub const LOSETUP: Program = Program { name: "losetup", package: "mount" };
pub const DMSETUP: Program = Program { name: "dmsetup", package: "dmsetup" };
/// What programs tell a service manager with, for tests of that.
pub const NOTIFY: Program = Program { name: "systemd-notify", package: "systemd" };
pub const STRACE: Program = Program { name: "strace", package: "strace" };
/// What calls ross-runtime in the test machine, and what those need to run there.
pub const CALLERS: [Program; 8] = [
    Program { name: "podman", package: "podman" },
    Program { name: "conmon", package: "conmon" },
    Program { name: "containerd", package: "containerd" },
    Program { name: "ctr", package: "containerd" },
    Program { name: "dockerd", package: "docker.io" },
    Program { name: "docker", package: "docker.io" },
    Program { name: "iptables", package: "iptables" },
    Program { name: "apparmor_parser", package: "apparmor" },
];

const SEARCH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where `name` is, if it is there.
pub fn find(name: &str) -> Option<PathBuf> {
    SEARCH.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// Makes sure all of `programs` are there, installing their packages where root and apt allow it.
pub fn require(programs: &[Program]) -> Result<()> {
    let mut missing: Vec<&str> =
        programs.iter().filter(|p| find(p.name).is_none()).map(|p| p.package).collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    for program in programs {
        if find(program.name).is_none() {
            bail!("package {} is installed, and has no program {}", program.package, program.name);
        }
    }
    Ok(())
}

/// Installs Debian packages, or says what to type.
pub fn install(packages: &[&str]) -> Result<()> {
    let line = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if find("apt-get").is_none() {
        bail!(
            "this host has no apt-get; install the programs of these Debian packages: {}",
            packages.join(" ")
        );
    }
    println!("installing {}", packages.join(" "));
    let log = std::env::temp_dir().join("ross-xtask-apt.log");
    let status = Command::new("sh")
        .arg("-c")
        // RUNLEVEL=1 keeps the packages' services from being started.
        .arg(format!("({line}) >{} 2>&1 </dev/null", log.display()))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .status()
        .context("run apt-get")?;
    if !status.success() {
        bail!("could not install: as root, run `{line}` (its output is in {})", log.display());
    }
    Ok(())
}
