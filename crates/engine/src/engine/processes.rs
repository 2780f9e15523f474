//! Processes of containers: their streams, logs, statistics, and further processes beside them.

use ross_types::ContainerId;

use super::Engine;
use crate::attach::AttachSession;
use crate::container::Command;
use crate::error::{EngineError, Result};
use crate::exec;
use crate::logs::LogStream;
use crate::model::{
    AttachOptions, ExecConfig, ExecDetails, ExecStart, LogDriver, LogQuery, TerminalSize, Timestamp,
};
use crate::stats::StatsStream;
use crate::task::detached;

impl Engine {
    /// Connects to the main process. When it does not run, the streams begin with its next start, and miss nothing.
    ///
    /// # Errors
    /// When it is paused or being removed.
    pub async fn attach(&self, container: &str, options: AttachOptions) -> Result<AttachSession> {
        let handle = self.context.registry.find(container)?;
        let mut session = handle.call(|reply| Command::Attach { options, reply }).await?;
        let view = handle.view();
        if options.logs && view.config.log.driver == LogDriver::JsonFile {
            // What was written before the connection; what came while it was made may come twice, but not never.
            let query = LogQuery {
                stdout: options.stdout,
                stderr: options.stderr,
                until: Some(Timestamp::now()),
                ..LogQuery::default()
            };
            let path = self.context.paths.log(&view.id);
            session.output.replay = Some(LogStream::open(path, query, handle.views.clone()));
        }
        Ok(session)
    }

    /// Resizes the terminal of the main process.
    ///
    /// # Errors
    /// When it does not run or has none.
    pub async fn resize(&self, container: &str, size: TerminalSize) -> Result<()> {
        self.context.registry.find(container)?.call(|reply| Command::Resize { size, reply }).await
    }

    /// The log.
    ///
    /// # Errors
    /// When none is kept.
    pub async fn logs(&self, container: &str, query: LogQuery) -> Result<LogStream> {
        let handle = self.context.registry.find(container)?;
        let view = handle.view();
        if view.config.log.driver == LogDriver::None {
            let text = format!("container {}: configured logging driver does not support reading", view.name);
            return Err(EngineError::new(ross_types::ErrorKind::Unimplemented, view.id.as_str(), text));
        }
        Ok(LogStream::open(self.context.paths.log(&view.id), query, handle.views))
    }

    /// Samples of what it uses: one a second, or one only.
    ///
    /// # Errors
    /// When one is asked for and it does not run.
    pub async fn stats(&self, container: &str, stream: bool) -> Result<StatsStream> {
        StatsStream::new(&self.context.registry.find(container)?, stream)
    }

    /// Prepares a process in a container that runs.
    ///
    /// # Errors
    /// When it does not run, or a field cannot be what it is.
    pub async fn create_exec(&self, container: &str, config: ExecConfig) -> Result<ContainerId> {
        exec::create(&self.context, container, config)
    }

    /// Starts a prepared process; its streams, unless it is to run by itself. Its exit code is stored before the
    /// streams end.
    ///
    /// # Errors
    /// When it has run already, or cannot be run.
    pub async fn start_exec(&self, exec: &str, start: ExecStart) -> Result<Option<AttachSession>> {
        let (context, exec) = (self.context.clone(), exec.to_owned());
        detached(async move { exec::start(&context, &exec, start).await }).await
    }

    /// What is known of an exec.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn inspect_exec(&self, exec: &str) -> Result<ExecDetails> {
        self.context.execs.inspect(exec)
    }

    /// Resizes the terminal of an exec.
    ///
    /// # Errors
    /// When it does not run or has none.
    pub async fn resize_exec(&self, exec: &str, size: TerminalSize) -> Result<()> {
        exec::resize(&self.context, exec, size).await
    }
}
