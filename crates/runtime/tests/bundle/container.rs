//! A bundle of busybox in a temporary directory, and the command line run on it in a private mount namespace.
//! Containers, cgroups and directories are gone when it is dropped.

#![expect(dead_code, reason = "each suite uses a part of it")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const RUNTIME: &str = env!("CARGO_BIN_EXE_ross-runtime");
const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 27] = [
    "sh", "true", "false", "cat", "ls", "id", "mount", "env", "sleep", "echo", "grep", "hostname", "stat",
    "ps", "kill", "tty", "pwd", "touch", "mkdir", "readlink", "head", "dd", "test", "stty", "umount", "ln",
    "tail",
];

/// A bundle, and a state directory of the runtime.
pub struct Bundle {
    dir: TempDir,
    pub id: String,
    pub config: Value,
    /// The runtime.
    pub program: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Bundle {
    /// A bundle that runs `script` by the shell.
    pub fn new(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "containers need root");
        assert!(Path::new(BUSYBOX).exists(), "needs {BUSYBOX} of the package busybox-static");
        let groups = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"];
        assert!(groups.iter().any(|path| Path::new(path).exists()), "needs a cgroup v2 hierarchy");
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("rootfs");
        for name in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        // Not by this process: what another thread forks meanwhile would have it open for writing, and for a moment
        // nobody could execute it.
        let copied = Command::new("cp").arg(BUSYBOX).arg(root.join("bin/busybox")).status().unwrap();
        assert!(copied.success(), "{BUSYBOX} cannot be copied");
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let mut config = serde_json::to_value(ross_runtime::defaults::default_spec()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", script]);
        // Of its own on the whole host: a process id is not, for who runs in a pid namespace.
        let random = dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches(".tmp").to_owned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { dir, id: format!("ross-test-{random}-{number}"), config, program: RUNTIME.into() }
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// A file beside the root, which a container must never reach.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    pub fn namespace(&mut self, namespace: Value) {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|other| other["type"] != namespace["type"]);
        namespaces.push(namespace);
    }

    /// Gives the container a user namespace, and the root to its root.
    pub fn user_namespace(&mut self) {
        self.namespace(json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
        self.config["linux"]["uidMappings"] = map.clone();
        self.config["linux"]["gidMappings"] = map;
        let owned = Command::new("chown").args(["-R", "100000:100000"]).arg(self.rootfs()).status().unwrap();
        assert!(owned.success());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]).arg(&self.program);
        command.arg("--root").arg(self.dir.path().join("state")).args(arguments).stdin(Stdio::null());
        command
    }

    fn of_container(&self, arguments: &[&str]) -> Command {
        let arguments: Vec<&str> =
            arguments.iter().map(|&word| if word == "ID" { self.id.as_str() } else { word }).collect();
        self.command(&arguments)
    }

    /// Runs the command line, with `ID` standing for the container.
    pub fn runtime(&self, arguments: &[&str]) -> Said {
        said(self.of_container(arguments).output().unwrap())
    }

    /// The same, with something on standard input.
    pub fn runtime_with_input(&self, arguments: &[&str], input: &str) -> Said {
        let file = self.outside("input");
        std::fs::write(&file, input).unwrap();
        said(self.of_container(arguments).stdin(std::fs::File::open(file).unwrap()).output().unwrap())
    }

    /// The same, for what leaves a program behind whose streams must not keep the test waiting.
    pub fn runtime_detached(&self, arguments: &[&str]) -> i32 {
        let mut command = self.of_container(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code().unwrap()
    }

    /// Starts the command line, which the test goes on beside.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.of_container(arguments).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// A script of the host's shell in a mount and a network namespace of its own, in which `$RUN` runs the container and `$D` is the
    /// directory of the bundle.
    pub fn shell(&self, script: &str) -> Said {
        self.write_config();
        let dir = self.dir.path().display();
        let run = format!("{RUNTIME} --root {dir}/state run --bundle {dir} {}", self.id);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--propagation", "private", "sh", "-ec", script]);
        said(command.env("RUN", run).env("D", self.dir.path()).stdin(Stdio::null()).output().unwrap())
    }

    /// Lets the container mount: the right to it, and no filter.
    pub fn may_mount(&mut self) {
        for set in ["bounding", "effective", "permitted"] {
            let set = self.config["process"]["capabilities"][set].as_array_mut().unwrap();
            set.push(json!("CAP_SYS_ADMIN"));
        }
        self.config["linux"]["seccomp"] = Value::Null;
    }

    pub fn write_config(&self) {
        std::fs::write(self.dir.path().join("config.json"), self.config.to_string()).unwrap();
    }

    /// `run` in the foreground.
    pub fn run(&self) -> Said {
        self.run_with(&[])
    }

    pub fn run_with(&self, options: &[&str]) -> Said {
        self.write_config();
        let bundle = self.dir.path().to_str().unwrap();
        let mut arguments = vec!["run", "--bundle", bundle, "ID"];
        arguments.extend(options);
        self.runtime(&arguments)
    }

    /// `create` or `run --detach`, whose streams must not keep the test waiting.
    pub fn detached(&self, arguments: &[&str]) -> i32 {
        self.write_config();
        let mut words = arguments.to_vec();
        words.extend(["--bundle", self.dir.path().to_str().unwrap(), self.id.as_str()]);
        self.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code().unwrap()
    }

    pub fn status(&self) -> String {
        let said = self.runtime(&["state", "ID"]);
        serde_json::from_str::<Value>(&said.out)
            .map_or(said.err, |state| state["status"].as_str().unwrap().to_owned())
    }

    pub fn pid(&self) -> i64 {
        serde_json::from_str::<Value>(&self.runtime(&["state", "ID"]).out).unwrap()["pid"].as_i64().unwrap()
    }

    /// Waits until the container has this status.
    pub fn wait_for(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.status() != status {
            assert!(Instant::now() < deadline, "still {} and not {status}", self.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the program has made a file in its root.
    pub fn wait_for_file(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.rootfs().join(name).exists() {
            assert!(Instant::now() < deadline, "there is no {name}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// That nothing of the container is left.
    pub fn assert_gone(&self) {
        let state = self.dir.path().join("state").join(&self.id);
        assert!(!state.exists(), "{}", state.display());
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let cgroup = Path::new(root).join("ross").join(&self.id);
            assert!(!cgroup.exists(), "{}", cgroup.display());
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.runtime(&["delete", "--force", "ID"]);
        if !std::thread::panicking() {
            self.assert_gone();
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "a mount is left");
        }
    }
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
