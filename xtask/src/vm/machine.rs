//! One boot of the test machine: virtiofsd for the shares, QEMU, the command's output, its exit code.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{initramfs, kernel};
use crate::{binaries, host};

const VIRTIOFSD: [&str; 3] = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"];
const MEMORY: &str = "4G";
const DISK_BYTES: u64 = 24 << 30;
const SOCKET_DEADLINE: Duration = Duration::from_secs(20);

/// What becomes of the ext4 disk of the boot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// A new, empty file system.
    Fresh,
    /// As the boot before left it, for tests of power cuts.
    Kept,
}

/// How a boot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The command's exit code.
    Code(u8),
    /// The machine was killed, since its output had a text between the two that were looked for.
    Cut(String),
}

/// A machine ready to boot.
#[derive(Debug)]
pub struct Machine {
    dir: PathBuf,
    kernel: kernel::Kernel,
    initramfs: PathBuf,
    virtiofsd: PathBuf,
    /// Held while the machine's folder is in use.
    _lock: File,
}

impl Machine {
    /// Installs QEMU, fetches the kernel and packs the initramfs where these are missing. One machine boots in each
    /// seat at a time; a second in the same seat waits.
    pub fn prepare(seat: u8) -> Result<Self> {
        let shared = binaries::target_dir().join("vm");
        let dir = Self::folder(seat);
        fs::create_dir_all(&dir)?;
        let preparing = File::create(shared.join("prepare.lock"))?;
        preparing.lock().context("wait for another seat to be prepared: apt-get takes one at a time")?;
        host::require(&[host::QEMU, host::BUSYBOX, host::MKFS])?;
        let virtiofsd = match find_virtiofsd() {
            Some(path) => path,
            None => {
                // Debian 12 has it with QEMU, later releases apart.
                host::install(&["virtiofsd"]).or_else(|_| host::install(&["qemu-system-common"]))?;
                find_virtiofsd().context("no virtiofsd on this host; install the package virtiofsd")?
            }
        };
        let kernel = kernel::fetch(&shared)?;
        drop(preparing);
        let lock = File::create(dir.join("lock"))?;
        lock.lock().context("wait for another test machine to end")?;
        let initramfs = dir.join("initramfs.cpio.gz");
        initramfs::write(&kernel, &dir, &initramfs)?;
        Ok(Self { dir, kernel, initramfs, virtiofsd, _lock: lock })
    }

    /// What a seat's machine leaves: its console's log, its disk, and `results`, which the guest writes.
    pub fn folder(seat: u8) -> PathBuf {
        binaries::target_dir().join(format!("vm/{seat}"))
    }

    /// Boots, runs `command` in the current folder, streams its output, and answers its exit code.
    pub fn run(&self, command: &[String], disk: Disk) -> Result<u8> {
        match self.boot(command, disk, None)? {
            Ended::Code(code) => Ok(code),
            Ended::Cut(_) => bail!("the machine was killed"),
        }
    }

    /// The same, but the machine is killed as soon as it has written something between these two texts: then the disk is
    /// checked, as at the next start of a machine whose power was cut.
    pub fn run_until(&self, command: &[String], disk: Disk, around: [&str; 2]) -> Result<Ended> {
        let ended = self.boot(command, disk, Some(around))?;
        if matches!(ended, Ended::Cut(_)) {
            self.check_disk()?;
        }
        Ok(ended)
    }

    fn boot(&self, command: &[String], disk: Disk, until: Option<[&str; 2]>) -> Result<Ended> {
        let results = self.dir.join("results");
        fs::create_dir_all(&results)?;
        for stale in ["exit-code", "command", "environment"] {
            let _ = fs::remove_file(results.join(stale));
        }
        fs::write(results.join("command"), script(command))?;
        fs::write(results.join("environment"), self.environment()?)?;
        let image = self.disk(disk)?;

        let host_share = Share::serve(&self.virtiofsd, &self.dir, "host", Path::new("/"))?;
        let results_share = Share::serve(&self.virtiofsd, &self.dir, "results", &results)?;
        let mut qemu = Guard(self.qemu(&host_share, &results_share, &image)?.spawn().context("start QEMU")?);
        let mut output = qemu.0.stdout.take().context("QEMU's stdout")?;
        if let Some(text) = copy(&mut output, until)? {
            qemu.0.kill().context("kill QEMU")?;
            qemu.0.wait()?;
            return Ok(Ended::Cut(text));
        }
        let status = qemu.0.wait()?;
        if !status.success() {
            bail!("QEMU ended with {status}; see {}", self.dir.join("console.log").display());
        }
        let code = fs::read_to_string(results.join("exit-code")).with_context(|| {
            format!(
                "the test machine went down without an exit code; see {}",
                self.dir.join("console.log").display()
            )
        })?;
        code.trim().parse().map(Ended::Code).with_context(|| format!("exit code `{}`", code.trim()))
    }

    /// What a machine does at its start. Source: e2fsck(8), exit codes 0 and 1.
    fn check_disk(&self) -> Result<()> {
        let image = self.dir.join("disk.img");
        let mut fsck = Command::new(host::find("e2fsck").context("no e2fsck beside mkfs.ext4")?);
        let output = fsck.arg("-p").arg(&image).output().context("run e2fsck")?;
        match output.status.code() {
            Some(0 | 1) => Ok(()),
            _ => bail!("e2fsck -p {}: {}", image.display(), String::from_utf8_lossy(&output.stdout)),
        }
    }

    fn qemu(&self, host: &Share, results: &Share, image: &Path) -> Result<Command> {
        let (accelerator, cpu) = accelerator();
        let mut qemu = Command::new(host::find(host::QEMU.name).context("QEMU")?);
        qemu.args(["-machine", "q35", "-accel", accelerator, "-cpu", cpu, "-smp", "2", "-m", MEMORY])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"])
            .args(["-object", &format!("memory-backend-memfd,id=mem,size={MEMORY},share=on"), "-numa", "node,memdev=mem"])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&self.initramfs)
            .args(["-append", "console=ttyS0 loglevel=4 panic=-1 rdinit=/init cgroup_no_v1=all lsm=lockdown,yama,apparmor,bpf"])
            .args(["-serial", &format!("file:{}", self.dir.join("console.log").display())])
            .args(["-device", "virtio-serial-pci", "-chardev", "stdio,id=out,signal=off"])
            .args(["-device", "virtserialport,chardev=out,name=ross.out"])
            .args(["-drive", &format!("file={},format=raw,if=virtio,cache=writeback,discard=unmap", image.display())])
            // Held open: a port whose character device has reached its end blocks the guest's writes.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for share in [host, results] {
            qemu.args(["-chardev", &format!("socket,id={},path={}", share.tag, share.socket.display())])
                .args([
                    "-device",
                    &format!("vhost-user-fs-pci,chardev={0},tag={0},queue-size=1024", share.tag),
                ]);
        }
        Ok(qemu)
    }

    fn environment(&self) -> Result<String> {
        let dir = std::env::current_dir()?;
        let mut text = format!(
            "export ROSS_VM=1 ROSS_VM_DIR={} ROSS_VM_MODULES={}\n",
            quote(&dir.to_string_lossy()),
            quote(&self.kernel.modules.to_string_lossy())
        );
        for (key, value) in std::env::vars() {
            let ours = key.starts_with("ROSS_") || key.starts_with("RUST_") || key == "CARGO_TARGET_DIR";
            if ours && !key.starts_with("ROSS_VM") {
                text.push_str(&format!("export {key}={}\n", quote(&value)));
            }
        }
        Ok(text)
    }

    fn disk(&self, disk: Disk) -> Result<PathBuf> {
        let image = self.dir.join("disk.img");
        if disk == Disk::Kept && image.exists() {
            return Ok(image);
        }
        let _ = fs::remove_file(&image);
        File::create(&image)?.set_len(DISK_BYTES)?;
        let status = Command::new(host::find(host::MKFS.name).context("mkfs.ext4")?)
            .args(["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1"])
            .arg(&image)
            .status()?;
        if !status.success() {
            bail!("mkfs.ext4 {} failed", image.display());
        }
        Ok(image)
    }
}

/// Plain emulation, which works on any host; `ROSS_VM_ACCEL=kvm` where nested virtualisation is known to be sound.
fn accelerator() -> (&'static str, &'static str) {
    match std::env::var("ROSS_VM_ACCEL").as_deref() {
        Ok("kvm") => ("kvm", "host"),
        _ => ("tcg,thread=multi", "max"),
    }
}

fn find_virtiofsd() -> Option<PathBuf> {
    VIRTIOFSD.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// The command as a script: one word is shell text, several are a program and its arguments.
fn script(command: &[String]) -> String {
    match command {
        [text] => format!("{text}\n"),
        words => format!("exec {}\n", words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")),
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Copies to standard output: to the end, or until there was something between these two texts, which is the answer.
fn copy(output: &mut impl Read, until: Option<[&str; 2]>) -> Result<Option<String>> {
    let mut buffer = vec![0; 64 << 10];
    let mut stdout = std::io::stdout().lock();
    // The last line, which may come in pieces.
    let mut line = String::new();
    loop {
        let read = output.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        stdout.write_all(&buffer[..read])?;
        stdout.flush()?;
        if let Some([before, after]) = until {
            line.push_str(&String::from_utf8_lossy(&buffer[..read]));
            let rest = line.split_once(before).and_then(|(_, rest)| rest.split_once(after));
            if let Some((text, _)) = rest {
                return Ok(Some(text.to_owned()));
            }
            line.drain(..line.rfind('\n').map_or(0, |end| end + 1));
        }
    }
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder served by virtiofsd.
#[derive(Debug)]
struct Share {
    tag: &'static str,
    socket: PathBuf,
    _daemon: Guard,
}

impl Share {
    fn serve(virtiofsd: &Path, dir: &Path, tag: &'static str, source: &Path) -> Result<Self> {
        let socket = dir.join(format!("{tag}.sock"));
        let _ = fs::remove_file(&socket);
        let log = File::create(dir.join(format!("{tag}.virtiofsd.log")))?;
        let mut daemon = Guard(
            Command::new(virtiofsd)
                .arg(format!("--socket-path={}", socket.display()))
                .args(["-o", &format!("source={},cache=auto,xattr,sandbox=chroot", source.display())])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .with_context(|| format!("start {}", virtiofsd.display()))?,
        );
        let deadline = Instant::now() + SOCKET_DEADLINE;
        while !socket.exists() {
            if let Some(status) = daemon.0.try_wait()? {
                bail!("virtiofsd for {} ended with {status}; see {}", source.display(), dir.display());
            }
            if Instant::now() > deadline {
                bail!("virtiofsd for {} made no socket within {SOCKET_DEADLINE:?}", source.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { tag, socket, _daemon: daemon })
    }
}
