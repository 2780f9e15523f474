//! Why credentials can be neither found nor kept.

use std::io;
use std::path::PathBuf;

/// What went wrong with config.json or a helper.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file, or its directory.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// What the file says makes no sense.
    #[error("{}: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    /// A credential helper says no, or cannot be asked.
    #[error("docker-credential-{name} {action}: {reason}")]
    Helper { name: String, action: &'static str, reason: String },
    /// There is no home.
    #[error("no place for credentials: set HOME, or DOCKER_CONFIG to a directory")]
    NoPlace,
}
