//! The test machine: a stock Debian kernel under QEMU with pure cgroup v2, booted from the host's own tree.
//!
//! The host's root comes in read-only by virtiofs with a tmpfs above it, so everything built or installed on the host
//! is there and nothing on it can be harmed. Results leave through a second share. /var/lib/ross and its peers' data
//! lie on an ext4 disk, because overlay does not stack on overlay.

mod initramfs;
mod kernel;
mod machine;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

pub use machine::{Disk, Ended, Guard, Machine};

/// `cargo xtask vm [--keep-disk] [--seat N] -- COMMAND...`: machines in different seats run at the same time.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let (options, command) = match args.iter().position(|arg| arg == "--") {
        Some(split) => (&args[..split], &args[split + 1..]),
        None => (&args[..0], args),
    };
    let mut disk = Disk::Fresh;
    let mut seat = 0;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.as_str() {
            "--keep-disk" => disk = Disk::Kept,
            "--seat" => seat = options.next().context("--seat: which?")?.parse().context("--seat")?,
            other => bail!("vm: unknown option `{other}`"),
        }
    }
    if command.is_empty() {
        bail!("vm: no command; usage: cargo xtask vm [--keep-disk] [--seat N] -- COMMAND...");
    }
    let machine = Machine::prepare(seat)?;
    machine.run(command, disk).map(ExitCode::from)
}
