//! Further processes in containers: prepared, started once, remembered until their container is removed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ross_runtime::spec::{Process, Spec};
use ross_shim::client::ShimClient;
use ross_shim::protocol::{ExecRequest, Status, Streams};
use ross_types::{ContainerId, ErrorKind};

use crate::attach::{AttachSession, shim_size};
use crate::container::View;
use crate::context::Context;
use crate::error::{EngineError, Result};
use crate::model::{ContainerState, EventKind, ExecConfig, ExecDetails, ExecStart};
use crate::names::new_id;
use crate::rootfs::RootFd;
use crate::spec::exec_process;
use crate::task::blocking;

/// Execs that ended and are remembered, in one container.
const KEPT: usize = 64;

/// Execs of one container that may wait to be started. Each may hold a request of some megabytes.
const PREPARED: usize = 256;

/// When the container has no place for another, one that has waited so long for its start is forgotten: whoever
/// prepared it has gone away.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// All execs of the engine.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    /// Oldest first in each container.
    inner: Mutex<HashMap<ContainerId, Vec<Arc<Exec>>>>,
}

/// One exec.
#[derive(Debug)]
pub(crate) struct Exec {
    id: ContainerId,
    container: ContainerId,
    config: ExecConfig,
    prepared_at: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Prepared,
    Starting,
    Running { pid: i32 },
    Ended { pid: i32, code: i32 },
}

impl Exec {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the one start it has.
    fn take_start(&self) -> Result<()> {
        let mut state = self.lock();
        if *state != State::Prepared {
            let text = format!("exec {} has already run", self.id);
            return Err(EngineError::new(ErrorKind::FailedPrecondition, self.id.as_str(), text));
        }
        *state = State::Starting;
        Ok(())
    }

    fn started(&self, pid: i32) {
        let mut state = self.lock();
        // Its end may have been told before its start.
        if *state == State::Starting {
            *state = State::Running { pid };
        }
    }

    /// Stores its exit code; the first one stays.
    pub(crate) fn ended(&self, code: i32) {
        let mut state = self.lock();
        *state = match *state {
            State::Running { pid } => State::Ended { pid, code },
            State::Prepared | State::Starting => State::Ended { pid: 0, code },
            ended @ State::Ended { .. } => ended,
        };
    }

    fn has_ended(&self) -> bool {
        matches!(*self.lock(), State::Ended { .. })
    }

    fn is_prepared(&self) -> bool {
        *self.lock() == State::Prepared
    }

    fn details(&self) -> ExecDetails {
        let (running, pid, exit_code) = match *self.lock() {
            State::Prepared => (false, 0, None),
            State::Starting => (true, 0, None),
            State::Running { pid } => (true, pid, None),
            State::Ended { pid, code } => (false, pid, Some(code)),
        };
        ExecDetails {
            id: self.id.clone(),
            container: self.container.clone(),
            running,
            exit_code,
            pid,
            config: self.config.clone(),
        }
    }
}

impl Execs {
    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerId, Vec<Arc<Exec>>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, container: ContainerId, config: ExecConfig) -> Result<Arc<Exec>> {
        self.insert_at(container, config, Instant::now())
    }

    fn insert_at(
        &self,
        container: ContainerId,
        config: ExecConfig,
        prepared_at: Instant,
    ) -> Result<Arc<Exec>> {
        let exec = Arc::new(Exec {
            id: new_id(),
            container: container.clone(),
            config,
            prepared_at,
            state: Mutex::new(State::Prepared),
        });
        let mut inner = self.lock();
        let execs = inner.entry(container).or_default();
        if execs.iter().filter(|exec| exec.is_prepared()).count() >= PREPARED {
            let waited = |have: &Arc<Exec>| exec.prepared_at.duration_since(have.prepared_at);
            match execs.iter().position(|have| have.is_prepared() && waited(have) > FORGOTTEN_AFTER) {
                Some(forgotten) => drop(execs.remove(forgotten)),
                None => {
                    let text = format!(
                        "container {} has {PREPARED} execs that were created and never started: start them before creating more",
                        exec.container
                    );
                    return Err(EngineError::new(
                        ErrorKind::ResourceExhausted,
                        exec.container.as_str(),
                        text,
                    ));
                }
            }
        }
        if execs.iter().filter(|exec| exec.has_ended()).count() > KEPT
            && let Some(oldest) = execs.iter().position(|exec| exec.has_ended())
        {
            execs.remove(oldest);
        }
        execs.push(exec.clone());
        Ok(exec)
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        let inner = self.lock();
        let found = inner.values().flatten().find(|exec| exec.id.as_str() == id);
        found.cloned().ok_or_else(|| EngineError::no_exec(id))
    }

    /// Ids of the execs of a container that have not ended.
    pub(crate) fn ids(&self, container: &ContainerId) -> Vec<ContainerId> {
        let inner = self.lock();
        let execs = inner.get(container).into_iter().flatten();
        execs.filter(|exec| !exec.has_ended()).map(|exec| exec.id.clone()).collect()
    }

    /// Its processes have ended with it, and what was prepared to run in it is forgotten.
    pub(crate) fn container_ended(&self, container: &ContainerId) {
        if let Some(execs) = self.lock().get_mut(container) {
            execs.retain(|exec| !exec.is_prepared());
            for exec in execs {
                // KILL is what ends them; the code of one that has ended stays.
                exec.ended(128 + 9);
            }
        }
    }

    /// Nothing of it is left to ask about.
    pub(crate) fn container_removed(&self, container: &ContainerId) {
        self.lock().remove(container);
    }

    /// What is known of an exec.
    pub(crate) fn inspect(&self, id: &str) -> Result<ExecDetails> {
        Ok(self.find(id)?.details())
    }
}

/// The shim of a container that execs can run in.
fn running(view: &View) -> Result<ShimClient> {
    if view.run.state == ContainerState::Paused {
        let text = format!("container {} is paused, unpause the container before exec", view.name);
        return Err(EngineError::new(ErrorKind::FailedPrecondition, view.id.as_str(), text));
    }
    view.shim
        .clone()
        .filter(|_| view.run.state.is_running())
        .ok_or_else(|| EngineError::not_running(view.name.as_str()))
}

/// Prepares a process.
pub(crate) fn create(context: &Context, container: &str, config: ExecConfig) -> Result<ContainerId> {
    let view = context.registry.find(container)?.view();
    running(&view)?;
    if config.cmd.first().is_none_or(String::is_empty) {
        return Err(EngineError::invalid("cmd", "no exec command specified"));
    }
    let texts = config.cmd.iter().chain(&config.env).chain([&config.user, &config.working_dir]);
    if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
        return Err(EngineError::invalid("exec", format!("`{}` has a NUL in it", text.escape_debug())));
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(EngineError::invalid(
            "working_dir",
            format!("`{}` is not an absolute path", config.working_dir),
        ));
    }
    let exec = context.execs.insert(view.id.clone(), config)?;
    if let Err(gone) = context.registry.find(view.id.as_str()) {
        // Removed since it was looked up, and nobody else clears this away.
        context.execs.container_removed(&view.id);
        return Err(gone);
    }
    tell(context, &view, &format!("exec_create: {}", exec.config.cmd.join(" ")));
    Ok(exec.id.clone())
}

fn tell(context: &Context, view: &View, action: &str) {
    context.events.tell(EventKind::Container, action, view.id.as_str(), view.attributes());
}

/// Starts a prepared process; its streams, unless it is to run by itself.
pub(crate) async fn start(
    context: &Arc<Context>,
    id: &str,
    start: ExecStart,
) -> Result<Option<AttachSession>> {
    let exec = context.execs.find(id)?;
    let view = context.registry.find(exec.container.as_str())?.view();
    let shim = running(&view)?;
    exec.take_start()?;
    match run(context, &exec, &view, &shim, start).await {
        Ok((pid, session)) => {
            exec.started(pid);
            tell(context, &view, &format!("exec_start: {}", exec.config.cmd.join(" ")));
            // Whoever started it may go away; its code is stored all the same.
            let exec = exec.clone();
            tokio::spawn(async move {
                if let Ok(exit) = shim.wait(Some(exec.id.as_str())).await {
                    exec.ended(exit.code);
                }
            });
            Ok(session)
        }
        Err(error) => {
            exec.ended(i32::from(error.kind().exit_code()));
            // The container may have ended under it, and then that is why, whatever failed first.
            let state = shim.state().await;
            let runs = state.is_ok_and(|state| matches!(state.status, Status::Running | Status::Paused));
            if runs {
                return Err(error);
            }
            tracing::debug!(exec = %exec.id, error = error.sentence(), "an exec failed because its container ended");
            Err(EngineError::not_running(view.name.as_str()))
        }
    }
}

async fn run(
    context: &Arc<Context>,
    exec: &Arc<Exec>,
    view: &View,
    shim: &ShimClient,
    start: ExecStart,
) -> Result<(i32, Option<AttachSession>)> {
    let process = {
        let (context, id) = (context.clone(), view.id.clone());
        let (config, groups) = (exec.config.clone(), view.config.group_add.clone());
        blocking(move || process_json(&context, &id, &config, &groups)).await?
    };
    let config = &exec.config;
    let attach =
        Streams { stdin: config.attach_stdin, stdout: config.attach_stdout, stderr: config.attach_stderr };
    let request = ExecRequest {
        exec_id: exec.id.to_string(),
        process,
        terminal: config.tty,
        stdin: config.attach_stdin && !start.detach,
        size: start.size.map(shim_size),
        attach: (!start.detach).then_some(attach),
    };
    let failed = |error: ross_shim::client::ClientError| {
        EngineError::new(error.kind(), exec.id.as_str(), format!("exec in container {}", view.name))
            .caused_by(error)
    };
    if start.detach {
        return Ok((shim.exec(request).await.map_err(failed)?, None));
    }
    let (pid, stream) = shim.exec_attached(request).await.map_err(failed)?;
    Ok((pid, Some(AttachSession::over(stream, Some(exec.clone())))))
}

fn process_json(
    context: &Context,
    container: &ContainerId,
    config: &ExecConfig,
    groups: &[String],
) -> Result<String> {
    let bundle = context.paths.state_of(container).join("config.json");
    let bytes = std::fs::read(&bundle).map_err(|error| EngineError::io("read", &bundle, error))?;
    let spec = Spec::parse(&bytes).map_err(|error| {
        EngineError::new(
            ErrorKind::DataLoss,
            bundle.display().to_string(),
            "read the container's specification",
        )
        .caused_by(error)
    })?;
    let root = RootFd::open(&context.paths.rootfs(container))?;
    let main: Process = spec.process.unwrap_or_default();
    let process = exec_process(main, config, &context.host, &root, groups)?;
    serde_json::to_string(&process)
        .map_err(|error| EngineError::internal("exec", "write its specification").caused_by(error))
}

/// Resizes the terminal of an exec.
pub(crate) async fn resize(context: &Context, id: &str, size: crate::model::TerminalSize) -> Result<()> {
    let exec = context.execs.find(id)?;
    let view = context.registry.find(exec.container.as_str())?.view();
    let shim = running(&view)?;
    shim.resize(Some(exec.id.as_str()), shim_size(size)).await.map_err(|error| {
        EngineError::new(error.kind(), exec.id.as_str(), format!("resize exec {}", exec.id)).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_has_one_start_and_one_end() {
        let execs = Execs::default();
        let container = ContainerId::from_random([1; 32]);
        let exec = execs.insert(container.clone(), ExecConfig::default()).unwrap();
        assert_eq!(execs.ids(&container).len(), 1);
        exec.take_start().unwrap();
        assert_eq!(exec.take_start().unwrap_err().kind(), ErrorKind::FailedPrecondition);
        exec.started(7);
        assert!(execs.inspect(exec.id.as_str()).unwrap().running);
        exec.ended(3);
        execs.container_ended(&container);
        let details = execs.inspect(exec.id.as_str()).unwrap();
        assert_eq!((details.running, details.exit_code, details.pid), (false, Some(3), 7));
        execs.container_removed(&container);
        assert_eq!(execs.inspect(exec.id.as_str()).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn old_ends_are_forgotten() {
        let execs = Execs::default();
        let container = ContainerId::from_random([1; 32]);
        let first = execs.insert(container.clone(), ExecConfig::default()).unwrap();
        first.ended(0);
        for _ in 0..2 * KEPT {
            execs.insert(container.clone(), ExecConfig::default()).unwrap().ended(0);
        }
        assert!(execs.inspect(first.id.as_str()).is_err());
        assert!(execs.lock()[&container].len() <= KEPT + 2);
    }

    #[test]
    fn execs_that_are_never_started_are_bounded_and_go_with_their_run() {
        let execs = Execs::default();
        let container = ContainerId::from_random([1; 32]);
        let insert = || execs.insert(container.clone(), ExecConfig::default());
        let started = insert().unwrap();
        started.take_start().unwrap();
        for _ in 0..PREPARED {
            insert().unwrap();
        }
        let error = insert().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.sentence().contains(container.as_str()), "{}", error.sentence());
        execs.insert(ContainerId::from_random([2; 32]), ExecConfig::default()).unwrap();
        let later = Instant::now() + 2 * FORGOTTEN_AFTER;
        execs.insert_at(container.clone(), ExecConfig::default(), later).expect("the oldest is forgotten");
        execs.container_ended(&container);
        assert_eq!(execs.lock()[&container].len(), 1, "the one that was started is remembered");
        assert_eq!(execs.inspect(started.id.as_str()).unwrap().exit_code, Some(137));
        insert().unwrap();
    }
}
