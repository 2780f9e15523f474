//! Arguments of `login` and `logout`.

use clap::Args;

/// `login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Registry; Docker Hub by default
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// User name; asked for by default
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Password or access token; others on this machine can see it, unlike what --password-stdin takes
    #[arg(short, long)]
    pub password: Option<String>,
    /// Take the password from standard input
    #[arg(long, requires = "username", conflicts_with = "password")]
    pub password_stdin: bool,
}

/// `logout`
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Registry; Docker Hub by default
    #[arg(value_name = "SERVER", conflicts_with = "all")]
    pub server: Option<String>,
    /// All registries
    #[arg(short, long)]
    pub all: bool,
}
