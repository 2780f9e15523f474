//! Arguments of the image commands, short and long.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{HistoryArgs, ImagePruneArgs, ImportArgs};

/// `ross image …`
#[derive(Debug, Args)]
pub struct ImageArgs {
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// The long forms.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List images
    #[command(visible_alias = "ls")]
    List(ImageListArgs),
    /// Show images in full
    Inspect(ImagesArg),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// Send an image to a registry
    Push(PushArgs),
    /// Build an image from a Dockerfile (not yet)
    Build(BuildArgs),
    /// Remove images
    #[command(visible_alias = "rm")]
    Remove(ImageRemoveArgs),
    /// Give an image another name
    Tag(TagArgs),
    /// Search a registry for images
    Search(SearchArgs),
    /// Load images from an archive
    Load(LoadArgs),
    /// Write images to an archive
    Save(SaveArgs),
    /// Hold images on disk against their digests, and mend what is wrong
    Verify(VerifyArgs),
    /// Make an image of an archive of a root
    Import(ImportArgs),
    /// Show how an image came to be
    History(HistoryArgs),
    /// Remove images that no container uses
    Prune(ImagePruneArgs),
}

/// One or more images.
#[derive(Debug, Args)]
pub struct ImagesArg {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
}

/// `image list`, `images`
#[derive(Debug, Args)]
pub struct ImageListArgs {
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub reference: Option<String>,
    /// Dangling intermediate images, too
    #[arg(short, long)]
    pub all: bool,
    /// Show the digests of manifests
    #[arg(long)]
    pub digests: bool,
    /// Only images that match: reference=…, dangling=true, label=…, before=…, since=…
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole ids
    #[arg(long)]
    pub no_trunc: bool,
}

/// `image pull`, `pull`
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Name with an optional tag or digest
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub reference: String,
    /// Tag to pull, when the name has none
    #[arg(long)]
    pub tag: Option<String>,
    /// os/architecture[/variant]; the daemon's own by default
    #[arg(long)]
    pub platform: Option<String>,
    /// No progress, only the name of what was pulled
    #[arg(short, long)]
    pub quiet: bool,
}

/// `image push`, `push`
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Name with an optional tag
    #[arg(value_name = "NAME[:TAG]")]
    pub reference: String,
    /// Tag to push, when the name has none
    #[arg(long, conflicts_with = "all_tags")]
    pub tag: Option<String>,
    /// Every tag that the name has here
    #[arg(short, long)]
    pub all_tags: bool,
    /// No progress, only the name of what was pushed
    #[arg(short, long)]
    pub quiet: bool,
}

/// `image build`, `build`
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Directory that the build may read
    #[arg(value_name = "PATH", default_value = ".")]
    pub context: PathBuf,
    /// Path of the Dockerfile within the directory
    #[arg(short = 'f', long, visible_alias = "file", value_name = "PATH")]
    pub dockerfile: Option<String>,
    /// Name of the image; may be given several times
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    pub tags: Vec<String>,
    /// Value of an ARG
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    pub build_args: Vec<String>,
    /// Label of the image
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Stage to stop at
    #[arg(long)]
    pub target: Option<String>,
    /// Build every step anew
    #[arg(long)]
    pub no_cache: bool,
    /// Fetch newer base images
    #[arg(long)]
    pub pull: bool,
    /// Platforms to build for
    #[arg(long = "platform", value_delimiter = ',')]
    pub platforms: Vec<String>,
}

/// `image remove`, `rmi`
#[derive(Debug, Args)]
pub struct ImageRemoveArgs {
    /// Names, ids or unambiguous prefixes of ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Images with several names and those of stopped containers, too
    #[arg(short, long)]
    pub force: bool,
    /// Remove parents that have no name, as is the default
    #[arg(long, overrides_with = "no_prune")]
    pub prune: bool,
    /// Keep parents that have no name
    #[arg(long, overrides_with = "prune")]
    pub no_prune: bool,
}

/// `image tag`, `tag`
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Name or id of the image
    pub source: String,
    /// The further name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub target: String,
    /// Tag of the further name, when it has none
    #[arg(long)]
    pub tag: Option<String>,
}

/// `image search`, `search`
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for at docker's hub, or REGISTRY/TERM
    pub term: String,
    /// At most so many, 1 to 100
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Only results that match: is-official=…, stars=…
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Whole descriptions
    #[arg(long)]
    pub no_trunc: bool,
}

/// `image load`, `load`
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Archive, or directory of an OCI layout, to read; standard input by default
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Only names and errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// `image save`, `save`
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Names, ids or unambiguous prefixes of ids; a name without a tag means all its tags
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// File to write; standard output by default
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `image verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Names, ids or unambiguous prefixes of ids; all images by default
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Fetch what is wrong again from the registry that the image's names lead to
    #[arg(long)]
    pub repair: bool,
    /// Only what is wrong
    #[arg(short, long)]
    pub quiet: bool,
}
