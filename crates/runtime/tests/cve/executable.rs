//! The runtime's own executable, reached through /proc.

use std::process::Command;

use serde_json::json;

use crate::bundle::Bundle;

/// A program that is the runtime itself: it waits at a FIFO where its log is to be, and is looked at meanwhile.
const ITSELF: &str = "/proc/self/exe";

/// A bundle with a runtime of its own: not the one under test, which is gone if the attack works.
fn with_own_runtime() -> Bundle {
    let mut bundle = Bundle::new("sleep 100");
    let program = bundle.outside("runtime");
    std::fs::copy(&bundle.program, &program).unwrap();
    bundle.program.clone_from(&program);
    // A build for debugging is not static: the image brings what it wants to be loaded with.
    let libraries = Command::new("ldd").arg(&program).output().unwrap().stdout;
    for word in String::from_utf8(libraries).unwrap().split_whitespace().filter(|word| word.starts_with('/'))
    {
        let inside = bundle.rootfs().join(word.trim_start_matches('/'));
        std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
        std::fs::copy(word, inside).unwrap();
    }
    bundle
}

#[test]
fn cve_2019_5736_the_executable_is_never_written() {
    let bundle = with_own_runtime();
    let before = std::fs::read(&bundle.program).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bundle.rootfs().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )
    .unwrap();
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let exec = ["exec", "--detach", "ID", ITSELF, "--log", "/fifo", "state", "x"];
    assert_eq!(bundle.runtime_detached(&exec), 0);
    // While it runs, and through a descriptor that outlives it; by then no runtime runs that would keep its file busy.
    let attack = "exec > /said 2>&1; \
                  for p in /proc/[0-9]*; do busybox tr '\\0' ' ' < $p/cmdline | grep -q '[e]xe --log' && victim=$p; done; \
                  echo found $victim; exec 5<$victim/exe; echo x >> $victim/exe; cat /fifo > /dev/null; \
                  while readlink $victim/exe > /dev/null; do :; done; \
                  until (echo x >> /proc/self/fd/5) 2> /last; do grep -q busy /last || break; done; cat /last; \
                  touch /tried";
    assert_eq!(bundle.runtime_detached(&["exec", "--detach", "ID", "sh", "-c", attack]), 0);
    bundle.wait_for_file("tried");
    let said = std::fs::read_to_string(bundle.rootfs().join("said")).unwrap();
    assert!(said.contains("found /proc/") && said.contains("Text file busy"), "{said}");
    assert!(said.contains("fd/5: Read-only file system"), "{said}");
    assert!(std::fs::read(&bundle.program).unwrap() == before, "the runtime was overwritten");
}

#[test]
fn cve_2019_5736_as_the_first_program() {
    let mut bundle = with_own_runtime();
    bundle.config["process"]["args"] = json!([ITSELF, "--version"]);
    // It may run: it is a program like any other.
    assert!(bundle.run().out.starts_with("ross-runtime version"));
    bundle.config["process"]["args"] = json!(["sleep", "100"]);
    assert_eq!(bundle.detached(&["create"]), 0);
    let exe = format!("/proc/{}/exe", bundle.pid());
    let error = std::fs::OpenOptions::new().write(true).open(&exe).unwrap_err();
    assert!(matches!(error.raw_os_error(), Some(30 | 26 | 1)), "{error}");
    let flags = rustix::fs::statvfs(exe.as_str()).unwrap().f_flag;
    assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY));
}
