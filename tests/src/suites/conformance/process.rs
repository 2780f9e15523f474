//! `process`: the program, its user, what it may do, how it is scheduled. config.md, process and what follows.

use serde_json::json;

use super::case::{Case, case};
use super::config::DEFAULT_CAPABILITIES;
use crate::harness::Need;

/// As a `u64` in config.json: no limit.
const INFINITY: u64 = u64::MAX;

pub fn cases() -> Vec<Case> {
    [program(), user(), capabilities(), limits(), scheduling(), confinement()].into_iter().flatten().collect()
}

fn program() -> Vec<Case> {
    vec![
        case("process/args", "config.md#process")
            .word("")
            .word("two words")
            .word("ünï=x")
            .is(&["argv"], json!(["/bin/probe", "", "two words", "ünï=x"])),
        case("process/args-found-on-the-path", "config.md#process")
            .set("/process/args", json!(["probe"]))
            .is(&["argv"], json!(["probe"])),
        case("process/args-without-such-a-program", "config.md#process")
            .set("/process/args", json!(["/bin/nothing"]))
            .refused(),
        case("process/args-not-executable", "config.md#process")
            .change(super::case::Change::File("rootfs/etc/plain", "text"))
            .set("/process/args", json!(["/etc/plain"]))
            .refused(),
        case("process/env", "config.md#process")
            .set("/process/env", json!(["PATH=/bin", "EMPTY=", "EQUALS=a=b", "HOME=/elsewhere"]))
            .is(&["env"], json!({"PATH": "/bin", "EMPTY": "", "EQUALS": "a=b", "HOME": "/elsewhere"})),
        case("process/env-has-the-users-home", "runc: HOME from /etc/passwd")
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .is(&["env", "HOME"], json!("/home/user")),
        case("process/cwd", "config.md#process")
            .set("/process/cwd", json!("/etc"))
            .is(&["cwd"], json!("/etc")),
        case("process/cwd-relative", "config.md#process").set("/process/cwd", json!("etc")).refused(),
        case("process/no-descriptor-leaks", "config-linux.md#file-descriptors")
            .has(&["descriptors"], json!("0"))
            .lacks(&["descriptors"], json!("3"))
            .lacks(&["descriptors"], json!("4"))
            .lacks(&["descriptors"], json!("5"))
            .lacks(&["descriptors"], json!("6")),
        case("process/is-the-first-of-its-pid-namespace", "config-linux.md#namespaces")
            .is(&["pid"], json!(1)),
        case("process/no-signal-is-blocked", "what execve(2) hands on")
            .is(&["blocked_signals"], json!("0000000000000000")),
        case("process/session-keyring", "runc: a keyring `_ses.ID`").has(&["keyrings"], json!("_ses.@ID@")),
        case("process/no-terminal", "config.md#process").is(&["terminal"], json!(null)),
    ]
}

fn user() -> Vec<Case> {
    vec![
        case("user/ids", "config.md#posix-platform-user")
            .set("/process/user", json!({"uid": 1000, "gid": 2000}))
            .is(&["ids", "uid"], json!([1000, 1000, 1000, 1000]))
            .is(&["ids", "gid"], json!([2000, 2000, 2000, 2000]))
            .is(&["ids", "groups"], json!([])),
        case("user/additional-gids", "config.md#posix-platform-user")
            .set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5, 6, 70_000]}))
            .is(&["ids", "groups"], json!([5, 6, 70_000])),
        case("user/umask", "config.md#posix-platform-user")
            .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o27}))
            .is(&["umask"], json!(0o27)),
        case("user/umask-0", "config.md#posix-platform-user")
            .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0}))
            .is(&["umask"], json!(0)),
        case("user/ids-in-a-user-namespace", "config.md#posix-platform-user")
            .user_namespace()
            .set("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [9]}))
            .is(&["ids", "uid"], json!([7, 7, 7, 7]))
            .is(&["ids", "groups"], json!([9])),
        case("user/id-that-is-not-mapped", "config.md#posix-platform-user")
            .user_namespace()
            .set("/process/user", json!({"uid": 70_000, "gid": 0}))
            .refused(),
    ]
}

fn capabilities() -> Vec<Case> {
    let section = "config.md#linux-process";
    vec![
        // Of root, exec(2) makes all that the bounding set leaves permitted and effective.
        case("capabilities/of-root", section)
            .is(&["capabilities", "bounding"], json!(DEFAULT_CAPABILITIES))
            .is(&["capabilities", "permitted"], json!(DEFAULT_CAPABILITIES))
            .is(&["capabilities", "effective"], json!(DEFAULT_CAPABILITIES))
            .is(&["capabilities", "inheritable"], json!([]))
            .is(&["capabilities", "ambient"], json!([])),
        case("capabilities/bounding", section)
            .set("/process/capabilities", json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"]}))
            .is(&["capabilities", "bounding"], json!(["CAP_KILL"]))
            .is(&["capabilities", "permitted"], json!(["CAP_KILL"])),
        case("capabilities/inheritable", section)
            .set("/process/capabilities/inheritable", json!(["CAP_CHOWN", "CAP_KILL"]))
            .is(&["capabilities", "inheritable"], json!(["CAP_CHOWN", "CAP_KILL"])),
        case("capabilities/ambient-of-a-user", section)
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .set("/process/capabilities/inheritable", json!(["CAP_NET_BIND_SERVICE"]))
            .set("/process/capabilities/ambient", json!(["CAP_NET_BIND_SERVICE"]))
            .is(&["capabilities", "ambient"], json!(["CAP_NET_BIND_SERVICE"]))
            .is(&["capabilities", "permitted"], json!(["CAP_NET_BIND_SERVICE"]))
            .is(&["capabilities", "effective"], json!(["CAP_NET_BIND_SERVICE"]))
            .is(&["capabilities", "bounding"], json!(DEFAULT_CAPABILITIES)),
        case("capabilities/user-without-ambient", section)
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .is(&["capabilities", "permitted"], json!([]))
            .is(&["capabilities", "effective"], json!([]))
            .is(&["capabilities", "bounding"], json!(DEFAULT_CAPABILITIES)),
        case("capabilities/none", section)
            .set("/process/capabilities", json!({}))
            .is(&["capabilities", "bounding"], json!([]))
            .is(&["capabilities", "permitted"], json!([]))
            .is(&["capabilities", "effective"], json!([]))
            .is(&["capabilities", "inheritable"], json!([])),
        case("capabilities/unknown-name-is-left-out", section)
            .since("1.1")
            .set("/process/capabilities", json!({"bounding": ["CAP_KILL", "CAP_OF_TOMORROW"]}))
            .is(&["capabilities", "bounding"], json!(["CAP_KILL"])),
        case("capabilities/what-is-missing-is-refused-by-the-kernel", section)
            .fails("call=mount", 1)
            .fails("call=sethostname", 1)
            .fails("call=chroot", 1),
    ]
}

fn limits() -> Vec<Case> {
    let section = "config.md#posix-process";
    let one = |kind: &str, soft: u64, hard: u64| json!([{"type": kind, "soft": soft, "hard": hard}]);
    vec![
        case("rlimits/nofile", section)
            .set("/process/rlimits", one("RLIMIT_NOFILE", 100, 200))
            .is(&["rlimits", "RLIMIT_NOFILE"], json!([100, 200])),
        case("rlimits/core", section)
            .set("/process/rlimits", one("RLIMIT_CORE", 0, 0))
            .is(&["rlimits", "RLIMIT_CORE"], json!([0, 0])),
        case("rlimits/no-limit", section)
            .set("/process/rlimits", one("RLIMIT_FSIZE", 1 << 30, INFINITY))
            .is(&["rlimits", "RLIMIT_FSIZE"], json!([1 << 30, null])),
        case("rlimits/several", section)
            .set(
                "/process/rlimits",
                json!([{"type": "RLIMIT_CPU", "soft": 100, "hard": 200},
                    {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608},
                    {"type": "RLIMIT_NPROC", "soft": 500, "hard": 1000},
                    {"type": "RLIMIT_MSGQUEUE", "soft": 1000, "hard": 2000},
                    {"type": "RLIMIT_SIGPENDING", "soft": 10, "hard": 20},
                    {"type": "RLIMIT_RTTIME", "soft": 1000, "hard": 2000}]),
            )
            .is(&["rlimits", "RLIMIT_CPU"], json!([100, 200]))
            .is(&["rlimits", "RLIMIT_STACK"], json!([4_194_304, 8_388_608]))
            .is(&["rlimits", "RLIMIT_NPROC"], json!([500, 1000]))
            .is(&["rlimits", "RLIMIT_MSGQUEUE"], json!([1000, 2000]))
            .is(&["rlimits", "RLIMIT_SIGPENDING"], json!([10, 20]))
            .is(&["rlimits", "RLIMIT_RTTIME"], json!([1000, 2000])),
        case("rlimits/of-a-user", section)
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .set("/process/rlimits", one("RLIMIT_NPROC", 50, 60))
            .is(&["rlimits", "RLIMIT_NPROC"], json!([50, 60])),
        case("rlimits/what-is-not-named-stays", section)
            .set("/process/rlimits", one("RLIMIT_CORE", 0, 0))
            .like_host(&["rlimits", "RLIMIT_SIGPENDING"])
            .like_host(&["rlimits", "RLIMIT_STACK"]),
        case("rlimits/unknown-type", section)
            .set("/process/rlimits", one("RLIMIT_OF_TOMORROW", 1, 1))
            .refused(),
        case("rlimits/soft-above-hard", section)
            .set("/process/rlimits", one("RLIMIT_NOFILE", 200, 100))
            .refused(),
        case("rlimits/same-type-twice", section)
            .set(
                "/process/rlimits",
                json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                    {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]),
            )
            .refused(),
    ]
}

fn scheduling() -> Vec<Case> {
    let section = "config.md#linux-process";
    let scheduler = |name: &'static str| case(name, section).since("1.1");
    let io = |name: &'static str, class: &str, priority: u32, shown: &str| {
        case(name, section)
            .since("1.1")
            .set("/process/ioPriority", json!({"class": class, "priority": priority}))
            .answers("run=/bin/busybox ionice", json!(shown))
    };
    vec![
        scheduler("scheduler/other-with-nice")
            .set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": -5}))
            .is(&["scheduler"], json!({"policy": 0, "nice": -5, "priority": 0})),
        scheduler("scheduler/batch")
            .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 5}))
            .is(&["scheduler"], json!({"policy": 3, "nice": 5, "priority": 0})),
        scheduler("scheduler/idle")
            .set("/process/scheduler", json!({"policy": "SCHED_IDLE"}))
            .is(&["scheduler", "policy"], json!(5)),
        scheduler("scheduler/fifo")
            .set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 7}))
            .is(&["scheduler"], json!({"policy": 1, "nice": 0, "priority": 7})),
        scheduler("scheduler/round-robin")
            .set(
                "/process/scheduler",
                json!({"policy": "SCHED_RR", "priority": 9, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
            )
            .is(&["scheduler"], json!({"policy": 2, "nice": 0, "priority": 9})),
        scheduler("scheduler/deadline")
            .set(
                "/process/scheduler",
                json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 500_000_000,
                    "period": 500_000_000}),
            )
            .is(&["scheduler", "policy"], json!(6)),
        scheduler("scheduler/unknown-policy")
            .set("/process/scheduler", json!({"policy": "SCHED_OF_TOMORROW"}))
            .refused(),
        io("io-priority/best-effort", "IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
        io("io-priority/realtime", "IOPRIO_CLASS_RT", 3, "realtime: prio 3"),
        case("io-priority/idle", section)
            .since("1.1")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}))
            .has(&["asked", "run=/bin/busybox ionice", "ok"], json!("idle"))
            .word("run=/bin/busybox ionice"),
        case("io-priority/unknown-class", section)
            .since("1.1")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_OF_TOMORROW", "priority": 0}))
            .refused(),
        case("process/oom-score-adj", section)
            .set("/process/oomScoreAdj", json!(500))
            .is(&["oom_score_adj"], json!(500)),
        case("process/oom-score-adj-unset-stays", section).like_host(&["oom_score_adj"]),
        case("process/oom-score-adj-out-of-range", section)
            .set("/process/oomScoreAdj", json!(2000))
            .refused(),
        case("process/all-cpus-where-none-are-named", "runc: the affinity of the caller")
            .like_host(&["affinity"]),
        case("memory-policy/bind", "config-linux.md#memory-policy")
            .since("1.3")
            .set(
                "/linux/memoryPolicy",
                json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
            )
            .is(&["memory_policy"], json!("bind=static:0")),
        case("memory-policy/interleave", "config-linux.md#memory-policy")
            .since("1.3")
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}))
            .is(&["memory_policy"], json!("interleave:0")),
        case("memory-policy/local", "config-linux.md#memory-policy")
            .since("1.3")
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL"}))
            .is(&["memory_policy"], json!("local")),
        case("memory-policy/unknown-mode", "config-linux.md#memory-policy")
            .since("1.3")
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_OF_TOMORROW", "nodes": "0"}))
            .refused(),
        case("personality/linux32", "config-linux.md#personality")
            .set("/linux/personality", json!({"domain": "LINUX32"}))
            .is(&["personality"], json!(8))
            .unlike_host(&["machine"]),
        case("personality/linux", "config-linux.md#personality")
            .set("/linux/personality", json!({"domain": "LINUX"}))
            .is(&["personality"], json!(0)),
        case("personality/unknown-domain", "config-linux.md#personality")
            .set("/linux/personality", json!({"domain": "MINIX"}))
            .refused(),
    ]
}

fn confinement() -> Vec<Case> {
    let section = "config.md#linux-process";
    let selinux = Need::Path("/sys/fs/selinux/enforce");
    let apparmor = Need::Path("/sys/kernel/security/apparmor/profiles");
    vec![
        case("process/no-new-privileges", section)
            .set("/process/noNewPrivileges", json!(true))
            .is(&["no_new_privs"], json!(1)),
        case("process/new-privileges", section)
            .set("/process/noNewPrivileges", json!(false))
            .is(&["no_new_privs"], json!(0)),
        case("apparmor/profile", section)
            .needs(apparmor)
            .needs(Need::Program("apparmor_parser", "apparmor"))
            .steps(super::apparmor::enters_its_profile),
        case("apparmor/unknown-profile", section)
            .needs(apparmor)
            .set("/process/apparmorProfile", json!("ross-no-such-profile"))
            .refused(),
        case("selinux/label", section)
            .needs(selinux)
            .set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0"))
            .is(&["label"], json!("system_u:system_r:container_t:s0")),
        case("selinux/mount-label", "config-linux.md#mount-label")
            .needs(selinux)
            .set("/linux/mountLabel", json!("system_u:object_r:container_file_t:s0"))
            .has(&["mounts", "/dev", "super"], json!("context=system_u:object_r:container_file_t:s0")),
    ]
}
