//! `process`: the program and what surrounds it.

config! {
    /// The program that runs in a container, or one that joins it.
    pub struct Process {
        /// Whether its standard streams are a terminal.
        pub terminal: bool,
        /// Size of that terminal.
        pub console_size: Option<ConsoleSize>,
        /// Who it runs as.
        pub user: User,
        /// The program and its arguments.
        pub args: Vec<String>,
        /// Environment, `NAME=value` each.
        pub env: Vec<String>,
        /// Working directory, absolute in the container.
        pub cwd: String,
        /// Capability sets; none at all when absent.
        pub capabilities: Option<Capabilities>,
        /// Resource limits.
        pub rlimits: Vec<Rlimit>,
        /// Whether exec can never grant privileges.
        pub no_new_privileges: bool,
        /// AppArmor profile to enter on exec.
        pub apparmor_profile: String,
        /// Badness adjustment, -1000 to 1000.
        pub oom_score_adj: Option<i32>,
        /// SELinux label to run under.
        pub selinux_label: String,
        /// Scheduling policy.
        pub scheduler: Option<Scheduler>,
        /// I/O priority.
        pub io_priority: Option<IoPriority>,
        /// CPUs of an exec; the first process of a container has those of its cgroup.
        #[serde(rename = "execCPUAffinity")]
        pub exec_cpu_affinity: Option<ExecCpuAffinity>,
    }

    /// Size of a terminal in characters.
    pub struct ConsoleSize {
        /// Rows.
        pub height: u32,
        /// Columns.
        pub width: u32,
    }

    /// Ids as seen inside the container.
    pub struct User {
        /// User id.
        pub uid: u32,
        /// Group id.
        pub gid: u32,
        /// File mode creation mask.
        pub umask: Option<u32>,
        /// Supplementary groups.
        pub additional_gids: Vec<u32>,
    }

    /// The five capability sets, by names such as `CAP_CHOWN`. Unknown names are dropped with a warning.
    pub struct Capabilities {
        /// What exec can ever gain.
        pub bounding: Vec<String>,
        /// What permission checks look at.
        pub effective: Vec<String>,
        /// What exec of a file with inheritable capabilities keeps.
        pub inheritable: Vec<String>,
        /// Limit of the effective set.
        pub permitted: Vec<String>,
        /// What exec of an ordinary file keeps; part of permitted. What is not inheritable too has no effect.
        pub ambient: Vec<String>,
    }

    /// One resource limit of setrlimit(2).
    pub struct Rlimit {
        /// Its name, such as `RLIMIT_NOFILE`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Ceiling for the soft limit; `u64::MAX` is unlimited.
        pub hard: u64,
        /// Value enforced; `u64::MAX` is unlimited.
        pub soft: u64,
    }

    /// Parameters of sched_setattr(2).
    pub struct Scheduler {
        /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_IDLE`, `SCHED_DEADLINE`.
        pub policy: String,
        /// Nice value of SCHED_OTHER and SCHED_BATCH.
        pub nice: i32,
        /// Static priority of SCHED_FIFO and SCHED_RR.
        pub priority: i32,
        /// `SCHED_FLAG_RESET_ON_FORK` and the like.
        pub flags: Vec<String>,
        /// SCHED_DEADLINE: runtime in nanoseconds.
        pub runtime: u64,
        /// SCHED_DEADLINE: deadline in nanoseconds.
        pub deadline: u64,
        /// SCHED_DEADLINE: period in nanoseconds.
        pub period: u64,
    }

    /// Parameters of ioprio_set(2).
    pub struct IoPriority {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        pub class: String,
        /// Priority within the class, 0 (highest) to 7.
        pub priority: i32,
    }

    /// CPU lists such as `0-3,7`, for an exec.
    pub struct ExecCpuAffinity {
        /// While joining, before the process is in the cgroup.
        pub initial: String,
        /// From then on.
        #[serde(rename = "final")]
        pub last: String,
    }
}
