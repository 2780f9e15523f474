//! The first user space of the test machine: busybox, the modules a container host uses, and two scripts.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::host;

/// Modules loaded at boot, dependencies aside. What this kernel has built in, or lacks, is passed over.
const MODULES: &str = "\
    virtio_pci virtio_blk virtio_console virtiofs ext4 overlay \
    veth bridge br_netfilter dummy tun macvlan ipvlan \
    nf_tables nft_ct nft_nat nft_masq nft_chain_nat nft_redir nft_reject nft_reject_inet nft_log nft_limit \
    nft_fib nft_fib_inet nft_compat nft_numgen nft_hash nft_objref nft_counter nf_conntrack nf_nat \
    xt_nat xt_tcpudp xt_MASQUERADE xt_conntrack xt_addrtype xt_comment xt_mark xt_multiport xt_set xt_CHECKSUM \
    ip_tables ip6_tables iptable_filter iptable_nat \
    fuse squashfs erofs loop dm_mod dm_flakey dm_log_writes dm_snapshot";

/// Runs in the initramfs: makes the root of host tree and tmpfs, and goes there.
const INIT: &str = include_str!("init.sh");
/// Runs in the new root: cgroups, the data disk, the command.
const STAGE2: &str = include_str!("stage2.sh");

/// Writes a gzipped cpio archive to `target`.
pub fn write(kernel: &Kernel, work: &Path, target: &Path) -> Result<()> {
    host::require(&[host::BUSYBOX])?;
    let tree = work.join("initramfs");
    let _ = fs::remove_dir_all(&tree);
    for dir in ["bin", "dev", "proc", "sys", "lower", "rw", "root", "modules"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    let busybox = host::find("busybox").context("busybox")?;
    fs::copy(&busybox, tree.join("bin/busybox"))?;
    for applet in
        ["sh", "mount", "umount", "mkdir", "insmod", "switch_root", "cat", "echo", "sleep", "poweroff"]
    {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    let mut order = Vec::new();
    for name in MODULES.split_ascii_whitespace() {
        add_module(kernel, name, &mut order)?;
    }
    let mut list = String::new();
    for relative in &order {
        let file =
            Path::new(relative).file_name().context("module without a name")?.to_string_lossy().into_owned();
        fs::copy(kernel.modules.join(relative), tree.join("modules").join(&file))?;
        list.push_str(&file);
        list.push('\n');
    }
    fs::write(tree.join("modules/order"), list)?;
    write_script(&tree.join("init"), INIT)?;
    write_script(&tree.join("stage2"), STAGE2)?;
    let script = format!(
        "cd {} && {busybox} find . | {busybox} cpio -o -H newc 2>/dev/null | {busybox} gzip -1 > {}",
        tree.display(),
        target.display(),
        busybox = busybox.display()
    );
    let mut child = Command::new("sh").stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("stdin of sh")?.write_all(script.as_bytes())?;
    if !child.wait()?.success() {
        bail!("could not pack the initramfs");
    }
    Ok(())
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Appends a module after all it depends on.
fn add_module(kernel: &Kernel, name: &str, order: &mut Vec<String>) -> Result<()> {
    let dependencies = fs::read_to_string(kernel.modules.join("modules.dep"))?;
    let file_name = format!("{}.ko", name.replace('-', "_"));
    let line = dependencies.lines().find_map(|line| {
        let (module, needs) = line.split_once(':')?;
        let file = Path::new(module).file_name()?.to_str()?.replace('-', "_");
        (file == file_name).then(|| (module.to_owned(), needs.to_owned()))
    });
    let Some((module, needs)) = line else { return Ok(()) };
    let known: HashSet<String> = order.iter().cloned().collect();
    // modules.dep lists all transitive needs, the nearest first.
    let needed = needs.split_ascii_whitespace().rev().map(str::to_owned);
    order.extend(needed.chain([module]).filter(|path| !known.contains(path)));
    Ok(())
}
