//! Arguments of the commands about the whole of ross, and of those that prune.

use clap::{Args, Subcommand};

/// `ross system …`
#[derive(Debug, Args)]
pub struct SystemArgs {
    #[command(subcommand)]
    pub command: SystemCommand,
}

/// What there is about the whole.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show what takes the disk
    Df(DfArgs),
    /// Remove what nothing uses: containers that do not run, images without a name
    Prune(SystemPruneArgs),
    /// Show the daemon and its host
    Info,
}

/// `system df`
#[derive(Debug, Args)]
pub struct DfArgs {
    /// Each image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
}

/// `system prune`
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// Images that have a name, too
    #[arg(short, long)]
    pub all: bool,
    /// Volumes without a name, too
    #[arg(long)]
    pub volumes: bool,
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// `image prune`
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// Images that have a name, too
    #[arg(short, long)]
    pub all: bool,
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// What all prunes take.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Only what matches: until=…, label=…, label!=…; of images dangling=…, too
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}
