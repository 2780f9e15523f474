//! Arguments of `run` and `create`: the options docker's users type without thinking, in groups.

use clap::{ArgAction, Args, ValueEnum};

use super::{ProcessArgs, SessionArgs};

/// `run`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    #[command(flatten)]
    pub options: OptionArgs,
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub session: SessionArgs,
    /// Streams to connect: stdin, stdout, stderr
    #[arg(short, long = "attach", value_name = "STREAM", conflicts_with = "detach")]
    pub attach: Vec<String>,
    /// Image, then the command and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub words: Vec<String>,
}

/// `create`: like docker's, with all options before the image
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CreateArgs {
    #[command(flatten)]
    pub options: OptionArgs,
    /// Image, then the command and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub words: Vec<String>,
}

/// `container create`: options may also stand between the image and the command.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct InterspersedCreateArgs {
    #[command(flatten)]
    pub options: OptionArgs,
    /// Image to make the container from
    pub image: String,
    /// Command and its arguments, instead of the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Every option that describes the container.
#[derive(Debug, Args)]
pub struct OptionArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Name of the container; two words are made up by default
    #[arg(long)]
    pub name: Option<String>,
    /// Remove the container when it exits
    #[arg(long)]
    pub rm: bool,
    /// When to start it again: no, always, unless-stopped, on-failure[:MAX]
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Label
    #[arg(short, long = "label", value_name = "KEY[=VALUE]", allow_hyphen_values = true)]
    pub labels: Vec<String>,
    /// File of labels, one a line
    #[arg(long = "label-file", value_name = "FILE")]
    pub label_files: Vec<String>,
    /// Annotation for the runtime
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
    /// File to write the container's id to; it must not exist
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<String>,
    /// When to fetch the image
    #[arg(long, value_enum, default_value_t = PullPolicy::Missing)]
    pub pull: PullPolicy,
    /// os/architecture[/variant] of the image
    #[arg(long)]
    pub platform: Option<String>,
    /// No progress while fetching the image
    #[arg(short, long)]
    pub quiet: bool,
    /// Refused: ross cannot hand GPUs to containers yet
    #[arg(long, value_name = "GPUS", hide = true)]
    pub gpus: Option<String>,
    /// Signal that asks it to stop; the image's, else TERM
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and KILL; negative waits for ever
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i32>,
    /// Where its output is kept: json-file or none
    #[arg(long, value_name = "DRIVER", help_heading = "Log")]
    pub log_driver: Option<String>,
    /// Option of the log: max-size=10m, max-file=3
    #[arg(long = "log-opt", value_name = "KEY=VALUE", help_heading = "Log")]
    pub log_options: Vec<String>,
    #[command(flatten, next_help_heading = "Process")]
    pub process: ProcessArgs,
    /// Further group
    #[arg(long = "group-add", value_name = "GROUP", help_heading = "Process")]
    pub group_add: Vec<String>,
    /// Program that gets the command as arguments; "" for none
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true, help_heading = "Process")]
    pub entrypoint: Option<String>,
    /// A small init as PID 1 that reaps and forwards signals (not yet)
    #[arg(long, help_heading = "Process")]
    pub init: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub storage: StorageArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub security: SecurityArgs,
    #[command(flatten)]
    pub health: HealthArgs,
}

/// When `run` and `create` pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PullPolicy {
    /// When it is not here.
    Missing,
    /// Each time.
    Always,
    /// Not at all.
    Never,
}

/// How it is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// bridge, none, host or container:NAME
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    pub network: Option<String>,
    /// Further name of it on its network
    #[arg(long = "network-alias", alias = "net-alias", value_name = "NAME")]
    pub network_aliases: Vec<String>,
    /// Publish a port: [[HOST-IP:]HOST-PORT:]PORT[/PROTOCOL], or ranges
    #[arg(short, long = "publish", value_name = "PORT")]
    pub publish: Vec<String>,
    /// Publish every exposed port on a free one
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Expose a port: PORT[-PORT][/PROTOCOL]
    #[arg(long = "expose", value_name = "PORT")]
    pub expose: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// MAC address
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Name server
    #[arg(long = "dns", value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Search domain
    #[arg(long = "dns-search", value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Resolver option
    #[arg(long = "dns-option", alias = "dns-opt", value_name = "OPTION")]
    pub dns_options: Vec<String>,
    /// Line of /etc/hosts: NAME:ADDRESS; the address may be host-gateway
    #[arg(long = "add-host", value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
    /// Host name
    #[arg(short = 'h', long)]
    pub hostname: Option<String>,
    /// NIS domain name
    #[arg(long)]
    pub domainname: Option<String>,
}

/// What it sees of files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct StorageArgs {
    /// Mount a volume or a path of the host: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long = "volume", value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// Mount something: type=bind|volume|tmpfs|image,source=…,target=…[,readonly]
    #[arg(long = "mount", value_name = "OPTIONS")]
    pub mounts: Vec<String>,
    /// Mount a tmpfs: PATH[:OPTIONS]
    #[arg(long = "tmpfs", value_name = "PATH")]
    pub tmpfs: Vec<String>,
    /// Mount the volumes of another container, too: CONTAINER[:ro]
    #[arg(long = "volumes-from", value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    pub shm_size: Option<String>,
    /// Make its root file system read-only
    #[arg(long)]
    pub read_only: bool,
}

/// What it may use up.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Memory, such as 512m
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Memory it keeps when the host runs short
    #[arg(long, value_name = "BYTES")]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no bound
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// CPUs, such as 1.5
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// CPUs it may run on, such as 0-2,4
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Relative weight among containers; 1024 by default
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Microseconds of a CPU period
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// Microseconds of CPU in each period
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Processes and threads; -1 for no bound
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Relative weight of block I/O, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u32>,
    /// Bytes a second read from a device: PATH:RATE
    #[arg(long = "device-read-bps", value_name = "PATH:RATE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second written to a device: PATH:RATE
    #[arg(long = "device-write-bps", value_name = "PATH:RATE")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a device: PATH:RATE
    #[arg(long = "device-read-iops", value_name = "PATH:RATE")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a device: PATH:RATE
    #[arg(long = "device-write-iops", value_name = "PATH:RATE")]
    pub device_write_iops: Vec<String>,
    /// Resource limit of a process: NAME=SOFT[:HARD]
    #[arg(long = "ulimit", value_name = "LIMIT")]
    pub ulimits: Vec<String>,
    /// How readily the kernel kills it when memory is out: -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub oom_score_adj: Option<i32>,
    /// Cgroup to put it below
    #[arg(long, value_name = "CGROUP")]
    pub cgroup_parent: Option<String>,
}

/// What it may do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rights")]
pub struct SecurityArgs {
    /// All capabilities and devices, nothing masked
    #[arg(long)]
    pub privileged: bool,
    /// Further capability, or ALL
    #[arg(long = "cap-add", value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Capability to take away, or ALL
    #[arg(long = "cap-drop", value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, label=…, systempaths=unconfined
    #[arg(long = "security-opt", value_name = "OPTION")]
    pub security_options: Vec<String>,
    /// Device of the host: PATH[:PATH-INSIDE][:rwm]
    #[arg(long = "device", value_name = "DEVICE")]
    pub devices: Vec<String>,
    /// Rule of the device list, such as "c 1:3 rwm"
    #[arg(long = "device-cgroup-rule", value_name = "RULE")]
    pub device_cgroup_rules: Vec<String>,
    /// Namespaced kernel parameter
    #[arg(long = "sysctl", value_name = "KEY=VALUE")]
    pub sysctls: Vec<String>,
    /// User namespace: host, auto or a mapping
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// PID namespace: host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: host, private or container:NAME
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// UTS namespace: host
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// Cgroup namespace: host or private
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

/// How it is seen to be well.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health check")]
pub struct HealthArgs {
    /// Shell command that checks it
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub health_cmd: Option<String>,
    /// Time between checks, such as 30s
    #[arg(long, value_name = "DURATION")]
    pub health_interval: Option<String>,
    /// Time a check may take
    #[arg(long, value_name = "DURATION")]
    pub health_timeout: Option<String>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "N")]
    pub health_retries: Option<u32>,
    /// Time at its start in which failures do not count
    #[arg(long, value_name = "DURATION")]
    pub health_start_period: Option<String>,
    /// Time between checks in that period
    #[arg(long, value_name = "DURATION")]
    pub health_start_interval: Option<String>,
    /// No health check, even if the image has one
    #[arg(long)]
    pub no_healthcheck: bool,
}
