//! Arguments of the commands that make images of containers and archives, and archives of containers.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// `commit`
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Name, id or unambiguous prefix of an id
    pub container: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub reference: Option<String>,
    /// Who made it
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub author: String,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// A Dockerfile's instruction to apply: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL,
    /// USER, VOLUME, WORKDIR; may be given several times
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// Freeze the container while its files are read
    #[arg(
        short,
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub pause: bool,
    /// Do not freeze it
    #[arg(long, conflicts_with = "pause")]
    pub no_pause: bool,
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Name, id or unambiguous prefix of an id
    pub container: String,
    /// File to write; standard output by default
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `image import`, `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Archive of a root, plain or packed by gzip or zstd; `-` is standard input
    #[arg(value_name = "FILE|-")]
    pub archive: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub reference: Option<String>,
    /// A Dockerfile's instruction to apply, as with `commit`; may be given several times
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// os/architecture[/variant] that the files are for; the daemon's own by default
    #[arg(long)]
    pub platform: Option<String>,
}

/// `image history`, `history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name, id or unambiguous prefix of an id
    pub image: String,
    /// Whole ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Sizes and times in people's units
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub human: bool,
}
