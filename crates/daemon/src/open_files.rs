//! The daemon's limit on open files: shims, streams and published ports all hold descriptors.

use ross_engine::OpenFiles;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises it to what is allowed, and returns what it was: containers are given that. Programs that close or scan all
/// descriptors they might have crawl under a limit like the daemon's.
pub fn raise() -> OpenFiles {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    OpenFiles { soft: number(before.current), hard: number(before.maximum) }
}
