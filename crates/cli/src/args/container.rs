//! Arguments of the container commands other than `run` and `create`, short and long.

use clap::{Args, Subcommand};

use super::{
    CommitArgs, ContainersArg, ExportArgs, InterspersedCreateArgs, ProcessArgs, PruneArgs, RunArgs,
    SessionArgs,
};

/// `ross container …`
#[derive(Debug, Args)]
pub struct ContainerArgs {
    #[command(subcommand)]
    pub command: ContainerCommand,
}

/// The long forms.
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Create and start a container, and show its output
    Run(RunArgs),
    /// Create a container without starting it
    Create(InterspersedCreateArgs),
    /// Start containers
    Start(StartArgs),
    /// Stop containers: their stop signal, then KILL
    Stop(StopArgs),
    /// Stop and start containers
    Restart(RestartArgs),
    /// List containers
    #[command(visible_alias = "ls", alias = "ps")]
    List(ListArgs),
    /// Show containers in full
    Inspect(ContainerInspectArgs),
    /// Remove containers
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Freeze all processes of containers
    Pause(ContainersArg),
    /// Let the processes of paused containers go on
    Unpause(ContainersArg),
    /// Print what a container wrote
    Logs(LogsArgs),
    /// Run a command in a running container
    Exec(ExecArgs),
    /// Connect to the streams of a running container
    Attach(AttachArgs),
    /// Wait until containers stop, and print their exit codes
    Wait(ContainersArg),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Give a container another name
    Rename(RenameArgs),
    /// Show what containers use of the host
    Stats(StatsArgs),
    /// Make an image of what a container has changed
    Commit(CommitArgs),
    /// Write all files of a container as a tar archive
    Export(ExportArgs),
    /// Remove containers that do not run
    Prune(PruneArgs),
}

/// `container inspect`
#[derive(Debug, Args)]
pub struct ContainerInspectArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Measure the container's files, too
    #[arg(short, long)]
    pub size: bool,
}

/// `start`
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show its output and wait for its end
    #[arg(short, long)]
    pub attach: bool,
    /// The same, with standard input connected
    #[arg(short, long)]
    pub interactive: bool,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// `stop`
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Seconds to wait before KILL; negative waits for ever
    #[arg(short, long, visible_alias = "time", value_name = "SECONDS", allow_negative_numbers = true)]
    pub timeout: Option<i32>,
    /// Signal to send instead of the container's own
    #[arg(short, long)]
    pub signal: Option<String>,
}

/// `restart`
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Seconds to wait before KILL; negative waits for ever
    #[arg(short, long, visible_alias = "time", value_name = "SECONDS", allow_negative_numbers = true)]
    pub timeout: Option<i32>,
}

/// `kill`
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Name or number of the signal
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
}

/// `container list`, `ps`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// The newest N, running or not
    #[arg(short = 'n', long, visible_alias = "last", value_name = "N")]
    pub limit: Option<u32>,
    /// The newest one, running or not
    #[arg(short, long, conflicts_with = "limit")]
    pub latest: bool,
    /// Only containers that match: name=…, status=…, label=…, ancestor=…, id=…, exited=…
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Measure the files of each container
    #[arg(short, long)]
    pub size: bool,
}

/// `container remove`, `rm`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Kill it first if it runs
    #[arg(short, long)]
    pub force: bool,
    /// Its anonymous volumes, too
    #[arg(short, long)]
    pub volumes: bool,
}

/// `logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name, id or unambiguous prefix of an id
    pub container: String,
    /// Go on printing what it writes
    #[arg(short, long)]
    pub follow: bool,
    /// The last N lines, or "all"
    #[arg(short = 'n', long, value_name = "N", default_value = "all", allow_negative_numbers = true)]
    pub tail: String,
    /// Only lines from this time on: a time, or a duration before now such as 10m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only lines before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
}

/// `exec`
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Container, command and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    pub words: Vec<String>,
    /// Start it and return
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from a terminal
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    #[command(flatten)]
    pub process: ProcessArgs,
    /// All capabilities
    #[arg(long)]
    pub privileged: bool,
}

/// `attach`
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Name, id or unambiguous prefix of an id
    pub container: String,
    /// Do not connect standard input
    #[arg(long)]
    pub no_stdin: bool,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// `rename`
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Name, id or unambiguous prefix of an id
    pub container: String,
    /// The name it gets
    pub new_name: String,
}

/// `stats`
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Names, ids or unambiguous prefixes of ids; all that run by default
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Those that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// One sample and no more
    #[arg(long)]
    pub no_stream: bool,
    /// Whole ids
    #[arg(long)]
    pub no_trunc: bool,
}
