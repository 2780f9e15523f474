//! `linux.seccomp`: actions, arguments, flags, errors, the listener. config-linux.md, seccomp.

use std::fs;
use std::io::IoSliceMut;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, ensure};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::stage::Stage;

const SECTION: &str = "config-linux.md#seccomp";
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
/// A number that no call of the probe would fail with by itself.
const MARK: i32 = 95;
/// As a shell says it of SIGSYS.
const KILLED: i32 = 128 + 31;

/// What a static program and the runtimes need from their last filter on, for profiles that allow by name.
const NEEDED: &str = "access arch_prctl brk capget capset chdir clock_gettime clone clone3 close close_range dup dup2 dup3 \
    execve execveat exit exit_group faccessat faccessat2 fchdir fchown fcntl fstat fstatfs futex getcwd getdents64 \
    getegid geteuid getgid getpid getppid getrandom getrlimit gettid getuid ioctl kill lseek lstat madvise mmap \
    mprotect mremap munmap nanosleep newfstatat open openat openat2 pipe pipe2 poll ppoll prctl pread64 prlimit64 \
    read readlink readlinkat readv recvfrom recvmsg rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity \
    sched_yield seccomp sendmsg sendto set_robust_list set_tid_address setgid setgroups setresgid setresuid setuid \
    sigaltstack stat statfs statx tgkill tkill umask uname wait4 waitid write writev epoll_create1 epoll_ctl \
    epoll_pwait epoll_wait fstatat";

pub fn cases() -> Vec<Case> {
    [actions(), arguments(), profile(), wrong()].into_iter().flatten().collect()
}

/// All is allowed but what `rules` say.
fn filter(name: &'static str, rules: Value) -> Case {
    case(name, SECTION).set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
}

fn one(name: &'static str, action: &str) -> Case {
    filter(name, json!([{"names": ["mkdir", "mkdirat"], "action": action}]))
}

fn actions() -> Vec<Case> {
    let needed: Vec<&str> = NEEDED.split_ascii_whitespace().collect();
    let strict = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": MARK,
        "syscalls": [{"names": needed, "action": "SCMP_ACT_ALLOW"}]});
    vec![
        case("seccomp/none", SECTION).like_host(&["seccomp"]),
        one("seccomp/errno", "SCMP_ACT_ERRNO").is(&["seccomp"], json!(2)).fails("call=mkdir", EPERM),
        filter(
            "seccomp/errno-with-a-number",
            json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK}]),
        )
        .fails("call=mkdir", MARK)
        .works("call=eventfd"),
        case("seccomp/default-errno", SECTION)
            .since("1.1")
            .set("/linux/seccomp", strict)
            .fails("call=eventfd", MARK)
            .fails("call=mkdir", MARK)
            .works("call=getcwd"),
        one("seccomp/kill-process", "SCMP_ACT_KILL_PROCESS").word("call=mkdir").ends(KILLED),
        one("seccomp/kill-thread", "SCMP_ACT_KILL_THREAD").word("call=mkdir").ends(KILLED),
        one("seccomp/kill", "SCMP_ACT_KILL").word("call=mkdir").ends(KILLED),
        one("seccomp/trap", "SCMP_ACT_TRAP").word("call=mkdir").ends(KILLED),
        one("seccomp/log", "SCMP_ACT_LOG").works("call=mkdir").is(&["seccomp"], json!(2)),
        // Nobody traces.
        one("seccomp/trace", "SCMP_ACT_TRACE").fails("call=mkdir", ENOSYS),
        one("seccomp/allow", "SCMP_ACT_ERRNO").works("call=getcwd"),
        one("seccomp/with-no-new-privileges", "SCMP_ACT_ERRNO")
            .set("/process/noNewPrivileges", json!(true))
            .fails("call=mkdir", EPERM)
            .is(&["no_new_privs"], json!(1)),
        one("seccomp/of-a-user-without-capabilities", "SCMP_ACT_ERRNO")
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .set("/process/capabilities", json!({}))
            .fails("call=mkdir", EPERM)
            .is(&["no_new_privs"], json!(0)),
        case("seccomp/notify", "config-linux.md#the-container-process-state").since("1.1").steps(notify),
        case("seccomp/notify-without-a-listener", SECTION)
            .since("1.1")
            .set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
            )
            .refused(),
        case("seccomp/notify-with-nobody-listening", SECTION)
            .since("1.1")
            .set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "@BUNDLE@/nobody",
                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
            )
            .refused(),
    ]
}

/// socket(2) by the number of the address family: unix 1, inet 2, inet6 10, 14 which no kernel has, netlink 16.
fn arguments() -> Vec<Case> {
    let families = ["1", "2", "10", "14", "16"];
    let compared = |name: &'static str, op: &str, value: u64, two: u64, hit: &[&str]| {
        let argument = json!([{"index": 0, "value": value, "valueTwo": two, "op": op}]);
        let case = filter(
            name,
            json!([{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK, "args": argument}]),
        );
        families.iter().fold(case, |case, family| {
            let question = format!("call=socket:{family}");
            if hit.contains(family) { case.fails(&question, MARK) } else { case.not_errno(&question, MARK) }
        })
    };
    vec![
        compared("seccomp/argument-equal", "SCMP_CMP_EQ", 10, 0, &["10"]),
        compared("seccomp/argument-not-equal", "SCMP_CMP_NE", 10, 0, &["1", "2", "14", "16"]),
        compared("seccomp/argument-less", "SCMP_CMP_LT", 10, 0, &["1", "2"]),
        compared("seccomp/argument-less-or-equal", "SCMP_CMP_LE", 10, 0, &["1", "2", "10"]),
        compared("seccomp/argument-greater", "SCMP_CMP_GT", 10, 0, &["14", "16"]),
        compared("seccomp/argument-greater-or-equal", "SCMP_CMP_GE", 10, 0, &["10", "14", "16"]),
        // The mask comes first. With the two exchanged none is hit; with one for both, 14 as well.
        compared("seccomp/argument-masked", "SCMP_CMP_MASKED_EQ", 6, 2, &["2", "10"]),
        filter(
            "seccomp/two-arguments-both-count",
            json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK, "args": [
                {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 18, "op": "SCMP_CMP_EQ"}]}]),
        )
        .fails("call=kill:18", MARK)
        .works("call=kill:23"),
        filter(
            "seccomp/several-rules-for-one-call",
            json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK,
                    "args": [{"index": 1, "value": 18, "op": "SCMP_CMP_EQ"}]},
                {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 44,
                    "args": [{"index": 1, "value": 28, "op": "SCMP_CMP_EQ"}]}]),
        )
        .fails("call=kill:18", MARK)
        .fails("call=kill:28", 44)
        .works("call=kill:23"),
    ]
}

fn profile() -> Vec<Case> {
    let flagged = |name: &'static str, flags: &[&str]| {
        case(name, SECTION)
            .set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags,
                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}),
            )
            .fails("call=mkdir", EPERM)
    };
    vec![
        flagged("seccomp/flag-log", &["SECCOMP_FILTER_FLAG_LOG"]),
        flagged("seccomp/flag-tsync", &["SECCOMP_FILTER_FLAG_TSYNC"]),
        flagged("seccomp/flag-spec-allow", &["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]).since("1.1"),
        case("seccomp/architectures", SECTION)
            .set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW",
                    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}),
            )
            .fails("call=mkdir", EPERM),
        filter(
            "seccomp/unknown-calls-are-left-out",
            json!([{"names": ["call_of_tomorrow", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]),
        )
        .fails("call=mkdir", EPERM),
    ]
}

fn wrong() -> Vec<Case> {
    let profile =
        |name: &'static str, value: Value| case(name, SECTION).set("/linux/seccomp", value).refused();
    vec![
        profile("seccomp/unknown-action", json!({"defaultAction": "SCMP_ACT_OF_TOMORROW"})),
        profile("seccomp/default-action-missing", json!({"syscalls": []})),
        profile(
            "seccomp/unknown-architecture",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"],
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        ),
        profile(
            "seccomp/unknown-flag",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_OF_TOMORROW"],
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        ),
        profile(
            "seccomp/unknown-comparison",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_OF_TOMORROW"}]}]}),
        ),
    ]
}

/// The agent gets the filter's descriptor and the state; once it is closed, the call fails with ENOSYS.
fn notify(stage: &mut Stage) -> Result<()> {
    let path = stage.bundle.dir.join("agent");
    let agent = UnixListener::bind(&path).context("bind the agent's socket")?;
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]);
    stage.bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path.to_string_lossy(),
            "listenerMetadata": "for the agent", "syscalls": rules}),
    );
    stage.words(&["append=/out/log", "call=mkdir"]);
    stage.create()?.ok()?;
    // The runtime has sent it before create answered.
    agent.set_nonblocking(true)?;
    let (connection, _) = agent.accept().context("the runtime has not come to the agent")?;
    connection.set_nonblocking(true)?;
    let mut bytes = vec![0; 65536];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(&connection, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .context("the agent's message")?;
    let mut listeners = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors);
        }
    }
    ensure!(listeners.len() == 1, "{} descriptors for the agent", listeners.len());
    let message: Value = serde_json::from_slice(&bytes[..received.bytes]).context("the agent's JSON")?;
    ensure!(message["fds"] == json!(["seccompFd"]), "{message}");
    ensure!(message["metadata"] == "for the agent", "{message}");
    ensure!(message["state"]["id"] == stage.id.as_str(), "{message}");
    ensure!(message["state"]["status"] == "creating", "{message}");
    ensure!(message["pid"].as_i64() == Some(stage.pid()?), "{message}");
    drop(listeners);
    stage.start()?.ok()?;
    let log = stage.log_has(1)?;
    ensure!(log[0]["asked"]["call=mkdir"]["errno"] == ENOSYS, "{}", log[0]["asked"]);
    fs::remove_file(path)?;
    Ok(())
}
