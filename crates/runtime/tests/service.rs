//! What a service manager has for the program: sockets, and one to tell it that the program is ready.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bundle::Bundle;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

/// Runs a script of the shell, which has the environment of a service manager's child: `$R` is the runtime, `$D` the
/// bundle's directory, `$ID` the container.
fn as_service(bundle: &Bundle, script: &str) -> Output {
    service(bundle, script).output().unwrap()
}

fn service(bundle: &Bundle, script: &str) -> Command {
    bundle.write_config();
    let runtime =
        format!("{} --root {}", env!("CARGO_BIN_EXE_ross-runtime"), bundle.outside("state").display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    command.env("R", runtime).env("D", bundle.outside("")).env("ID", &bundle.id);
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn sockets_are_passed_on() {
    let script = "cat <&3; echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; for fd in /proc/self/fd/*; do echo ${fd##*/}; done; cat <&4; cat <&5";
    let mut bundle = Bundle::new(script);
    bundle.config["process"]["env"].as_array_mut().unwrap().push("LISTEN_FDS=7".into());
    for name in ["one", "two", "three"] {
        std::fs::write(bundle.outside(name), format!("{name}\n")).unwrap();
    }
    let run = |variables: &str, options: &str| {
        let open = "exec 3<$D/one 4<$D/two 5<$D/three 6</dev/null";
        as_service(&bundle, &format!("{open}; export {variables}; exec $R run {options} -b $D $ID"))
    };
    // The sockets come first, then what is preserved, then nothing (the shell has the directory open it lists).
    let said = run("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:api", "--preserve-fds 1");
    let expected = "one\n2 1 web:api\n0\n1\n2\n3\n4\n5\n";
    assert_eq!(text(&said.stdout).replace("\n6\n", "\n"), format!("{expected}two\nthree\n"), "{said:?}");
    // Meant for another process.
    let said = run("LISTEN_PID=1 LISTEN_FDS=2", "--preserve-fds 3");
    assert!(text(&said.stdout).starts_with("one\n7\n0\n1\n2\n3\n4\n5\n"), "{said:?}");
    let said = run("LISTEN_PID=$$ LISTEN_FDS=2x", "");
    assert!(text(&said.stderr).contains("LISTEN_FDS: `2x` is no number"), "{said:?}");
}

#[test]
fn sockets_of_a_container_that_waits() {
    let bundle = Bundle::new("cat <&3; echo $LISTEN_FDS $LISTEN_PID");
    std::fs::write(bundle.outside("one"), "one\n").unwrap();
    let said = as_service(
        &bundle,
        "exec 3<$D/one; LISTEN_PID=$$ LISTEN_FDS=1 exec $R create -b $D $ID >$D/out 2>&1",
    );
    assert!(said.status.success(), "{said:?} {:?}", std::fs::read_to_string(bundle.outside("out")));
    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
    bundle.wait_for("stopped");
    assert_eq!(std::fs::read_to_string(bundle.outside("out")).unwrap(), "one\n1 1\n");
}

/// The number of a descriptor that is not there must not be taken by one of the runtime's own.
#[test]
fn descriptors_that_are_not_there() {
    let bundle = Bundle::new("ls -l /proc/self/fd");
    let log = "--log $D/log --log-format json";
    for (script, words) in [
        ("exec $R LOG run --preserve-fds 1 -b $D $ID", "descriptor 3 is for the program"),
        ("exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec $R LOG run -b $D $ID", "descriptor 4 is for"),
        ("exec $R LOG exec --preserve-fds 2 $ID true", "descriptor 3 is for the program"),
    ] {
        let said = as_service(&bundle, &script.replace("LOG", log));
        let code = if script.contains(" exec --") { 255 } else { 1 };
        assert!(said.status.code() == Some(code) && text(&said.stderr).contains(words), "{said:?}");
        assert!(std::fs::read_to_string(bundle.outside("log")).unwrap().contains(words));
    }
    bundle.assert_gone();
}

/// Stands for systemd: a socket, and what comes over it.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

impl Manager {
    fn new(bundle: &Bundle) -> Self {
        let path = bundle.outside("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, address: path.to_str().unwrap().to_owned() }
    }

    /// The next message. A descriptor that comes with it is closed, as a barrier wants it.
    fn next(&self) -> String {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut message = [0; 4096];
        let mut parts = [rustix::io::IoSliceMut::new(&mut message)];
        let count = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
        let with_fd = control.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_)));
        let text = text(&message[..count]);
        assert_eq!(with_fd, text == "BARRIER=1", "{text}");
        text
    }

    fn start(&self, bundle: &Bundle, script: &str) -> Child {
        let mut command = service(bundle, script);
        command.env("NOTIFY_SOCKET", &self.address).stdout(Stdio::piped()).spawn().unwrap()
    }
}

/// A bundle with the host's systemd-notify(1), and a user who is not root.
fn telling(script: &str) -> Bundle {
    assert!(std::path::Path::new("/usr/bin/systemd-notify").exists(), "this test needs the package systemd");
    let mut bundle = Bundle::new(script);
    bundle.mount(json!({"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}));
    for name in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), bundle.rootfs().join(name)).unwrap();
    }
    let path = "PATH=/bin:/usr/bin";
    bundle.config["process"]["env"] = json!([path, "NOTIFY_SOCKET=/configured"]);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    bundle
}

#[test]
fn what_a_program_tells_in_the_foreground() {
    let bundle = telling(
        "echo $NOTIFY_SOCKET; systemd-notify --ready --status=up; systemd-notify MAINPID=77 WATCHDOG=1; \
         systemd-notify STOPPING=1; exit 3",
    );
    let manager = Manager::new(&bundle);
    let mut run = manager.start(&bundle, "exec $R run -b $D $ID");
    let first = manager.next();
    let mut lines: Vec<&str> = first.lines().collect();
    lines.sort_unstable();
    // Who waits is the main process.
    assert_eq!(lines, [&format!("MAINPID={}", run.id()), "READY=1", "STATUS=up"]);
    assert_eq!((manager.next().as_str(), manager.next().as_str()), ("WATCHDOG=1\n", "STOPPING=1\n"));
    assert_eq!(run.wait().unwrap().code(), Some(3));
    let out = std::io::read_to_string(run.stdout.take().unwrap()).unwrap();
    assert_eq!(out, "/run/notify/notify.sock\n");
    bundle.assert_gone();
}

/// What comes while it starts, then that it is ready; whoever starts it waits for that.
fn starts(manager: &Manager, bundle: &Bundle, mut starter: Child) {
    assert_eq!(manager.next(), "STATUS=starting\n");
    assert_eq!(bundle.status(), "running");
    assert_eq!(starter.try_wait().unwrap(), None);
    std::fs::write(bundle.rootfs().join("tmp/go"), "").unwrap();
    assert_eq!(manager.next(), format!("READY=1\nMAINPID={}\n", bundle.pid()));
    assert_eq!(manager.next(), "BARRIER=1");
    assert_eq!(starter.wait().unwrap().code(), Some(0));
}

const SLOW: &str = "systemd-notify STATUS=starting; while [ ! -e /tmp/go ]; do sleep 0.1; done; \
                    systemd-notify --ready; exec sleep 100";

#[test]
fn a_detached_program_is_waited_for() {
    let bundle = telling(SLOW);
    let manager = Manager::new(&bundle);
    let run = manager.start(&bundle, "exec $R run --detach -b $D $ID >$D/out 2>&1");
    starts(&manager, &bundle, run);
}

#[test]
fn start_waits_for_the_program() {
    let mut bundle = telling(SLOW);
    bundle.user_namespace();
    let manager = Manager::new(&bundle);
    let create = manager.start(&bundle, "exec $R create -b $D $ID >$D/out 2>&1").wait().unwrap();
    assert_eq!(create.code(), Some(0), "{}", std::fs::read_to_string(bundle.outside("out")).unwrap());
    let start = manager.start(&bundle, "exec $R start $ID");
    starts(&manager, &bundle, start);
    // Nobody asks any more: nothing is waited for, and the socket is not taken away from who has it.
    let again = manager.start(&bundle, "exec $R start $ID 2>&1").wait_with_output().unwrap();
    assert!(text(&again.stdout).contains("already running"), "{again:?}");
}

#[test]
fn of_two_starters_the_first_hears_of_it() {
    let bundle =
        telling("while [ ! -e /tmp/go ]; do sleep 0.1; done; systemd-notify --ready; exec sleep 100");
    let manager = Manager::new(&bundle);
    let create = manager.start(&bundle, "exec $R create -b $D $ID >$D/out 2>&1").wait().unwrap();
    assert_eq!(create.code(), Some(0));
    let both: Vec<Child> = (0..2).map(|_| manager.start(&bundle, "exec $R start $ID 2>$D/out")).collect();
    std::fs::write(bundle.rootfs().join("tmp/go"), "").unwrap();
    assert_eq!(manager.next(), format!("READY=1\nMAINPID={}\n", bundle.pid()));
    assert_eq!(manager.next(), "BARRIER=1");
    let mut codes: Vec<_> = both.into_iter().map(|mut one| one.wait().unwrap().code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(1)]);
}

#[test]
fn a_manager_that_reads_nothing_holds_nobody_up() {
    let bundle = telling("i=0; while [ $i -lt 40 ]; do systemd-notify STATUS=$i; i=$((i+1)); done; exit 3");
    let manager = Manager::new(&bundle);
    let mut run = manager.start(&bundle, "exec $R run -b $D $ID");
    assert_eq!(run.wait().unwrap().code(), Some(3));
    assert_eq!(manager.next(), "STATUS=0\n");
}

#[test]
fn programs_that_are_never_ready() {
    // It ends.
    let bundle = telling("systemd-notify STATUS=starting");
    let manager = Manager::new(&bundle);
    let run = manager.start(&bundle, "exec $R run --detach -b $D $ID 2>$D/out").wait().unwrap();
    assert_eq!((run.code(), manager.next().as_str()), (Some(0), "STATUS=starting\n"));
    let said = std::fs::read_to_string(bundle.outside("out")).unwrap();
    assert!(said.contains("never said that it is ready"), "{said}");
    // Nobody listens.
    let bundle = Bundle::new("test -d /run/notify");
    let said = as_service(&bundle, "NOTIFY_SOCKET=@ross/nobody exec $R run -b $D $ID");
    assert!(said.status.success() && text(&said.stderr).contains("NOTIFY_SOCKET @ross/nobody"), "{said:?}");
    // It is started by somebody who has no manager.
    let bundle = telling("systemd-notify --ready; exec sleep 100");
    let manager = Manager::new(&bundle);
    let create = manager.start(&bundle, "exec $R create -b $D $ID >$D/out 2>&1").wait().unwrap();
    assert_eq!(create.code(), Some(0));
    assert_eq!(bundle.runtime(&["start", "ID"]).code, 0);
}
