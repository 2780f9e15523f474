//! Arguments that several commands share because all of them start a process or show one on this terminal.

use clap::{ArgAction, Args};

/// How a process runs, and as whom: `run`, `create`, `exec`.
#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Environment variable; KEY alone takes its value from here
    #[arg(short, long = "env", value_name = "KEY[=VALUE]", allow_hyphen_values = true)]
    pub env: Vec<String>,
    /// File of environment variables
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<String>,
    /// Directory to start in
    #[arg(short, long, value_name = "PATH")]
    pub workdir: Option<String>,
    /// user[:group], names or numbers
    #[arg(short, long)]
    pub user: Option<String>,
}

/// How the main process of a container is shown on this terminal: `run`, `start`, `attach`.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// Pass signals on to the container
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(action = ArgAction::Set)]
    pub sig_proxy: bool,
    /// Keys that detach from a terminal; ctrl-p,ctrl-q by default
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
}
