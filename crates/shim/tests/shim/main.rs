//! Shims with real containers: busybox in namespaces, on the runtime as a library.
//!
//! Needs root, cgroup v2 somewhere and a static /bin/busybox. `suite` runs the other tests, which are
//! ignored otherwise, in mount, network and pid namespaces of their own, so that nothing outlives it
//! whatever happens.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod attach;
mod exec;
mod harness;
mod lifecycle;
mod memory;
mod robustness;

use std::process::Command;

/// Prepares the namespaces, runs the program given with the rest of the arguments, and removes its cgroups.
const INSIDE: &str = r#"
test -e /sys/fs/cgroup/cgroup.procs || mount -t cgroup2 none /sys/fs/cgroup || exit 99
"$@"
code=$?
find "/sys/fs/cgroup/$ROSS_TEST_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null
exit $code
"#;

#[test]
fn suite() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    if !std::path::Path::new("/bin/busybox").exists() {
        eprintln!("skipped: needs /bin/busybox (Debian's busybox-static)");
        return;
    }
    let status = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            INSIDE,
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--test-threads=4"])
        .args(std::env::args().skip(1).filter(|argument| argument == "--nocapture"))
        .env("ROSS_TEST_CGROUP", format!("ross-shim-test-{}", std::process::id()))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
