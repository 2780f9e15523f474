//! What a service manager has for the program: sockets.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod bundle;

use std::process::{Command, Output, Stdio};

use bundle::Bundle;

/// Runs a script of the shell, which has the environment of a service manager's child: `$R` is the runtime, `$D` the
/// bundle's directory, `$ID` the container.
fn as_service(bundle: &Bundle, script: &str) -> Output {
    bundle.write_config();
    let runtime =
        format!("{} --root {}", env!("CARGO_BIN_EXE_ross-runtime"), bundle.outside("state").display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    command.env("R", runtime).env("D", bundle.outside("")).env("ID", &bundle.id);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn sockets_are_passed_on() {
    let script = "cat <&3; echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; for fd in /proc/self/fd/*; do echo ${fd##*/}; done; cat <&4; cat <&5";
    let mut bundle = Bundle::required(script);
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
    let bundle = Bundle::required("cat <&3; echo $LISTEN_FDS $LISTEN_PID");
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
    let bundle = Bundle::required("ls -l /proc/self/fd");
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
