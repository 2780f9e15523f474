//! Work on threads and tasks of its own.

use crate::error::{EngineError, Result};

/// Runs `work` on a thread that may block. It is done to its end, even if nobody waits for it any more.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    finished(tokio::task::spawn_blocking(work).await)
}

/// Runs `work` to its end, even if nobody waits for it any more.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    finished(tokio::spawn(work).await)
}

fn finished<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| Err(EngineError::internal("task", "a task ended early").caused_by(error)))
}
