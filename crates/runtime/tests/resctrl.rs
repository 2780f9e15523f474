//! Shares of caches by a group of resctrl, on a directory in its place: the runtime finds it by a /proc/self/mountinfo that
//! is covered by one with a line for it.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use bundle::Bundle;
use serde_json::json;

struct Resctrl<'a> {
    bundle: &'a Bundle,
    root: std::path::PathBuf,
}

impl<'a> Resctrl<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        let root = bundle.outside("resctrl");
        std::fs::create_dir_all(root.join("info/L3")).unwrap();
        std::fs::create_dir_all(root.join("gold/mon_groups")).unwrap();
        let line = format!("36 35 0:30 / {} rw - resctrl resctrl rw\n", root.display());
        std::fs::write(bundle.outside("mountinfo"), line).unwrap();
        bundle.write_config();
        Self { bundle, root }
    }

    /// The runtime with these arguments, which sees the directory as resctrl.
    fn runtime(&self, arguments: &str) -> Output {
        let dir = self.bundle.outside("");
        let runtime = format!(
            "mount --bind {0}/mountinfo /proc/$$/mountinfo; exec {1} --root {0}/state {arguments}",
            dir.display(),
            env!("CARGO_BIN_EXE_ross-runtime"),
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", &runtime]);
        command.env("ID", &self.bundle.id).env("D", dir).stdin(Stdio::null()).output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap()
    }
}

/// The files of a group, which the kernel would remove with it.
fn remove_files(group: &Path) {
    for name in ["tasks", "schemata"] {
        let _ = std::fs::remove_file(group.join(name));
    }
}

#[test]
fn a_container_in_a_group() {
    let mut bundle = Bundle::new("sleep 100");
    bundle.config["linux"]["intelRdt"] = json!({"l3CacheSchema": "L3:0=f", "schemata": ["MB:0=20"]});
    let resctrl = Resctrl::new(&bundle);
    let said = resctrl.runtime("create -b $D $ID >$D/out 2>&1");
    assert!(said.status.success(), "{:?}", std::fs::read_to_string(bundle.outside("out")));
    let tasks = format!("{}/tasks", bundle.id);
    let schemata = format!("{}/schemata", bundle.id);
    assert_eq!(resctrl.read(&tasks), bundle.pid().to_string());
    assert_eq!(resctrl.read(&schemata), "L3:0=f\nMB:0=20\n");

    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
    let file = bundle.outside("pid");
    let said = resctrl.runtime("exec --pid-file $D/pid $ID true");
    assert!(said.status.success(), "{said:?}");
    assert_eq!(resctrl.read(&tasks), std::fs::read_to_string(file).unwrap(), "an exec is in it too");

    let said = resctrl.runtime("update --l3-cache-schema L3:0=3 $ID");
    assert!(said.status.success() && resctrl.read(&schemata) == "L3:0=3\n", "{said:?}");
    let said = resctrl.runtime("update --mem-bw-schema MB:0=10 $ID");
    let words = "Intel RDT/MBA: memory bandwidth schema is not enabled";
    assert!(String::from_utf8_lossy(&said.stderr).contains(words), "{said:?}");

    let group = resctrl.root.join(&bundle.id);
    remove_files(&group);
    assert_eq!(bundle.runtime(&["delete", "--force", "ID"]).code, 0);
    assert!(!group.exists());
}

#[test]
fn a_container_in_a_class_of_others() {
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["intelRdt"] = json!({"closID": "gold", "enableMonitoring": true});
    let resctrl = Resctrl::new(&bundle);
    let said = resctrl.runtime("create -b $D $ID >$D/out 2>&1");
    assert!(said.status.success(), "{:?}", std::fs::read_to_string(bundle.outside("out")));
    let pid = bundle.pid().to_string();
    let monitoring = resctrl.root.join("gold/mon_groups").join(&bundle.id);
    assert_eq!(resctrl.read("gold/tasks"), pid);
    assert_eq!(std::fs::read_to_string(monitoring.join("tasks")).unwrap(), pid);
    assert!(!resctrl.root.join("gold/schemata").exists());
    remove_files(&monitoring);
    assert_eq!(bundle.runtime(&["delete", "ID"]).code, 0);
    assert!(resctrl.root.join("gold").exists() && !monitoring.exists());
}

#[test]
fn what_fails_leaves_no_group() {
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["intelRdt"] = json!({});
    bundle.config["root"]["path"] = json!("nope");
    let resctrl = Resctrl::new(&bundle);
    let said = resctrl.runtime("run -b $D $ID");
    assert!(String::from_utf8_lossy(&said.stderr).contains("root.path"), "{said:?}");
    assert!(!resctrl.root.join(&bundle.id).exists());
    bundle.assert_gone();
}
