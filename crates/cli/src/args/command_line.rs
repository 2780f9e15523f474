//! The whole command line: global options, every command, and the arguments that several of them share.

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    AttachArgs, BuildArgs, CommitArgs, ContainerArgs, CreateArgs, ExecArgs, ExportArgs, HistoryArgs,
    ImageArgs, ImageListArgs, ImageRemoveArgs, ImportArgs, KillArgs, ListArgs, LoadArgs, LoginArgs,
    LogoutArgs, LogsArgs, PullArgs, PushArgs, RemoveArgs, RenameArgs, RestartArgs, RunArgs, SaveArgs,
    SearchArgs, StartArgs, StatsArgs, StopArgs, SystemArgs, TagArgs,
};

/// Where rossd listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///run/ross/ross.sock";

/// Run containers on this machine.
#[derive(Debug, Parser)]
#[command(name = "ross", version, propagate_version = true)]
#[command(after_help = "`ross COMMAND --help` says more of each command.")]
pub struct Cli {
    // Neither clap's default nor its environment: both count as typed, and every usage line would have the option in it.
    /// Socket of the daemon: unix:///PATH [env: ROSS_HOST] [default: unix:///run/ross/ross.sock]
    #[arg(short = 'H', long, global = true)]
    pub host: Option<String>,
    /// How lists and inspections are printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    #[command(subcommand)]
    pub command: Command,
}

/// The shapes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// JSON for programs.
    Json,
}

/// Every command; the short forms first.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create and start a container, and show its output
    Run(RunArgs),
    /// Create a container without starting it
    Create(CreateArgs),
    /// Start containers
    Start(StartArgs),
    /// Stop containers: their stop signal, then KILL
    Stop(StopArgs),
    /// Stop and start containers
    Restart(RestartArgs),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Freeze all processes of containers
    Pause(ContainersArg),
    /// Let the processes of paused containers go on
    Unpause(ContainersArg),
    /// List containers
    Ps(ListArgs),
    /// Run a command in a running container
    Exec(ExecArgs),
    /// Print what a container wrote
    Logs(LogsArgs),
    /// Connect to the streams of a running container
    Attach(AttachArgs),
    /// Wait until containers stop, and print their exit codes
    Wait(ContainersArg),
    /// Give a container another name
    Rename(RenameArgs),
    /// Remove containers
    Rm(RemoveArgs),
    /// Show what containers use of the host
    Stats(StatsArgs),
    /// Show containers or images in full
    Inspect(InspectArgs),
    /// List images
    Images(ImageListArgs),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// Send an image to a registry
    Push(PushArgs),
    /// Build an image from a Dockerfile (not yet)
    Build(BuildArgs),
    /// Remove images
    Rmi(ImageRemoveArgs),
    /// Give an image another name
    Tag(TagArgs),
    /// Load images from an archive
    Load(LoadArgs),
    /// Write images to an archive
    Save(SaveArgs),
    /// Make an image of an archive of a root
    Import(ImportArgs),
    /// Make an image of what a container has changed
    Commit(CommitArgs),
    /// Write all files of a container as a tar archive
    Export(ExportArgs),
    /// Show how an image came to be
    History(HistoryArgs),
    /// Search a registry for images
    Search(SearchArgs),
    /// Log in to a registry
    Login(LoginArgs),
    /// Forget the credentials for a registry
    Logout(LogoutArgs),
    /// Containers, in the long form
    Container(ContainerArgs),
    /// Images, in the long form
    Image(ImageArgs),
    /// What takes the disk, and giving it back
    System(SystemArgs),
    /// Ask the daemon whether it is well
    Health,
    /// Show the versions of ross and of the daemon
    Version,
    /// Show the daemon and its host
    Info,
}

/// One or more containers.
#[derive(Debug, Args)]
pub struct ContainersArg {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// `inspect`, of either kind.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Names or ids
    #[arg(required = true, value_name = "NAME|ID")]
    pub names: Vec<String>,
    /// Look only among these
    #[arg(long = "type", value_enum)]
    pub kind: Option<ObjectKind>,
    /// Measure the container's files, too
    #[arg(short, long)]
    pub size: bool,
}

/// What `inspect --type` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectKind {
    /// Containers only.
    Container,
    /// Images only.
    Image,
}
