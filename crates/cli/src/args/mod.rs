//! What was typed: the grammar of the command line, as clap sees it.
//!
//! Nothing here decides or does anything; `request` turns these structs into requests, `commands` carries them out.

mod command_line;
mod container;
mod create;
mod image;
mod login;
mod make;
mod process;
mod system;

pub use command_line::{Cli, Command, ContainersArg, DEFAULT_HOST, Format, InspectArgs, ObjectKind};
pub use container::{
    AttachArgs, ContainerArgs, ContainerCommand, ExecArgs, KillArgs, ListArgs, LogsArgs, RemoveArgs,
    RenameArgs, RestartArgs, StartArgs, StatsArgs, StopArgs,
};
pub use create::{
    CreateArgs, HealthArgs, InterspersedCreateArgs, LimitArgs, NetworkArgs, OptionArgs, PullPolicy, RunArgs,
    SecurityArgs, StorageArgs,
};
pub use image::{
    BuildArgs, ImageArgs, ImageCommand, ImageListArgs, ImageRemoveArgs, LoadArgs, PullArgs, PushArgs,
    SaveArgs, SearchArgs, TagArgs, VerifyArgs,
};
pub use login::{LoginArgs, LogoutArgs};
pub use make::{CommitArgs, ExportArgs, HistoryArgs, ImportArgs};
pub use process::{ProcessArgs, SessionArgs};
pub use system::{DfArgs, ImagePruneArgs, PruneArgs, SystemArgs, SystemCommand, SystemPruneArgs};
