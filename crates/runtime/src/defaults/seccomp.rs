//! The default system call filter: what it allows always, and what only with a capability.
//!
//! It blocks what Docker's profile (moby/profiles, of autumn 2026) blocks; which calls those are is a fact taken from
//! there. What is not named is refused: EPERM up to the newest call named here, ENOSYS beyond.

use crate::spec::{Seccomp, SeccompAction, SeccompArch, SeccompOperator, SyscallArg, SyscallRule};

/// Calls that concern only the caller, what it opened and what it may reach anyway.
const ALWAYS: &str = "
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
    eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
    fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
    fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
    ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat
    get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32
    getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority
    getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt
    gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
    ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
    lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek
    lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret
    mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify
    mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal
    msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat
    _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
    pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
    process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read
    readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
    removexattr removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64
    sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid
    setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32
    setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid
    setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
    sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink
    symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64
    ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice
    wait4 waitid waitpid write writev";

/// Calls of one architecture.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "arch_prctl modify_ldt";
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: &str = "";

/// Calls that a capability brings with it.
const BY_CAPABILITY: [(&str, &str); 14] = [
    ("DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
        quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("SYS_BOOT", "reboot"),
    ("SYS_CHROOT", "chroot"),
    ("SYS_MODULE", "delete_module finit_module init_module"),
    ("SYS_PACCT", "acct"),
    ("SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("SYS_RAWIO", "ioperm iopl"),
    ("SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("SYS_TTY_CONFIG", "vhangup"),
    ("SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("SYSLOG", "syslog"),
    ("BPF", "bpf"),
    ("PERFMON", "perf_event_open"),
];

/// Address families of socket(2). Left out: those the kernel has dropped, AF_ALG (38), which has only ever been an
/// attack surface in containers, and AF_VSOCK (40), which network namespaces do not confine.
const SOCKET_FAMILIES: [u64; 36] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33,
    35, 36, 39, 41, 42, 43, 44, 45,
];

/// `personality` values: Linux, with 16-bit inodes, with the uname of 2.6, both, and the question for the current one.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The flags of clone(2) that make namespaces.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

/// The default filter for a container with these capabilities (names with or without `CAP_`).
#[must_use]
pub fn default_seccomp(capabilities: &[impl AsRef<str>]) -> Seccomp {
    let has = |wanted: &str| {
        capabilities.iter().any(|name| {
            let name = name.as_ref();
            name.strip_prefix("CAP_").unwrap_or(name) == wanted
        })
    };
    let mut names: Vec<&str> =
        ALWAYS.split_ascii_whitespace().chain(NATIVE.split_ascii_whitespace()).collect();
    for (capability, calls) in BY_CAPABILITY {
        if has(capability) {
            names.extend(calls.split_ascii_whitespace());
        }
    }
    names.sort_unstable();
    names.dedup();

    let mut syscalls = vec![
        allow(&names, Vec::new()),
        allow(&["socket"], one_of(&SOCKET_FAMILIES)),
        allow(&["personality"], one_of(&PERSONALITIES)),
    ];
    if !has("SYS_ADMIN") {
        syscalls.push(allow(
            &["clone"],
            vec![SyscallArg {
                index: 0,
                value: CLONE_NAMESPACES,
                value_two: 0,
                op: SeccompOperator::MaskedEqual,
            }],
        ));
        // Its flags are behind a pointer. C libraries fall back to clone on this errno, and on no other.
        syscalls.push(SyscallRule {
            names: vec!["clone3".to_owned()],
            action: SeccompAction::Errno,
            errno_ret: Some(ENOSYS),
            args: Vec::new(),
        });
    }
    Seccomp {
        default_action: SeccompAction::Errno,
        default_errno_ret: Some(EPERM),
        architectures: architectures(),
        syscalls,
        ..Seccomp::default()
    }
}

fn architectures() -> Vec<SeccompArch> {
    if cfg!(target_arch = "aarch64") {
        vec![SeccompArch::Aarch64, SeccompArch::Arm]
    } else if cfg!(target_arch = "x86_64") {
        vec![SeccompArch::X8664, SeccompArch::X86, SeccompArch::X32]
    } else {
        vec![SeccompArch::Native]
    }
}

fn allow(names: &[&str], args: Vec<SyscallArg>) -> SyscallRule {
    SyscallRule {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        action: SeccompAction::Allow,
        errno_ret: None,
        args,
    }
}

/// The first argument is one of these: several conditions on one argument are alternatives.
fn one_of(values: &[u64]) -> Vec<SyscallArg> {
    values
        .iter()
        .map(|&value| SyscallArg { index: 0, value, value_two: 0, op: SeccompOperator::Equal })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::defaults::CAPABILITIES;
    use crate::seccomp::{Abi, compile, compile_for, lookup_syscall, syscall_names};

    #[test]
    fn every_name_is_a_call_of_some_machine() {
        // Calls that only machines without a table here have, or that exist by this name in libseccomp alone.
        let elsewhere = ["fadvise64_64", "fstatat64", "getsid", "riscv_hwprobe"];
        let by_capability = BY_CAPABILITY.iter().flat_map(|(_, names)| names.split_ascii_whitespace());
        for name in
            ALWAYS.split_ascii_whitespace().chain(NATIVE.split_ascii_whitespace()).chain(by_capability)
        {
            assert!(lookup_syscall(name).is_some() || elsewhere.contains(&name), "{name}");
        }
    }

    #[test]
    fn capabilities_bring_their_calls() {
        let check = |capability: &str, name: &str| {
            let allowed = |profile: Seccomp| {
                profile.syscalls.iter().any(|rule| {
                    rule.action == SeccompAction::Allow
                        && rule.args.is_empty()
                        && rule.names.iter().any(|known| known == name)
                })
            };
            assert!(!allowed(default_seccomp(&CAPABILITIES)), "{name}");
            assert!(allowed(default_seccomp(&[capability])), "{capability} {name}");
        };
        check("CAP_SYS_ADMIN", "mount");
        check("SYS_ADMIN", "clone3");
        check("CAP_SYS_MODULE", "init_module");
        check("CAP_SYS_TIME", "clock_settime");
        check("CAP_BPF", "bpf");
        check("CAP_SYS_PTRACE", "kcmp");
        check("CAP_SYS_NICE", "mbind");
    }

    #[test]
    fn what_breaks_out_is_not_allowed() {
        let all: Vec<String> = default_seccomp(&CAPABILITIES)
            .syscalls
            .into_iter()
            .filter(|rule| rule.action == SeccompAction::Allow && rule.args.is_empty())
            .flat_map(|rule| rule.names)
            .collect();
        for name in [
            "add_key",
            "keyctl",
            "request_key",
            "bpf",
            "clone",
            "clone3",
            "delete_module",
            "fsopen",
            "init_module",
            "io_uring_enter",
            "io_uring_register",
            "io_uring_setup",
            "kexec_file_load",
            "kexec_load",
            "mount",
            "mount_setattr",
            "move_mount",
            "nfsservctl",
            "open_by_handle_at",
            "open_tree",
            "perf_event_open",
            "personality",
            "pivot_root",
            "quotactl",
            "reboot",
            "setns",
            "socket",
            "swapon",
            "syslog",
            "umount2",
            "unshare",
            "uselib",
            "userfaultfd",
            "ustat",
            "vm86",
        ] {
            assert!(!all.iter().any(|allowed| allowed == name), "{name}");
            assert!(syscall_names().any(|known| known == name), "{name}");
        }
    }

    /// Not an assertion about time: the figures are for whoever reads the output.
    #[test]
    fn the_size_and_the_time_of_the_default() {
        let profile = default_seccomp(&CAPABILITIES);
        for native in [Abi::X86_64, Abi::Aarch64] {
            let arm = vec![SeccompArch::Aarch64, SeccompArch::Arm];
            let x86 = vec![SeccompArch::X8664, SeccompArch::X86, SeccompArch::X32];
            let architectures = if native == Abi::X86_64 { x86 } else { arm };
            let profile = Seccomp { architectures, ..profile.clone() };
            let all = compile_for(native, &profile).unwrap().instructions.len();
            let alone = Seccomp { architectures: Vec::new(), ..profile };
            let alone = compile_for(native, &alone).unwrap().instructions.len();
            println!("{native:?}: {all} instructions with all its architectures, {alone} without");
            assert!(all < 1000, "{all}");
        }
        let mut times: Vec<_> = (0..200)
            .map(|_| {
                let start = Instant::now();
                let program = compile(&profile).unwrap();
                (start.elapsed(), program.instructions.len()).0
            })
            .collect();
        times.sort_unstable();
        println!("compile: {:?} at the median, {:?} at best", times[100], times[0]);
    }
}
