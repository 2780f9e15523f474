//! The task that owns a container.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ross_shim::client::{ClientError, ShimClient};
use ross_shim::protocol::Exit;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::{Handle, View};
use crate::attach::{AttachSession, PendingAttach};
use crate::context::Context;
use crate::db::{ContainerRow, Durability};
use crate::error::{EngineError, Result};
use crate::model::{
    AttachOptions, ContainerConfig, ContainerState, EventKind, RemoveOptions, RestartPolicy, Run, Signal,
    TerminalSize,
};
use crate::model::{Backoff, Exited};

const COMMANDS: usize = 64;

/// How long a shim that could not be asked is left alone.
const ASK_AGAIN: Duration = Duration::from_millis(200);

type Reply<T> = oneshot::Sender<Result<T>>;

/// What a container's task can be asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Reply<bool>),
    /// The first half of a stop: the signal, remembered as a stop by hand. False when it does not run.
    Stop {
        signal: Signal,
        keep: bool,
        reply: Reply<bool>,
    },
    Kill {
        signal: Signal,
        reply: Reply<()>,
    },
    Pause(Reply<()>),
    Unpause(Reply<()>),
    Rename {
        name: String,
        reply: Reply<()>,
    },
    Remove {
        options: RemoveOptions,
        reply: Reply<()>,
    },
    Attach {
        options: AttachOptions,
        reply: Reply<AttachSession>,
    },
    Resize {
        size: TerminalSize,
        reply: Reply<()>,
    },
}

/// What reconciliation found of a container that the database says exists.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing runs.
    Nothing,
    /// Its shim, and the container in it runs.
    Running(ShimClient),
    /// Its run has ended while nobody looked.
    Ended(Exit, Option<ShimClient>),
}

/// The end of a run, asked of the shim by a task that waits for nothing else.
type ExitTask = JoinHandle<Result<Exit, ClientError>>;

/// Whether the task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Gone,
}

/// The owner of one container.
pub(crate) struct Actor {
    pub(super) context: Arc<Context>,
    pub(super) row: ContainerRow,
    pub(super) config: Arc<ContainerConfig>,
    pub(super) shim: Option<ShimClient>,
    pub(super) exit: Option<ExitTask>,
    restart_at: Option<Pin<Box<Sleep>>>,
    pub(super) backoff: Backoff,
    pub(super) pending: Vec<PendingAttach>,
    /// A restart by hand is under way: the end that comes removes nothing.
    pub(super) keep: bool,
    pub(super) ended: u64,
    views: watch::Sender<Arc<View>>,
    commands: mpsc::Receiver<Command>,
}

/// Makes the task of a container and registers it.
pub(crate) fn spawn(context: Arc<Context>, row: ContainerRow, found: Found) -> Handle {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let config = Arc::new(row.config.clone());
    let shim = match &found {
        Found::Running(shim) => Some(shim.clone()),
        Found::Ended(_, shim) => shim.clone(),
        Found::Nothing => None,
    };
    let first = view_of(&row, &config, shim.clone(), 0);
    let (views, receiver) = watch::channel(Arc::new(first));
    let handle = Handle { id: row.id.clone(), commands: sender, views: receiver };
    context.registry.insert(handle.clone());
    let exit = shim.clone().filter(|_| matches!(found, Found::Running(_))).map(exit_of);
    let actor = Actor {
        context,
        row,
        config,
        shim,
        exit,
        restart_at: None,
        backoff: Backoff::default(),
        pending: Vec::new(),
        keep: false,
        ended: 0,
        views,
        commands,
    };
    let ended = match found {
        Found::Ended(exit, _) => Some(exit),
        _ => None,
    };
    tokio::spawn(actor.run(ended));
    handle
}

fn view_of(row: &ContainerRow, config: &Arc<ContainerConfig>, shim: Option<ShimClient>, ended: u64) -> View {
    View {
        id: row.id.clone(),
        name: row.name.clone(),
        image: row.image.clone(),
        image_id: row.image_id.clone(),
        layers: row.layers.clone(),
        config: config.clone(),
        created: row.created,
        run: row.run.clone(),
        network: row.network.clone(),
        ended,
        removed: None,
        shim,
    }
}

/// The end of a run, from its shim.
///
/// Only a shim that is gone is an error: one that cannot be asked while descriptors are short, say, still holds a
/// container that runs, and that must not be ended for it.
pub(super) fn exit_of(shim: ShimClient) -> ExitTask {
    tokio::spawn(async move {
        let mut warned = false;
        loop {
            match shim.wait(None).await {
                Err(error) if !error.is_gone() => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::warn!(shim = %shim.path().display(), error = &error as &dyn std::error::Error, "the end of a container cannot be waited for; trying until it can");
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                told => return told,
            }
        }
    })
}

async fn or_never<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Actor {
    async fn run(mut self, ended: Option<Exit>) {
        if let Some(exit) = ended
            && self.run_ended(exit).await == Flow::Gone
        {
            return;
        }
        loop {
            let flow = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    // The engine was dropped; the container runs on.
                    None => Flow::Gone,
                },
                exit = or_never(&mut self.exit) => self.exit_told(exit.ok()).await,
                () = or_never(&mut self.restart_at) => self.restart_now().await,
            };
            if flow == Flow::Gone {
                return;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Flow {
        // Whoever asked may be gone; the command was carried out all the same.
        match command {
            Command::Start(reply) => {
                let (result, flow) = self.start_by_hand().await;
                let _ = reply.send(result);
                return flow;
            }
            Command::Stop { signal, keep, reply } => {
                let _ = reply.send(self.stop(signal, keep).await);
            }
            Command::Kill { signal, reply } => {
                let (result, flow) = match self.kill(signal).await {
                    Ok(flow) => (Ok(()), flow),
                    Err(error) => (Err(error), Flow::GoOn),
                };
                let _ = reply.send(result);
                return flow;
            }
            Command::Pause(reply) => {
                let _ = reply.send(self.pause().await);
            }
            Command::Unpause(reply) => {
                let _ = reply.send(self.unpause().await);
            }
            Command::Rename { name, reply } => {
                let _ = reply.send(self.rename(&name).await);
            }
            Command::Remove { options, reply } => {
                let result = self.remove(options).await;
                let flow = if result.is_ok() { Flow::Gone } else { Flow::GoOn };
                let _ = reply.send(result);
                return flow;
            }
            Command::Attach { options, reply } => {
                let _ = reply.send(self.attach(options).await);
            }
            Command::Resize { size, reply } => {
                let _ = reply.send(self.resize(size).await);
            }
        }
        Flow::GoOn
    }

    /// How people call it.
    pub(super) fn name(&self) -> &str {
        self.row.name.as_str()
    }

    pub(super) fn state(&self) -> ContainerState {
        self.row.run.state
    }

    /// Takes a step of the table.
    pub(super) fn step(&mut self, to: ContainerState) -> Result<()> {
        self.row.run.step(to).map_err(|error| {
            EngineError::internal(self.row.id.as_str(), format!("container {}", self.row.name))
                .caused_by(error)
        })
    }

    /// Takes a step that the world has taken already: the table has it, and if it has not, that is ross's mistake and
    /// no reason to stay behind.
    pub(super) fn follow(&mut self, to: ContainerState) {
        if let Err(error) = self.row.run.step(to) {
            tracing::error!(container = %self.row.id, %error, "a step that the table of states has not got");
            self.row.run.state = to;
        }
    }

    /// Tells everyone how things are.
    pub(super) fn publish(&self) {
        self.views.send_replace(Arc::new(view_of(&self.row, &self.config, self.shim.clone(), self.ended)));
    }

    /// Tells everyone that it is gone; what is left of it, if anything.
    pub(super) fn publish_gone(&self, left: Option<String>) {
        let view = view_of(&self.row, &self.config, None, self.ended);
        self.views.send_replace(Arc::new(View { removed: Some(left), ..view }));
    }

    /// Puts the state into the database.
    pub(super) async fn persist(&self, durability: Durability) -> Result<()> {
        let (id, run, network) = (self.row.id.clone(), self.row.run.clone(), self.row.network.clone());
        Ok(self.context.db.call(move |db| db.update_run(&id, &run, &network, durability)).await?)
    }

    /// Puts it there where nobody can be told that it failed.
    pub(super) async fn persist_or_warn(&self, durability: Durability) {
        if let Err(error) = self.persist(durability).await {
            tracing::error!(container = %self.row.id, error = error.sentence(), "the container's state is not in the database");
        }
    }

    /// How durable facts must be that decide whether it is started again after a reboot.
    pub(super) fn durability(&self) -> Durability {
        if self.config.restart == RestartPolicy::No { Durability::Relaxed } else { Durability::Full }
    }

    /// Makes an event of it.
    pub(super) fn tell(&self, action: &str, further: &[(&str, String)]) {
        let mut attributes = view_of(&self.row, &self.config, None, 0).attributes();
        attributes.extend(further.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.context.events.tell(EventKind::Container, action, self.row.id.as_str(), attributes);
    }

    async fn start_by_hand(&mut self) -> (Result<bool>, Flow) {
        match self.state() {
            ContainerState::Running => return (Ok(false), Flow::GoOn),
            ContainerState::Paused => {
                let text = "cannot start a paused container, try unpause instead".to_owned();
                return (Err(self.refuse(text)), Flow::GoOn);
            }
            ContainerState::Dead | ContainerState::Removing => {
                let text = "container is marked for removal and cannot be started".to_owned();
                return (Err(self.refuse(text)), Flow::GoOn);
            }
            ContainerState::Created | ContainerState::Exited | ContainerState::Restarting => {}
        }
        self.restart_at = None;
        self.keep = false;
        self.backoff = Backoff::default();
        self.row.run.restart_count = 0;
        self.row.run.stopped_by_hand = false;
        match self.start().await {
            Ok(()) => (Ok(true), Flow::GoOn),
            Err(error) => {
                self.start_failed(&error).await;
                let flow = if self.config.auto_remove { self.auto_remove().await } else { Flow::GoOn };
                (Err(error), flow)
            }
        }
    }

    pub(super) fn refuse(&self, text: String) -> EngineError {
        EngineError::new(ross_types::ErrorKind::FailedPrecondition, self.row.id.as_str(), text)
    }

    async fn start(&mut self) -> Result<()> {
        let launched = self.launch().await?;
        self.row.run = Run {
            state: self.state(),
            pid: launched.pid,
            exited: Exited::default(),
            started_at: Some(crate::model::Timestamp::now()),
            finished_at: self.row.run.finished_at,
            restart_count: self.row.run.restart_count,
            stopped_by_hand: self.row.run.stopped_by_hand,
        };
        self.step(ContainerState::Running)?;
        self.row.network = launched.network;
        self.exit = Some(exit_of(launched.shim.clone()));
        self.shim = Some(launched.shim);
        // It runs, whatever the database says: reconciliation would find it by its shim.
        self.persist_or_warn(self.durability()).await;
        self.publish();
        drop(launched.hold);
        self.tell("start", &[]);
        Ok(())
    }

    async fn start_failed(&mut self, error: &EngineError) {
        use ross_types::ErrorKind::{CannotExecute, ProgramNotFound};
        let code = match error.kind() {
            kind @ (CannotExecute | ProgramNotFound) => i32::from(kind.exit_code()),
            // Docker's, for whatever else kept it from starting.
            _ => 128,
        };
        self.row.run.exited = Exited { code, oom_killed: false, error: Some(error.sentence()) };
        if self.state() == ContainerState::Restarting {
            self.follow(ContainerState::Exited);
            self.ended += 1;
        }
        self.pending.clear();
        self.persist_or_warn(Durability::Relaxed).await;
        self.publish();
    }

    /// Sets the restart clock.
    pub(super) fn restart_after(&mut self, delay: Duration) {
        self.restart_at = Some(Box::pin(tokio::time::sleep_until(Instant::now() + delay)));
    }

    /// Stops the restart clock.
    pub(super) fn call_off_restart(&mut self) {
        self.restart_at = None;
    }

    async fn restart_now(&mut self) -> Flow {
        self.restart_at = None;
        self.row.run.restart_count += 1;
        if let Err(error) = self.start().await {
            tracing::warn!(container = %self.row.id, error = error.sentence(), "a restart failed");
            self.start_failed(&error).await;
        }
        Flow::GoOn
    }
}
