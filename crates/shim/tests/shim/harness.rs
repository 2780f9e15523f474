//! A bundle with busybox, a shim for it, and deadlines for everything.

use std::fs;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ross_shim::client::{AttachEvent, AttachStream, LaunchSpec, Launched, ShimBinary, ShimClient, launch};
use ross_shim::config::{CONFIG_VERSION, LogConfig, ShimConfig};
use ross_shim::exit_record::ExitRecord;
use ross_shim::protocol::{AttachRequest, Backpressure, ExecRequest, Exit, Stream, Streams};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::UnshareFlags;
use serde_json::{Value, json};

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

const BUSYBOX: &str = "/bin/busybox";
const CGROUPS: &str = "/sys/fs/cgroup";

pub static BINARY: LazyLock<ShimBinary> =
    LazyLock::new(|| ShimBinary::open(Path::new(env!("CARGO_BIN_EXE_ross-shim"))).unwrap());

static NEXT: AtomicU32 = AtomicU32::new(1);

/// Runs `test` on a thread with mounts and a network of its own, and cgroup v2 in its usual place.
pub fn in_own_world(test: impl AsyncFnOnce() + Send + 'static) {
    assert!(rustix::process::geteuid().is_root(), "containers need root");
    assert!(Path::new(BUSYBOX).exists(), "{BUSYBOX} is missing: install Debian's busybox-static");
    let thread = thread::spawn(|| {
        ross_sys::ns::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWNET).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        if !Path::new(CGROUPS).join("cgroup.procs").exists() {
            mount("none", CGROUPS, "cgroup2", MountFlags::empty(), None).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    // A failed assertion panics the thread: what it made is gone by then, and the failure is handed on.
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A container to be, and what its shim is told.
pub struct Bundle {
    pub dir: tempfile::TempDir,
    pub config: ShimConfig,
    pub spec: Value,
}

/// A container with its shim. Both end with it.
pub struct Shim {
    pub bundle: Bundle,
    pub pid: i32,
    pub client: ShimClient,
    process: OwnedFd,
}

/// What an attached client saw until the end.
#[derive(Debug, Default)]
pub struct Seen {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Option<Exit>,
}

impl Bundle {
    /// A container that runs `args`.
    pub fn new(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = format!("ross-shim-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let rootfs = dir.path().join("rootfs");
        for directory in ["bin", "dev", "proc", "sys", "tmp"] {
            fs::create_dir_all(rootfs.join(directory)).unwrap();
        }
        // Not by this process: what another thread forks meanwhile would have it open for writing, and for a moment
        // nobody could execute it.
        let copied = std::process::Command::new("cp").arg(BUSYBOX).arg(rootfs.join("bin/busybox")).status();
        assert!(copied.unwrap().success(), "{BUSYBOX} cannot be copied");
        for applet in ["sh", "cat", "sleep", "stty", "yes", "head", "seq", "grep", "echo", "true", "ls", "dd"]
        {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        let spec = json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "hostname": id,
            "process": process(args),
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            ],
            "linux": {
                "cgroupsPath": format!("/{id}"),
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            },
        });
        let config = ShimConfig {
            version: CONFIG_VERSION,
            id,
            bundle: dir.path().to_owned(),
            runtime_root: dir.path().join("runtime"),
            log: LogConfig::json_file(dir.path().join("container.log")),
            terminal: false,
            open_stdin: false,
            stdin_once: false,
            exit_record: dir.path().join("exit.json"),
            durable: true,
        };
        Self { dir, config, spec }
    }

    /// A container that runs this shell script.
    pub fn script(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub fn with_stdin(mut self) -> Self {
        self.config.open_stdin = true;
        self.config.stdin_once = true;
        self
    }

    pub fn with_terminal(mut self) -> Self {
        self.config.terminal = true;
        self.config.open_stdin = true;
        self.spec["process"]["terminal"] = true.into();
        self
    }

    /// Launches its shim.
    pub async fn launch(self) -> Shim {
        fs::write(self.dir.path().join("config.json"), self.spec.to_string()).unwrap();
        let spec = LaunchSpec { config: &self.config, dir: self.dir.path(), root: self.dir.path() };
        let launched = soon(launch(&BINARY, spec)).await.unwrap();
        Shim::new(self, launched)
    }

    /// Launches its shim and starts it.
    pub async fn start(self) -> Shim {
        let shim = self.launch().await;
        soon(shim.client.start(None)).await.unwrap();
        shim
    }
}

impl Shim {
    pub fn new(bundle: Bundle, Launched { pid, client }: Launched) -> Self {
        let process = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        Self { bundle, pid, client, process }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.bundle.dir.path().join(name)
    }

    pub async fn attach(&self, streams: Streams, backpressure: Backpressure) -> AttachStream {
        soon(self.client.attach(AttachRequest { exec: None, streams, backpressure })).await.unwrap()
    }

    /// Waits for the end, and sees to it that the exit record was there first.
    pub async fn wait(&self) -> Exit {
        let exit = soon(self.client.wait(None)).await.unwrap();
        let record =
            ExitRecord::read(&self.bundle.config.exit_record).unwrap().expect("recorded before told");
        assert_eq!(Exit::from(record), exit);
        exit
    }

    /// The entries of the log, as stream and text.
    pub fn log(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.bundle.config.log.path).unwrap();
        let parse = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            (entry["stream"].as_str().unwrap().to_owned(), entry["log"].as_str().unwrap().to_owned())
        };
        text.lines().map(parse).collect()
    }

    /// Ends everything and sees that nothing is left.
    pub async fn shutdown(self) {
        soon(self.client.shutdown()).await.unwrap();
        // The process is reaped in the background: its end shows in that nobody listens.
        soon(async {
            while self.client.state().await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;
        soon(async {
            while self.path("shim.sock").exists() {
                tokio::task::yield_now().await
            }
        })
        .await;
        let word = fs::read_to_string(self.path("shim.log")).unwrap_or_default();
        assert_eq!(word, "", "the shim's own log");
        let states = fs::read_dir(&self.bundle.config.runtime_root).map_or(0, Iterator::count);
        assert_eq!(states, 0, "runtime state is left behind");
        assert!(!self.cgroup().exists(), "the cgroup is left behind");
    }

    pub fn cgroup(&self) -> PathBuf {
        Path::new(CGROUPS).join(&self.bundle.config.id)
    }
}

/// Does nothing after [`Shim::shutdown`], and everything after a failed assertion.
impl Drop for Shim {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        let cgroup = self.cgroup();
        let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        let deadline = Instant::now() + DEADLINE;
        while cgroup.exists() && fs::remove_dir(&cgroup).is_err() && Instant::now() < deadline {
            thread::yield_now();
        }
    }
}

/// `process` of a specification.
pub fn process(args: &[&str]) -> Value {
    json!({"args": args, "env": ["PATH=/bin", "TERM=xterm"], "cwd": "/", "user": {"uid": 0, "gid": 0}})
}

/// An exec of a shell script, connected to everything.
pub fn exec(id: &str, script: &str) -> ExecRequest {
    ExecRequest {
        exec_id: id.to_owned(),
        process: process(&["/bin/sh", "-c", script]).to_string(),
        terminal: false,
        stdin: false,
        size: None,
        attach: Some(Streams::ALL),
    }
}

/// Reads an attachment to its end.
pub async fn see(stream: &mut AttachStream) -> Seen {
    let mut seen = Seen::default();
    while let Some(event) = soon(stream.next()).await.unwrap() {
        assert!(seen.exit.is_none(), "the exit is the last event");
        match event {
            AttachEvent::Output { stream: Stream::Stdout, bytes } => seen.stdout.extend_from_slice(&bytes),
            AttachEvent::Output { stream: Stream::Stderr, bytes } => seen.stderr.extend_from_slice(&bytes),
            AttachEvent::Exited(exit) => seen.exit = Some(exit),
        }
    }
    seen
}

/// Reads output until it contains `text`, and returns all of it.
pub async fn see_until(stream: &mut AttachStream, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match soon(stream.next()).await.unwrap() {
            Some(AttachEvent::Output { bytes, .. }) => seen.extend_from_slice(&bytes),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&seen)),
        }
        let so_far = String::from_utf8_lossy(&seen);
        if so_far.contains(text) {
            return so_far.into_owned();
        }
    }
}

/// What comes within the deadline.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}
