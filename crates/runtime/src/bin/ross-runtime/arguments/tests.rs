//! The command line as callers write it.

use super::*;

use proptest::prelude::*;
use ross_runtime::spec::LinuxResources;

fn parsed(line: &str) -> Result<Command, String> {
    parse(line.split_whitespace().map(OsString::from)).1.map_err(|(message, _)| message)
}

#[test]
fn options_anywhere() {
    for line in [
        "create --bundle /b --pid-file /p c",
        "create c --bundle /b --pid-file /p",
        "create -b/b c --pid-file=/p",
    ] {
        let Command::Create(create) = parsed(line).unwrap() else { panic!("{line}") };
        assert_eq!((create.id.as_str(), create.bundle.to_str()), ("c", Some("/b")), "{line}");
        assert_eq!(create.pid_file, Some("/p".into()), "{line}");
    }
}

#[test]
fn commands() {
    let check = |line: &str, expected: Command| assert_eq!(parsed(line), Ok(expected), "{line}");
    let kill = |signal: &str, all| Command::Kill { id: "c".into(), signal: signal.into(), all };
    check("--root /r state c", Command::State("c".into()));
    check("kill c", kill("SIGTERM", false));
    check("kill --all c KILL", kill("KILL", true));
    check("kill c SIGUSR1", kill("SIGUSR1", false));
    check("kill c 34", kill("34", false));
    check("delete c --force", Command::Delete { id: "c".into(), force: true });
    check("delete --force=false c", Command::Delete { id: "c".into(), force: false });
    check("list -q -f json", Command::List { quiet: true, format: ListFormat::Json });
    let ps = |format, options: &[&str]| Command::Ps {
        id: "c".into(),
        format,
        options: options.iter().map(OsString::from).collect(),
    };
    check("ps --format json c", ps(ListFormat::Json, &[]));
    check("ps --format table c -f -o pid,args", ps(ListFormat::Table, &["-f", "-o", "pid,args"]));
    let events =
        |stats, seconds| Command::Events { id: "c".into(), stats, interval: Duration::from_secs(seconds) };
    check("events --stats c", events(true, 5));
    check("events --interval=1m c", events(false, 60));
    check("spec --rootless -b /b", Command::Spec { bundle: "/b".into(), rootless: true });
    check("features", Command::Features);
    check("--version", Command::Version);
    check("", Command::Help(""));
}

/// Words of the command line, as they are and with something behind them.
fn any_word() -> impl Strategy<Value = String> {
    const COMMANDS: [&str; 16] = [
        "create", "run", "start", "state", "kill", "delete", "exec", "list", "ps", "pause", "resume",
        "update", "events", "spec", "features", "help",
    ];
    const OPTIONS: [&str; 34] = [
        "--root",
        "--log",
        "--log-format",
        "--debug",
        "--rootless",
        "--bundle",
        "-b",
        "--pid-file",
        "--preserve-fds",
        "--detach",
        "-d",
        "--force",
        "--all",
        "--user",
        "-u",
        "--env",
        "-e",
        "--cap",
        "--cgroup",
        "--tty",
        "-t",
        "--cwd",
        "--additional-gids",
        "-g",
        "--interval",
        "--memory",
        "--memory-swap",
        "--cpu-quota",
        "--cpu-idle",
        "--pids-limit",
        "--blkio-weight",
        "--format",
        "--help",
        "--",
    ];
    const VALUES: [&str; 22] = [
        "c",
        "json",
        "text",
        "auto",
        "0",
        "-1",
        "1",
        "4294967296",
        "18446744073709551616",
        "1:2",
        "1.5G",
        "9e99",
        "99999999999999999999999999999999999999999k",
        "8388607t",
        "0.000000001p",
        "5s",
        "1h99999999999999999999s",
        "5000000000000000h5000000000000000h",
        "1e308h",
        "true",
        "a:b",
        "",
    ];
    let select = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    prop_oneof![
        2 => select(&COMMANDS),
        3 => select(&OPTIONS),
        3 => select(&VALUES),
        2 => (select(&OPTIONS), select(&VALUES)).prop_map(|(option, value)| format!("{option}={value}")),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Entry point of the fuzzers: it must not panic, and a mistake is told in a line that is not longer than it should be.
    #[test]
    fn any_words_are_refused_or_mean_something(words in prop::collection::vec(any_word(), 0..9)) {
        let length: usize = words.iter().map(String::len).sum();
        match parse(words.iter().map(OsString::from)).1 {
            // It means the same each time.
            Ok(command) => prop_assert_eq!(parse(words.iter().map(OsString::from)).1, Ok(command)),
            Err((message, code)) => {
                prop_assert!(!message.is_empty() && message.len() <= 10 * length + 200, "{}", message);
                prop_assert!(code == 1 || words.iter().any(|word| word == "exec"));
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_mean_something(words in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..9), 0..6)) {
        use std::os::unix::ffi::OsStringExt;
        let _ = parse(words.into_iter().map(OsString::from_vec));
    }
}

#[test]
fn runs() {
    let check = |line: &str, detach, keep, no_subreaper| {
        let create = Create { id: "c".into(), bundle: ".".into(), ..Create::default() };
        let expected = Run { create, detach, keep, no_subreaper };
        assert_eq!(parsed(line), Ok(Command::Run(expected)), "{line}");
    };
    check("run c", false, false, false);
    check("run -d c", true, false, false);
    check("run --keep --no-subreaper c", false, true, true);
    check("run c --keep=true --detach=false", false, true, false);
}

#[test]
fn callers() {
    // As conmon, the shim of containerd and dockerd call runc.
    for line in [
        "--systemd-cgroup --log-format=json --log=/l create --bundle /b --pid-file /p --console-socket /s c",
        "--log-format=json --log=/l exec --pid-file /p --process /p.json --detach -t --console-socket /s c",
        "--root /r --log /l --log-format json --systemd-cgroup --debug --rootless=auto create --bundle /b \
         --pid-file /p --no-pivot --no-new-keyring --preserve-fds 2 c",
        "--root /r --log /l --log-format json exec --process /p.json --detach --pid-file /p --console-socket /s c",
        "--root /r --log /l --log-format json kill --all c 9",
        "--root /r --log /l --log-format json update --resources=- c",
        "--root /r --log /l --log-format json delete --force c",
        "--root /r list --format=json",
        "--root /r restore --help",
    ] {
        assert!(parsed(line).is_ok() || line.contains("restore"), "{line}: {:?}", parsed(line));
    }
    let (global, _) = parse("--systemd-cgroup=true --log /l nope".split(' ').map(OsString::from));
    assert!(global.systemd_cgroup && global.log == Some("/l".into()), "a mistake comes with the log");
}

#[test]
fn exec_keeps_the_program_whole() {
    let Command::Exec(exec) = parsed("exec -t -u 7:8 -e A=b c -d sh -c true --x").unwrap() else { panic!() };
    assert_eq!(exec.command, ["sh", "-c", "true", "--x"]);
    assert_eq!(exec.user, Some((7, Some(8))));
    assert!(exec.tty && exec.detach);
    let line = "exec --tty=false --no-new-privs=false --process-label l --cgroup :a/b -g 1 -g 2 c sh";
    let Command::Exec(exec) = parsed(line).unwrap() else { panic!() };
    assert_eq!((exec.tty, exec.no_new_privs), (false, Some(false)));
    assert_eq!((exec.process_label.as_deref(), exec.cgroup.as_deref()), (Some("l"), Some("a/b")));
    assert_eq!(exec.additional_gids, [1, 2]);
}

#[test]
fn updates() {
    let check = |line: &str, expected: &str| {
        let Command::Update { id, update } = parsed(line).unwrap() else { panic!("{line}") };
        assert_eq!(id, "c");
        let expected = LinuxResources::parse(expected.as_bytes()).unwrap();
        assert_eq!(update.resources, expected, "{line}");
        *update
    };
    check(
        "update --memory 64M --memory-swap -1 --memory-reservation 32m c",
        r#"{"memory":{"limit":67108864,"swap":-1,"reservation":33554432}}"#,
    );
    check(
        "update c --cpu-share 512 --cpu-quota -1 --cpu-period 5000 --cpu-burst 7 --cpu-idle 1 --cpuset-cpus 0-1",
        r#"{"cpu":{"shares":512,"quota":-1,"period":5000,"burst":7,"idle":1,"cpus":"0-1"}}"#,
    );
    check("update --cpu-rt-period 1 --cpu-rt-runtime 2 --cpuset-mems 0 c", {
        r#"{"cpu":{"realtimePeriod":1,"realtimeRuntime":2,"mems":"0"}}"#
    });
    check("update --pids-limit 10 --blkio-weight 100 c", r#"{"pids":{"limit":10},"blockIO":{"weight":100}}"#);
    // Zero is runc's word for not given.
    check("update --pids-limit 0 --blkio-weight 0 c", "{}");
    let update = check("update --kernel-memory 1 --l3-cache-schema L3:0=f --mem-bw-schema= c", "{}");
    assert_eq!(update.ignored, ["--kernel-memory"]);
    assert_eq!((update.l3_cache_schema.as_deref(), update.mem_bw_schema), (Some("L3:0=f"), None));
    assert_eq!(check("update -r - c", "{}").file, Some("-".into()));
}

#[test]
fn help() {
    for (line, start) in
        [("kill --help", "  kill [-a"), ("exec c -h", "  exec [-t]"), ("help features", "  features\n")]
    {
        let Ok(Command::Help(text)) = parsed(line) else { panic!("{line}") };
        assert!(text.starts_with(start), "{line}: {text}");
    }
    let Ok(Command::Help(text)) = parsed("update -h") else { panic!() };
    assert!(text.lines().count() == 4 && text.ends_with("ID\n"), "{text}");
    assert_eq!(parsed("-h"), Ok(Command::Help("")));
}

#[test]
fn mistakes() {
    for line in [
        "fly",
        "create",
        "create a b",
        "state c --x",
        "kill",
        "exec c",
        "exec -u 7x c sh",
        "exec -u 7:+8 c sh",
        "exec -u root c sh",
        "exec -g -1 c sh",
        "exec --cgroup memory:x c sh",
        "exec --tty=maybe c sh",
        "events --interval 0s c",
        "events --interval 5 c",
        "update --memory many c",
        "update --cpu-quota 1x c",
        "ps",
        "ps --format xml c",
        "list x",
        "features x",
        "--log-format xml list",
        "--rootless maybe list",
        "checkpoint c",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
    let code = |line: &str| parse(line.split(' ').map(OsString::from)).1.unwrap_err().1;
    assert_eq!((code("exec c"), code("kill")), (255, 1));
}
